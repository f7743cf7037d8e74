package tail

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A Reader fills the blocks of one shard from the sources that it owns. All of it belongs to the shard's reading
// goroutine, but for the inbox.
//
// Sources that may have data are busy and are read in turn, one read(2) of a block's worth at most each; they are polled
// once per round, which the shard paces, or once per lull where they get few lines. A source that stays quiet is parked: it
// leaves the list, and a write to its file brings it back through the inbox.
type Reader struct {
	lane *Lane
	bell *pipeline.Bell
	beat *pipeline.Beat // the reading goroutine's; it waits while a disk is asked, which may be dead

	inboxMu sync.Mutex // taken when a source wakes, comes or goes
	inbox   []*source
	woken   atomic.Bool

	sources []*source // all that it owns
	busy    []*source
	next    int       // the turn in busy
	soonest time.Time // when the first of busy is to be read again, or earlier
	deal    uint64    // the one that was last looked at
	moving  bool      // by it, a source belongs to another reader and still has something under way here
	gone    []string  // keys whose last source ended here, until the saver has asked

	clock   clock
	line    line
	now     time.Time // of the present Fill: one clock call for many reads
	walked  time.Time
	watched time.Time // when it last asked whether a file is stuck

	filled   time.Time // when Fill was last called
	strained time.Time // when it last had more to do than a block holds, or no block: then no file is to blame for waiting

	round   uint64           // counts blocks, so that an open line knows whether its parts lie in the present one
	scratch []byte           // for parts that have to be read again
	head    [headLength]byte // for the beginning of a file

	gunzip gunzip      // of the compressed generation that is being read
	seated *generation // which that is
	parts  gunzip      // for parts that lie in compressed generations
}

// minRoom is the least room in a block that is worth a read.
const minRoom = 4 << 10

func newReader(l *Lane, bell *pipeline.Bell, beat *pipeline.Beat) *Reader {
	return &Reader{lane: l, bell: bell, beat: beat, walked: l.set.now()}
}

// wake puts a source into the inbox. Anybody may call it who holds Lane.mu.
func (r *Reader) wake(src *source) {
	r.inboxMu.Lock()
	if !src.woken {
		src.woken = true
		r.inbox = append(r.inbox, src)
	}
	r.inboxMu.Unlock()
	r.woken.Store(true)
	r.bell.Ring()
}

// Woken tells whether a source waits in the inbox, or sources were dealt out anew.
func (r *Reader) Woken() bool { return r.woken.Load() || r.deal != r.lane.deals.Load() }

// Targets is how many sources the reader owns, and how many ended ones the saver has not heard of.
func (r *Reader) Targets() int {
	r.open()
	r.redeal()
	return len(r.sources) + len(r.gone)
}

// Fill reads from the busy sources in turn until the block is full or there is no more.
func (r *Reader) Fill(b *pipeline.Block) pipeline.Fullness {
	r.beat.Waiting() // for a disk, if need be; it is busy while it cuts
	r.now = r.lane.set.now()
	if r.now.Sub(r.filled) > 2*r.lane.set.times.walk {
		r.strained = r.now // there was no block to read into
	}
	r.filled = r.now
	if len(b.Segments) == 0 {
		r.round++
	}
	r.open()
	r.redeal()
	if r.now.Sub(r.walked) >= r.lane.set.times.walk {
		r.walk()
	}
	r.soonest = r.now.Add(r.lane.set.times.lull)
	for dry := 0; dry < len(r.busy); {
		if r.next >= len(r.busy) {
			r.next = 0
		}
		src := r.busy[r.next]
		switch r.turn(b, src) {
		case turnMore:
			dry = 0
			r.next++
		case turnDry:
			if src.due.Before(r.soonest) {
				r.soonest = src.due
			}
			dry++
			r.next++
		case turnFull:
			r.soonest = r.now
			r.next++
			r.strained = r.now
			return pipeline.Full
		case turnIdle:
			src.busy = false
			r.busy = slices.Delete(r.busy, r.next, r.next+1)
		}
	}
	return pipeline.Dry
}

