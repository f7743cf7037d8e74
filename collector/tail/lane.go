package tail

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/leatd/leat/pipeline"
)

// A Lane reads the logs of a set for one sink, with cursors of its own. It deals the logs out to the readers of the
// sink's shards; a source belongs to one reader at a time.
type Lane struct {
	set   *Set
	index int // among the set's lanes
	rows  Rows
	saved Saved

	deals    atomic.Uint64 // counts calls of Deal
	reopened atomic.Int64

	mu      sync.Mutex // guards what follows: touched when files come and go, wake up or move, never on a block's way
	sources map[*log]*source
	queues  map[string][]*source // by key, the oldest first: it alone is read
	resumed map[string]bool      // keys whose saved cursor was taken up, for it holds once
	ended   map[string]remains   // keys whose last source has ended, until the saver has heard of it
	readers []*Reader
	shards  int
	seq     int
}

// remains is what outlives the sources of a key, should it come back before the saver knows that it went.
type remains struct {
	totals  pipeline.Totals
	spooled uint64
}

// Rows keeps the accounts of a lane's targets.
type Rows interface {
	Track(*pipeline.Target) *pipeline.LaneTarget
	Forget(*pipeline.LaneTarget)
}

// Saved knows where the lane stood in an earlier life.
type Saved interface {
	Cursor(key string) (pipeline.Cursor, bool)
	Fresh() bool // the sink runs for the first time
}

// Lane makes a lane over the set. All lanes are made before discovery begins: a file that is opened counts them.
func (s *Set) Lane(rows Rows, saved Saved) *Lane {
	l := &Lane{
		set: s, rows: rows, saved: saved,
		sources: make(map[*log]*source), queues: make(map[string][]*source), resumed: make(map[string]bool),
		ended: make(map[string]remains),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.index = len(s.lanes)
	s.lanes = append(s.lanes, l)
	return l
}

// Reopened is how often a file had to be opened anew because it had grown for a minute without being read.
func (l *Lane) Reopened() int64 { return l.reopened.Load() }

// Open makes the reader of a shard.
func (l *Lane) Open(shard int, bell *pipeline.Bell, beat *pipeline.Beat) pipeline.Reader {
	r := newReader(l, bell, beat)
	l.mu.Lock()
	defer l.mu.Unlock()
	if shard < len(l.readers) {
		l.readers[shard] = r // the one before it ended without targets
	} else {
		l.readers = append(l.readers, r)
	}
	return r
}

// Deal spreads the sources over so many shards. Each reader hands over what is no longer its own when nothing of it is
// under way.
func (l *Lane) Deal(shards int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shards = shards
	var free []*source
	for _, queue := range l.queues {
		if src := queue[0]; src.owner == nil {
			free = append(free, src)
		}
	}
	slices.SortFunc(free, func(a, b *source) int { return a.seq - b.seq })
	for _, src := range free {
		l.give(src, l.dealt(src))
	}
	l.deals.Add(1)
	for _, r := range l.readers {
		r.bell.Ring()
	}
}

// dealt is the reader that a source belongs to by the present deal. Call it with mu held.
func (l *Lane) dealt(src *source) *Reader { return l.readers[src.seq%l.shards] }

// give makes a reader the owner of a source. Call it with mu held; the former owner must have let go of it.
func (l *Lane) give(src *source, r *Reader) {
	src.owner = r
	r.wake(src)
}

// update says that a log's list of files has changed. Called with Set.mu held.
func (l *Lane) update(g *log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	src := l.sources[g]
	if src == nil {
		l.add(g)
	} else if src.owner != nil {
		src.owner.wake(src)
	}
}

// look says that there is news of a log's files; a lane that has done with the log needs none. Called with Set.mu held.
func (l *Lane) look(g *log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if src := l.sources[g]; src != nil && src.owner != nil {
		src.owner.wake(src)
	}
}

// add makes the source of a log. If a log of the same key is not yet settled in this lane, it waits behind that one: its
// lines are younger, and a key has one cursor.
func (l *Lane) add(g *log) {
	key := g.target.Key
	src := newSource(l, g)
	src.seq = l.seq
	l.seq++
	if c, ok := l.saved.Cursor(key); ok && !l.resumed[key] {
		l.resumed[key] = true
		src.resume(c)
	}
	if e, ok := l.ended[key]; ok { // the key's lifetime goes on
		src.totals, src.spooled = e.totals, e.spooled
		delete(l.ended, key)
	}
	l.sources[g] = src
	l.queues[key] = append(l.queues[key], src)
	if l.shards > 0 && len(l.queues[key]) == 1 {
		l.give(src, l.dealt(src))
	}
}

// wake tells a source's owner to look at it.
func (l *Lane) wake(src *source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if src.owner != nil {
		src.owner.wake(src)
	}
}

// doneWith lets go of a file that has nothing more for the lane.
func (l *Lane) doneWith(f *file) {
	f.settled[l.index].Store(math.MaxInt64)
	f.release()
}

// over tells the saver that a key has come to its end, unless it has come back since.
func (l *Lane) over(key string) (c pipeline.Cursor, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, over := l.ended[key]
	delete(l.ended, key)
	return pipeline.Cursor{Key: key, Totals: e.totals, Spooled: e.spooled, Gone: true}, over
}

// drop ends a source whose log is gone and settled. It is not ended if the log has come back meanwhile. alone tells
// that no other source has its key, so that its saved cursor can go.
func (l *Lane) drop(src *source) (ended, alone bool) {
	if !l.set.forget(src.log, src.version) {
		return false, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := src.log.target.Key
	delete(l.sources, src.log)
	src.owner = nil
	queue := slices.Delete(l.queues[key], 0, 1)
	l.rows.Forget(src.target)
	if len(queue) == 0 {
		delete(l.queues, key)
		l.ended[key] = remains{src.totals, src.spooled}
		return true, true
	}
	l.queues[key] = queue
	next := queue[0]
	next.totals, next.spooled = src.totals, src.spooled
	l.give(next, l.dealt(next))
	return true, false
}
