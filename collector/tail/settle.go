package tail

import (
	"time"

	"github.com/leatd/leat/pipeline"
)

// Settle applies the verdicts of a block that has come home.
func (r *Reader) Settle(b *pipeline.Block) {
	r.beat.Waiting() // letting go of a file asks the disk for its size
	defer r.beat.Busy()
	for i := range b.Segments {
		s := &b.Segments[i]
		g := s.Mark.(*generation)
		src := g.src
		src.underway--
		g.underway--
		if s.Epoch == src.epoch { // of an older one, everything is read again
			switch s.Verdict {
			case pipeline.Delivered, pipeline.InSpool:
				g.settle(s)
			case pipeline.Back:
				src.rewind(s)
			}
		}
		g.bury()
		src.release(r.now)
		src.moved = true
		src.publish(r.now)
		if src.leaving && src.underway == 0 {
			r.woken.Store(true) // it can be handed over
		}
		if !src.busy && src.parked == nil {
			r.poll(src)
		}
	}
}

// settle moves the cursor over a segment.
func (g *generation) settle(s *pipeline.Segment) {
	src := g.src
	if s.Verdict == pipeline.Delivered {
		src.target.Account.Own().Settle(s)
		src.totals.Settle(s)
	} else {
		src.spooled = s.Spooled // the lines stay pending, and are the spool's from now on
		src.inSpool += int64(s.N)
	}
	g.pending.Add(-int64(s.N), -s.Bytes-s.CutBytes)

	g.settled, g.settledSkip = s.End, s.Skip
	g.note()
	src.settledParts, src.settledTime = s.Parts, s.Time
	src.oldest = s.Time // what follows is at least as young
	src.attempts = 0
}

// backMost is the longest wait of a target that is sent back again and again.
const backMost = time.Minute

// rewind takes the source back to where it is settled, to be read again after a while of its own. What of it is under
// way belongs to an older epoch and will not be sent.
func (src *source) rewind(s *pipeline.Segment) {
	src.epoch++
	for _, g := range src.gens {
		if !g.released {
			g.read, g.skip, g.done = g.settled, g.settledSkip, false
			g.owed = g.pending
		}
	}
	src.lastTime = src.settledTime
	src.restoreParts = true
	set := src.lane.set
	if s.Paced {
		src.wait = set.now().Add(s.RetryAfter)
		return
	}
	d := backMost
	if src.attempts < 6 {
		d = min(d, src.lane.set.times.back<<src.attempts)
	}
	src.attempts++
	src.wait = set.now().Add(max(d/2+set.jitter(d/2), s.RetryAfter))
}

// publish shows the source's figures, and with them what lies on disk behind the read position.
func (src *source) publish(now time.Time) {
	f := src.target.Account.Own()
	f.Unread = 0
	for _, g := range src.gens {
		if !g.released {
			f.Unread += max(0, g.size-g.read)
		}
	}
	if f.Unread == 0 {
		src.waiting = 0
	} else if src.waiting == 0 {
		src.waiting = now.UnixNano()
	}
	f.Oldest = src.waiting
	if f.Pending.Lines > src.inSpool {
		f.Oldest = src.oldest
	}
	src.target.Account.Publish()
}
