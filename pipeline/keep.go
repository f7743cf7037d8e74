package pipeline

import "time"

// saveEvery is how long a settled line may wait until its cursor is on disk; what a crash within it costs is that lines
// are sent again. A disk that is slow to sync gets more rest: saving takes a twentieth of the time at most.
const (
	saveEvery = 200 * time.Millisecond
	saveShare = 20
)

// keepCursors saves what has moved, until stop; then once more, when all readers have ended.
func (l *Lane) keepCursors(stop <-chan struct{}) {
	beat := l.Beat(l.Name() + "/cursors")
	defer beat.Waiting()
	var (
		wait   = saveEvery
		unsaid = true // a failure that the log has not heard of
		failed time.Time
	)
	for last := false; !last; {
		beat.Waiting()
		select {
		case <-time.After(wait):
		case <-stop:
			last = true
		}
		moved := l.movedCursors()
		if len(moved) == 0 && failed.IsZero() {
			continue
		}
		begin := time.Now()
		err := l.Store.Save(moved)
		wait = max(saveEvery, saveShare*time.Since(begin))
		switch {
		case err == nil && !failed.IsZero():
			l.Log.Info("cursors are saved again", "sink", l.Name(), "after", time.Since(failed).Round(time.Second))
			failed, unsaid = time.Time{}, true
		case err != nil:
			if failed.IsZero() {
				failed = begin
			}
			if unsaid {
				l.Log.Error("cursors cannot be saved: delivery goes on, but after a restart lines are sent again; make room or the folder writable",
					"sink", l.Name(), "error", err)
				unsaid = false
			}
			wait = max(wait, 5*time.Second)
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
