package spool

import (
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A reader empties the spool: it fills the blocks of one shard from the records, oldest first, and settles what comes
// home. All of it belongs to the shard's reading goroutine.
//
// A target that the store sends back is set aside: the main way passes over its segments from then on. When its wait is
// over, the reader goes from there through the headers for that target alone, until it has caught up with the main way. So
// what is aside costs a place, not a list, however much it is.
type reader struct {
	*Spool
	beat *pipeline.Beat // the reading goroutine's; it waits while the disk is asked, which may be dead

	ahead, behind hand // of the main way, and of targets that are aside
	turn          int  // of those
	late          *target
	stay          int  // for so many records yet with that one
	more          bool // the last Fill stopped for breath
	size          int  // of a block's buffer as it was made
	free          []*flight
	retry         time.Time // the disk has failed: not before is it asked again
}

const (
	backFirst = time.Second // the waits of a target that is sent back again and again
	backMost  = time.Minute

	// breath is how many records Fill passes over before the shard may look at what came home.
	breath = 256
)

// Fill loads whole records: in turn from a target that was aside and whose wait is over, and from the main way.
func (r *reader) Fill(b *pipeline.Block) pipeline.Fullness {
	r.beat.Waiting() // for a disk, if need be; it is busy while it unpacks
	r.woken.Store(false)
	r.more = false
	if r.size == 0 {
		r.size = len(b.Buf)
	}
	now := time.Now()
	if now.Before(r.retry) {
		return pipeline.Dry
	}
	r.release()
	for steps := 0; ; steps++ {
		r.beat.Waiting()
		late := dry
		if t := r.due(now); t != nil {
			late = r.step(&r.behind, t, b)
		}
		if late == full {
			return pipeline.Full
		}
		step := r.step(&r.ahead, nil, b)
		switch {
		case step == full:
			return pipeline.Full
		case late == fails || step == fails:
			return pipeline.Dry
		case late == dry && step == dry:
			r.finish(now)
			return pipeline.Dry
		case steps >= breath:
			r.more = true
			return pipeline.Dry
		}
	}
}

// release lets go of files that were removed: until then they take room on the disk.
func (r *reader) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range [...]*hand{&r.ahead, &r.behind} {
		if h.file != nil && h.file.gone {
			h.close()
		}
	}
}

// due is the target that is aside and whose turn it is to be read again. It stays the same for a while: others may be in
// other files.
func (r *reader) due(now time.Time) *target {
	r.mu.Lock()
	defer r.mu.Unlock()
	ready := func(t *target) bool { return t.aside && !now.Before(t.wait) && !t.row.Held() }
	if r.stay--; r.stay > 0 && ready(r.late) {
		return r.late
	}
	r.stay = 0
	for range r.aside {
		r.turn = (r.turn + 1) % len(r.aside)
		if t := r.aside[r.turn]; ready(t) {
			r.late, r.stay = t, breath/4
			return t
		}
	}
	return nil
}

// finish sees to what can be done when there is nothing to read. What should have been there and was not is counted, by
// target, as soon as nothing of the spool is under way.
func (r *reader) finish(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shed(now)
	if r.held == 0 || r.flying > 0 || len(r.aside) > 0 || r.dooming || !r.through() {
		return
	}
	for _, t := range r.targets {
		if t.held.segments > 0 {
			r.drop(t, t.held, pipeline.SpoolDamaged)
		}
	}
}

// Rest is how long to sleep if nobody rings.
func (r *reader) Rest(poll time.Duration) time.Duration {
	if r.more {
		return 0
	}
	now := time.Now()
	if d := r.retry.Sub(now); d > 0 {
		return d
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := keep
	for _, t := range r.aside {
		d = min(d, max(poll, t.wait.Sub(now)))
	}
	return d
}

// Woken tells whether something was appended since the last Fill.
func (r *reader) Woken() bool { return r.woken.Load() }

// Look has nothing to do: the spool's figures are its own.
func (r *reader) Look() {}

// Cursors are none: what the spool saves is its State.
func (r *reader) Cursors(dst []pipeline.Cursor) []pipeline.Cursor { return dst }

// Targets is how many targets have something in the spool.
func (r *reader) Targets() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.targets {
		if t.held.segments > 0 {
			n++
		}
	}
	return n
}

// Settle applies the verdicts of a block that has come home.
func (r *reader) Settle(b *pipeline.Block) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b.Segments {
		seg := &b.Segments[i]
		f := seg.Mark.(*flight)
		t := f.target
		t.flights = slices.DeleteFunc(t.flights, func(x *flight) bool { return x == f })
		r.flying--
		current := f.epoch == t.epoch
		if current && seg.Verdict == pipeline.Delivered {
			r.delivered(f, seg)
		} else {
			if f.orphan {
				r.drop(t, f.share, pipeline.SpoolFull)
			}
			if current {
				r.rewind(f, seg, now)
			}
		}
		*f = flight{}
		r.free = append(r.free, f)
	}
	r.version++
}

// delivered settles a segment whose turn it was.
func (r *reader) delivered(f *flight, seg *pipeline.Segment) {
	t := f.target
	t.attempts = 0
	t.oldest = seg.Time // what follows is at least as young
	if behind := (spot{f.place.number, f.index + 1}); t.settled.before(behind) {
		t.settled = behind
	}
	if f.ruined {
		r.drop(t, f.share, pipeline.SpoolDamaged)
	} else {
		r.settle(t, f.share, seg)
	}
}

// rewind sets a target aside from a segment on that was not delivered. What of it is under way belongs to an older epoch,
// and settles nothing any more. Unsent asks for no wait: the lane stops, and another life goes on from there.
func (r *reader) rewind(f *flight, seg *pipeline.Segment, now time.Time) {
	t := f.target
	t.epoch++
	t.wait = now
	switch {
	case seg.Verdict == pipeline.Back && seg.Paced:
		t.wait = now.Add(seg.RetryAfter)
	case seg.Verdict == pipeline.Back:
		d := min(backMost, backFirst<<min(t.attempts, 6))
		t.attempts++
		t.wait = now.Add(max(d/2+r.jitter(d/2), seg.RetryAfter))
	}
	from := f.place
	if from.file.gone {
		from = r.start()
	}
	r.setAside(t, from)
}

// setAside makes the main way pass over a target from now on. Call it with mu held.
func (r *reader) setAside(t *target, from place) {
	t.from = from
	if !t.aside {
		t.aside = true
		r.aside = append(r.aside, t)
	}
}

// rejoin lets the main way take a target's segments again.
func (r *reader) rejoin(t *target) {
	t.aside = false
	r.aside = slices.DeleteFunc(r.aside, func(x *target) bool { return x == t })
}
