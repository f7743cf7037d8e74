package pipeline

import (
	"sync/atomic"
	"time"
)

// A Beat is how a goroutine says that it still goes round. The goroutine calls Busy when it begins a piece of work that
// must end soon by itself, and Waiting before it waits for something that may take for ever and is nobody's fault: a
// store, a disk, room, more to read. What is busy for too long hangs; what waits never does, so that an outage is no
// reason to restart leatd.
//
// One goroutine beats, any number look. Busy reads the clock once: call it once a block or once a request, never once a
// line. The zero Beat is waiting. All methods do nothing on a nil Beat, so a stage needs none in tests.
type Beat struct {
	since atomic.Int64 // ns since origin, never 0; 0 while waiting
}

// origin is where ticks count from.
var origin = time.Now()

// ticks is a clock that nobody can set: nanoseconds since origin, never 0. It is below zero where a test's clock stands
// before the process began.
func ticks() int64 {
	if t := int64(time.Since(origin)); t != 0 {
		return t
	}
	return 1
}

// Busy says that the goroutine passes here now and has work in hand.
func (b *Beat) Busy() {
	if b == nil {
		return
	}
	b.since.Store(ticks())
}

// Waiting says that the goroutine is about to wait, for as long as it takes.
func (b *Beat) Waiting() {
	if b != nil {
		b.since.Store(0)
	}
}

// Since is when the goroutine last said that it was busy, and false if it is waiting.
func (b *Beat) Since() (time.Time, bool) {
	if b == nil {
		return time.Time{}, false
	}
	since := b.since.Load()
	if since == 0 {
		return time.Time{}, false
	}
	return origin.Add(time.Duration(since)), true
}
