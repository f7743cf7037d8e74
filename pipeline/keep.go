package pipeline

import (
	"bytes"
	"context"
	"time"
)

// A cursor that has moved is saved within saveLazy, and within saveEvery if more than saveLines records have come home or
// the lane stops: what a crash costs is that lines are sent again. A disk that is slow to sync gets more rest: saving
// takes a third of the time, until that would be a rest of more than saveRest.
const (
	saveEvery = 100 * time.Millisecond
	saveLazy  = 5 * time.Second
	saveLines = 3000
	saveShare = 2
	saveRest  = 30 * time.Second
	// saveFailed is the rest after a save that failed.
	saveFailed = 5 * time.Second
	// claimWithin is how long a target that was saved in an earlier life may take to be found again, before its cursor
	// goes: a state folder must not grow with every pod that ends while leatd is down.
	claimWithin = time.Hour
)

// A keeper saves a lane's cursors. It sleeps while nothing moves.
type keeper struct {
	*Lane
	ending <-chan struct{} // closed when nothing more is read; nil once that was heard
	stop   <-chan struct{} // closed when all has come home
	timer  *time.Timer
	lazy   time.Duration

	rest     time.Duration // after the last save
	idle     bool          // the last look found nothing to save
	prune    time.Time     // when to forget what nobody claims; zero afterwards
	spool    []byte        // its state as last saved
	failures int           // in a row
	since    time.Time     // when the first of them was
}

// keepCursors saves what has moved, until stop; then once more, when all readers have ended. From ending on it does not
// wait for more to save: whoever stops a process may lose patience. It has no beat: all that it ever waits for is a disk,
// its own or a reader's.
func (l *Lane) keepCursors(ending, stop <-chan struct{}) {
	k := keeper{Lane: l, ending: ending, stop: stop, timer: time.NewTimer(time.Hour), lazy: saveLazy, prune: time.Now().Add(claimWithin)}
	defer k.timer.Stop()
	for {
		asked, last := k.wait()
		err := k.look(last)
		if asked != nil {
			asked <- err
		}
		if last {
			return
		}
	}
}

// wait sleeps until it is time to look: something has moved and enough has come home or saveLazy has passed, somebody
// asks, or the end has come.
func (k *keeper) wait() (asked chan<- error, last bool) {
	begin := time.Now()
	due := k.prune
	if !k.idle || k.diverted() {
		due = begin.Add(max(k.rest, k.lazy))
	}
	for {
		if k.settled.Load() >= saveLines {
			due = begin.Add(max(k.rest, saveEvery))
		}
		var timeout <-chan time.Time
		if !due.IsZero() {
			k.timer.Reset(time.Until(due))
			timeout = k.timer.C
		}
		select {
		case <-timeout:
			return nil, false
		case <-k.stirred:
			if k.idle {
				k.idle = false
				due = latest(begin.Add(k.rest), time.Now().Add(k.lazy))
			}
		case <-k.ending:
			k.ending, k.lazy = nil, saveEvery
			if !k.idle {
				due = begin.Add(max(k.rest, saveEvery))
			}
		case asked := <-k.saves:
			return asked, false
		case <-k.stop:
			return nil, true
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// look saves what has moved since the last look.
func (k *keeper) look(last bool) error {
	k.settled.Store(0)
	moved := k.movedCursors()
	forgot := false
	if !k.prune.IsZero() && !time.Now().Before(k.prune) {
		k.prune = time.Time{}
		forgot = k.forgetUnclaimed()
	}
	state := k.spoolState()
	k.idle = len(moved) == 0 && k.failures == 0 && !forgot && bytes.Equal(state, k.spool)
	if k.idle {
		k.Store.text = nil // nothing moves: its room can go to others
		return nil
	}
	begin := time.Now()
	err := k.Store.Save(moved, state)
	k.rest = min(saveShare*time.Since(begin), saveRest)
	if err == nil {
		if k.spool = state; state != nil {
			k.divert.Saved()
		}
		if k.failures > 0 {
			k.Log.Info("cursors are saved again", "sink", k.Name(), "after", time.Since(k.since).Round(time.Second), "failures", k.failures)
		}
		k.failures = 0
		return nil
	}
	k.rest = max(k.rest, saveFailed)
	if k.failures++; k.failures == 1 {
		k.since = begin
	}
	if k.failures == 1 || last {
		k.Log.Error("cursors cannot be saved: delivery goes on, but after a restart lines are sent again; make room or the folder writable",
			"sink", k.Name(), "error", err, "failures", k.failures)
	}
	return err
}

// stir tells the keeper that there may be something to save. It never waits.
func (l *Lane) stir() {
	select {
	case l.stirred <- struct{}{}:
	default:
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
