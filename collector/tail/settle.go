package tail

import (
	"math/rand/v2"
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
			case pipeline.Delivered, pipeline.Never:
				g.settle(s)
			case pipeline.Back:
				src.rewind(s.RetryAfter)
			}
		}
		g.bury()
		src.release()
		src.moved = true
		if src.underway == 0 && r.deal != r.told {
			r.woken.Store(true) // it may have to be handed over
		}
		if !src.busy && src.parked == nil {
			r.poll(src)
		}
	}
}

// settle moves the cursor over a segment.
func (g *generation) settle(s *pipeline.Segment) {
	src := g.src
	f := src.target.Account.Own()
	lines := int64(s.N)
	if s.Verdict == pipeline.Delivered {
		f.Delivered.Add(lines, s.Bytes)
		src.totals.Delivered.Add(lines, s.Bytes)
	} else {
		f.Dropped[s.Reason].Add(lines, s.Bytes)
		src.totals.Dropped.Add(lines, s.Bytes)
	}
	f.Dropped[pipeline.MaxLine].Add(0, s.CutBytes)
	src.totals.Dropped.Add(0, s.CutBytes)
	f.Pending.Add(-lines, -s.Bytes-s.CutBytes)
	g.pending.Add(-lines, -s.Bytes-s.CutBytes)
	f.Oldest = 0
	if f.Pending.Lines > 0 {
		f.Oldest = s.Time // what follows is at least as young
	}
	src.target.Account.Publish()

	g.settled, g.settledSkip = s.End, s.Skip
	src.settledParts, src.settledTime = s.Parts, s.Time
	src.attempts = 0
}

const (
	backFirst = time.Second
	backMost  = time.Minute
)

// rewind takes the source back to where it is settled, to be read again after a while of its own. What of it is under
// way belongs to an older epoch and will not be sent.
func (src *source) rewind(retryAfter time.Duration) {
	src.epoch++
	for _, g := range src.gens {
		if !g.released {
			g.read, g.skip, g.done = g.settled, g.settledSkip, false
		}
	}
	src.lastTime = src.settledTime
	src.restoreParts = true
	d := backMost
	if src.attempts < 6 {
		d = backFirst << src.attempts
	}
	src.attempts++
	src.wait = time.Now().Add(max(d/2+rand.N(d/2), retryAfter))
}

// publishUnread shows what lies on disk behind the read position.
func (src *source) publishUnread(now time.Time) {
	f := src.target.Account.Own()
	f.Unread = 0
	for _, g := range src.gens {
		if !g.done && !g.dead {
			f.Unread += max(0, g.size-g.read)
		}
	}
	if f.Unread > 0 && f.Oldest == 0 {
		f.Oldest = now.UnixNano()
	}
	src.target.Account.Publish()
}
