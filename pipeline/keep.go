package pipeline

import "time"

// saveEvery is how long a settled line may wait until its cursor is on disk; what a crash within it costs is that lines
// are sent again. A disk that is slow to sync gets more rest: saving takes a twentieth of the time, until that would be
// a rest of more than saveRest.
const (
	saveEvery = 200 * time.Millisecond
	saveShare = 20
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
	)
	prune := time.Now().Add(claimWithin)
	for last := false; !last; {
		select {
		case <-time.After(wait):
		case <-stop:
			last = true
		}
		moved := l.movedCursors()
		forgotten := 0
		if !prune.IsZero() && !time.Now().Before(prune) {
			prune = time.Time{}
			if forgotten = l.Store.forgetUnclaimed(); forgotten > 0 {
				l.Log.Info("logs that ended while leatd was not running: their cursors are forgotten", "sink", l.Name(), "targets", forgotten)
			}
		}
		if len(moved) == 0 && failures == 0 && forgotten == 0 {
			continue
		}
		begin := time.Now()
		err := l.Store.Save(moved, nil)
		wait = min(max(saveEvery, saveShare*time.Since(begin)), saveRest)
		if err == nil {
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
