package pipeline

import (
	"sync/atomic"
	"time"
)

// A Bell wakes a stage that waits for work. Any goroutine may Ring; only the bell's owner calls Wait. While the owner is
// awake a Ring is one atomic load, so a stage under load never touches the channel.
//
// No wake-up is lost: the owner first says that it sleeps and then looks once more for work; a ringer first leaves the
// work and then looks whether the owner sleeps.
type Bell struct {
	asleep atomic.Bool
	tokens chan struct{} // holds one; written by the ringer that turned asleep off, read by Wait
	timer  *time.Timer   // owned by Wait
}

// NewBell makes a bell.
func NewBell() *Bell {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &Bell{tokens: make(chan struct{}, 1), timer: t}
}

// Ring wakes the owner if it waits.
func (b *Bell) Ring() {
	if b.asleep.Load() && b.asleep.CompareAndSwap(true, false) {
		b.tokens <- struct{}{} // never waits: there is one token per sleep, and the sleeper takes it
	}
}

// Wait sleeps until the bell is rung, d has passed (no limit if d < 0) or done is closed. It doesn't sleep at all if
// ready already holds.
func (b *Bell) Wait(ready func() bool, d time.Duration, done <-chan struct{}) {
	b.asleep.Store(true)
	if ready() || d == 0 {
		b.wake()
		return
	}
	var timeout <-chan time.Time
	if d > 0 {
		b.timer.Reset(d)
		timeout = b.timer.C
	}
	select {
	case <-b.tokens:
	case <-timeout:
		b.wake()
	case <-done:
		b.wake()
	}
	if d > 0 {
		b.timer.Stop()
	}
}

// wake ends a sleep that no ringer ended. If one did at the same moment, its token is on the way and is taken.
func (b *Bell) wake() {
	if !b.asleep.CompareAndSwap(true, false) {
		<-b.tokens
	}
}
