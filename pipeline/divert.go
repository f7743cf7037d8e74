package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A diversion is a lane's spool mode. It belongs to the lane as a whole, so that no line can overtake another one that
// waits on disk:
//
//	straight ──── a request has failed for spoolAfter ────► diverted
//	    ▲                                                      │
//	    └───── the spool is empty, nothing of it under way ────┘
//
// While it lasts, the senders of the lane's shards append what they are handed to the spool, beginning with the blocks
// whose request failed, and a shard of the spool's own empties it into the store. A lane that finds something in its
// spool at the start begins diverted.
//
// A spool that is full, or whose disk fails, is backpressure: the sender waits with its blocks, and the files wait.
type diversion struct {
	Spool
	on     atomic.Bool
	number atomic.Int64 // counts diversions

	mu      sync.Mutex // held while the mode changes and while something is appended; never taken while straight
	since   time.Time  // when the diversion began
	refused int        // appends in a row that the spool did not take
	refuses error      // the kind of the last of them that was told
	not     time.Time  // a spool that failed at once is not tried again before
	linger  time.Time  // when the senders last began to wait for the spool's end
}

const (
	// spoolAfter is how long a request may fail before the lane is diverted. Most failures are shorter than that, and
	// the disk is spared them; rotation takes longer, and a deleted file is held open anyway.
	spoolAfter = 5 * time.Second
	// roomEvery is how often a sender asks again for room in a spool that is full or fails.
	roomEvery = 200 * time.Millisecond
	// notAgain is for how long a spool is left alone that is empty and does not even take the first block.
	notAgain = 30 * time.Second
	// nearlyEmpty is how little the spool's shard must have left to read for the senders to wait until it is done:
	// otherwise a busy log would keep a lane diverted for ever. They wait for lingerMost, once in lingerEvery, since a
	// container that the store throttles can keep the spool from its end.
	nearlyEmpty = 1 << 20
	lingerMost  = 2 * time.Second
	lingerEvery = 30 * time.Second
)

// diverted tells that lines go to the spool.
func (l *Lane) diverted() bool { return l.divert.on.Load() }

// appended is what came of an attempt to append.
type appended uint8

const (
	taken   appended = iota // it is on disk
	noRoom                  // not now
	goAhead                 // the lane is not diverted (any more): send it
)

// diverts tells that what the shard has in hand goes to the spool.
func (s *shard) diverts() bool { return !s.spool && s.lane.diverted() }

// despair gives pieces to the spool if the store has failed for so long, or will have after that rest, that the lane is
// diverted. It returns apart if they are to be tried again.
func (s *sending) despair(pieces []piece, rest time.Duration) Verdict {
	if s.spool || s.lane.divert.Spool == nil || !s.lane.diverted() && time.Since(s.failing)+rest < spoolAfter {
		return apart
	}
	return s.toSpool(pieces, true)
}

// toSpool appends what has no verdict yet of the segments that pieces belong to, and waits for room if need be. With begin,
// the lane is diverted for them. It returns InSpool; Unsent if the time to drain is up, for then they are in their files;
// or apart if they are to be sent after all.
func (s *sending) toSpool(pieces []piece, begin bool) Verdict {
	var whole []Piece
	for _, p := range pieces {
		seg := p.segment
		if seg.Verdict != Unsent || seg.Epoch < seg.Target.floor || seg.N == 0 {
			continue // it is decided, or will be without a request
		}
		if !slices.ContainsFunc(whole, func(w Piece) bool { return w.Segment == seg }) {
			whole = append(whole, Piece{p.block, seg})
		}
	}
	d := &s.lane.divert
	for len(whole) > 0 {
		if s.ctx.Err() != nil {
			return Unsent
		}
		if left := d.lingers(s.lane); left > 0 {
			s.waitFor(func() bool { return !s.lane.diverted() || !s.lane.stats.Up() }, left)
			continue
		}
		switch s.append(whole, begin) {
		case taken:
			return InSpool
		case goAhead:
			return apart
		}
		s.waitFor(func() bool { return false }, roomEvery)
	}
	return InSpool
}