// Rest is how long to sleep if nobody rings.
func (r *Reader) Rest(poll time.Duration) time.Duration {
	walk := max(0, r.walked.Add(r.lane.set.times.walk).Sub(r.now))
	if len(r.busy) == 0 {
		return walk
	}
	return max(poll, min(walk, r.soonest.Sub(r.now)))
}

// Look refreshes the unread bytes while the lane has no block to read into.
func (r *Reader) Look() {
	r.beat.Waiting()
	r.now = r.lane.set.now()
	r.open()
	for _, src := range r.busy {
		src.sync(r.now)
		src.measure(r.now)
		src.publish(r.now)
	}
}

// Cursors appends what has moved since the last call.
func (r *Reader) Cursors(dst []pipeline.Cursor) []pipeline.Cursor {
	r.open() // what was handed over to this reader may have moved before
	for _, src := range r.sources {
		if src.moved {
			src.moved = false
			dst = append(dst, src.cursor())
		}
	}
	for _, key := range r.gone {
		if c, over := r.lane.over(key); over {
			dst = append(dst, c)
		}
	}
	r.gone = nil
	return dst
}

// open takes in what the inbox holds: sources that are new here, and sources with news.
func (r *Reader) open() {
	if !r.woken.Load() {
		return
	}
	for _, src := range r.collect() {
		if !slices.Contains(r.sources, src) {
			r.sources = append(r.sources, src)
		}
		src.unpark()
		r.poll(src)
	}
}

// collect empties the inbox. What belongs to another reader by now is passed on: it may have come in here while it was
// handed over, and then the other one has not heard of it.
func (r *Reader) collect() []*source {
	r.lane.mu.Lock()
	defer r.lane.mu.Unlock()
	r.woken.Store(false)
	r.inboxMu.Lock()
	in := r.inbox
	r.inbox = nil
	r.inboxMu.Unlock()
	return slices.DeleteFunc(in, func(src *source) bool {
		src.woken = false
		if src.owner != nil && src.owner != r {
			src.owner.wake(src)
		}
		return src.owner != r
	})
}

// poll makes a source busy.
func (r *Reader) poll(src *source) {
	if !src.busy {
		src.busy = true
		src.due, src.lull, src.lines = time.Time{}, r.lane.set.nextLull(r.now), 0
		src.slow = false
		r.soonest = r.now
		r.busy = append(r.busy, src)
	}
}

// walk looks at every source that is not polled: events may have been missed, and nobody watches a file that has a
// successor and is held because it may still be written to.
func (r *Reader) walk() {
	r.walked = r.now
	watches := r.now.Sub(r.watched) >= r.lane.set.times.stuck/2
	if watches {
		r.watched = r.now
	}
	for _, src := range r.sources {
		if watches {
			r.watch(src)
		}
		if src.busy {
			continue
		}
		src.measure(r.now)
		src.release(r.now)
		src.publish(r.now)
		g, _ := src.current()
		if src.parked == nil || g == nil || g.file != src.parked || g.size != g.read || src.version != src.log.version.Load() {
			src.unpark()
			r.poll(src)
		}
	}
}

// redeal hands over the sources that belong to another reader since the last deal. Those with something under way are
// not read until it is home, and move then.
func (r *Reader) redeal() {
	deals := r.lane.deals.Load()
	if r.deal == deals && !r.moving {
		return
	}
	r.lane.mu.Lock()
	defer r.lane.mu.Unlock()
	r.deal, r.moving = deals, false
	r.sources = slices.DeleteFunc(r.sources, func(src *source) bool {
		to := r.lane.dealt(src)
		src.leaving = to != r && src.underway > 0
		if src.leaving {
			r.moving = true
		}
		if to == r || src.leaving {
			return false
		}
		src.unpark()
		if r.seated != nil && r.seated.src == src {
			r.seated = nil
		}
		src.busy = false
		src.forgetBlock()
		r.busy = slices.DeleteFunc(r.busy, func(s *source) bool { return s == src })
		r.lane.give(src, to)
		return true
	})
}
