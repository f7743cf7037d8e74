package pipeline

import (
	"bytes"
	"context"
	"time"
)

// saveEvery is how long a settled line may wait until its cursor is on disk; what a crash within it costs is that lines
// are sent again. A disk that is slow to sync gets more rest: saving takes a third of the time, until that would be
// a rest of more than saveRest.
const (
	saveEvery = 100 * time.Millisecond
	saveShare = 2
	saveRest  = 30 * time.Second
	// saveFailed is the rest after a save that failed.
	saveFailed = 5 * time.Second
	// claimWithin is how long a target that was saved in an earlier life may take to be found again, before its cursor
	// goes: a state folder must not grow with every pod that ends while leatd is down.
	claimWithin = time.Hour
)

// keepCursors saves what has moved, until stop; then once more, when all readers have ended. It has no beat: all that it
// ever waits for is a disk, its own or a reader's.
func (l *Lane) keepCursors(stop <-chan struct{}) {
	var (
		wait     = saveEvery
		failures int
		since    time.Time // when the first of them was
		spool    []byte    // its state as last saved
	)
	prune := time.Now().Add(claimWithin)
	for last := false; !last; {
		var asked chan<- error
		select {
		case <-time.After(wait):
		case asked = <-l.saves:
		case <-stop:
			last = true
		}
		moved := l.movedCursors()
		forgot := false
		if !prune.IsZero() && !time.Now().Before(prune) {
			prune = time.Time{}
			forgot = l.forgetUnclaimed()
		}
		state := l.spoolState()
		if len(moved) == 0 && failures == 0 && !forgot && bytes.Equal(state, spool) {
			if asked != nil {
				asked <- nil
			}
			continue
		}
		begin := time.Now()
		err := l.Store.Save(moved, state)
		if asked != nil {
			asked <- err
		}
		wait = min(max(saveEvery, saveShare*time.Since(begin)), saveRest)
		if err == nil {
			if spool = state; spool != nil {
				l.divert.Saved()
			}
			if failures > 0 {
				l.Log.Info("cursors are saved again", "sink", l.Name(), "after", time.Since(since).Round(time.Second), "failures", failures)
			}
			failures = 0
			continue
		}
		wait = max(wait, saveFailed)
		if failures++; failures == 1 {
			since = begin
		}
		if failures == 1 || last {
			l.Log.Error("cursors cannot be saved: delivery goes on, but after a restart lines are sent again; make room or the folder writable",
				"sink", l.Name(), "error", err, "failures", failures)
		}
	}
}

// saveNow has the keeper save the cursors of all that has come home, and waits until they are on disk.
func (l *Lane) saveNow(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case l.saves <- answer:
		return <-answer
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forgetUnclaimed lets go of targets that ended while leatd was not running. What was written to their last files after
// leatd stopped is gone, nobody knows how much: a gap.
func (l *Lane) forgetUnclaimed() bool {
	forgotten := l.Store.forgetUnclaimed()
	gaps := int64(0)
	for _, c := range forgotten {
		n := c.unfinished()
		if n > 0 {
			lt := l.Track(targetOf(c.Key))
			lt.Account.Update(func(f *Figures) { f.Gaps = n })
			l.Forget(lt)
		}
		gaps += n
	}
	if len(forgotten) == 0 {
		return false
	}
	l.Log.Warn("logs that ended while leatd was not running: their cursors are forgotten, and what their last files got after it stopped was not read",
		"sink", l.Name(), "targets", len(forgotten), "gaps", gaps)
	return true
}

func (l *Lane) spoolState() []byte {
	if l.divert.Spool == nil {
		return nil
	}
	return l.divert.State()
}

// movedCursors asks every shard's reading goroutine for the cursors that have moved. It never waits for a store, only
// for the reader's present read to end.
func (l *Lane) movedCursors() (moved []Cursor) {
	l.mu.Lock()
	shards := append([]*shard(nil), l.shards...)
	l.mu.Unlock()
	for _, s := range shards {
		if !s.moved.Swap(false) {
			continue
		}
		call := &cursorCall{cursors: moved, done: make(chan struct{})}
		s.ask.Store(call)
		s.readerBell.Ring()
		select {
		case <-call.done:
		case <-s.ended: // the reader belongs to nobody now: ask it ourselves, unless it has just answered
			if s.ask.Swap(nil) != nil {
				call.cursors = s.reader.Cursors(call.cursors)
			} else {
				<-call.done
			}
		}
		moved = call.cursors
	}
	return moved
}