// lingers is how long to wait yet for the spool's shard, which has nearly done.
func (d *diversion) lingers(l *Lane) time.Duration {
	if !l.diverted() || !l.stats.Up() || d.Figures().Left >= nearlyEmpty {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if now.Sub(d.linger) >= lingerEvery {
		d.linger = now
	}
	return max(0, d.linger.Add(lingerMost).Sub(now))
}

// waitFor sleeps until the bell is rung and ready holds, d has passed, or the time to drain is up.
func (s *sending) waitFor(ready func() bool, d time.Duration) {
	s.sendBeat.Waiting()
	s.senderBell.Wait(ready, d, s.ctx.Done())
	s.sendBeat.Busy()
}

// append makes one attempt. Before the first of a diversion, each sender has the cursors saved: what the spool holds of a
// target tells where its cursor is at the least, but not that the files before were delivered.
func (s *sending) append(pieces []Piece, begin bool) appended {
	d, l := &s.lane.divert, s.lane
	var err error
	if !d.on.Load() || s.anchored != d.number.Load() {
		s.sendBeat.Waiting()
		err = l.saveNow(s.ctx)
		s.sendBeat.Busy()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if !d.on.Load() {
		if !begin || now.Before(d.not) {
			return goAhead
		}
		d.on.Store(true)
		d.number.Add(1)
		d.since = now
		l.Log.Warn("sink keeps failing: its lines go to the spool", "sink", l.Name())
	}
	if err == nil {
		s.anchored = d.number.Load()
		err = d.Append(pieces)
	}
	switch {
	case err == nil:
		if d.refuses != nil {
			l.Log.Info("the spool takes lines again", "sink", l.Name(), "attempts", d.refused)
		}
		d.refused, d.refuses = 0, nil
		return taken
	case d.Empty():
		d.on.Store(false)
		d.not = now.Add(notAgain)
		l.Log.Error("the spool cannot be written: lines wait in their files", "sink", l.Name(), "error", err)
		return goAhead
	}
	d.refused++
	if full := errors.Is(err, ErrSpoolFull); d.refuses == nil || full != errors.Is(d.refuses, ErrSpoolFull) {
		d.refuses = err
		if full {
			l.Log.Warn("the spool is full: lines wait in their files until the sink takes some; give it more max_bytes, or drop_oldest",
				"sink", l.Name(), "max_bytes", d.Figures().MaxBytes)
		} else {
			l.Log.Error("the spool cannot be written: lines wait in their files", "sink", l.Name(), "error", err)
		}
	}
	return noRoom
}

// straighten ends the diversion if the spool is empty. The shard of the spool calls it when it may be.
func (l *Lane) straighten() {
	d := &l.divert
	if !d.on.Load() || !d.Empty() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.on.Load() || !d.Empty() {
		return // somebody has appended meanwhile
	}
	d.on.Store(false)
	d.refused, d.refuses = 0, nil
	l.Log.Info("the spool is empty: lines go straight to the sink again", "sink", l.Name(), "after", time.Since(d.since).Round(time.Second))
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.shards {
		s.senderBell.Ring()
	}
}

// openSpool starts the shard that empties the spool.
func (l *Lane) openSpool(ctx, drain context.Context, stages *sync.WaitGroup) {
	if l.divert.Spool == nil {
		return
	}
	if !l.divert.Empty() {
		l.divert.since = time.Now()
		l.divert.on.Store(true)
		f := l.divert.Figures()
		l.Log.Info("the spool holds lines from an earlier run: they go first", "sink", l.Name(), "bytes", f.Left)
	}
	s := newShard(l, "spool", l.spoolBlocks(), func(bell *Bell, beat *Beat) Reader {
		return l.divert.Open(l.Track, l.Forget, bell, beat)
	})
	s.spool = true
	s.start(ctx, drain, stages)
}

// SpoolFigures are those of the lane's spool, and whether lines go there now. There is no spool if configured is false.
func (l *Lane) SpoolFigures() (f SpoolFigures, diverted, configured bool) {
	if l.divert.Spool == nil {
		return f, false, false
	}
	return l.divert.Figures(), l.diverted(), true
}
