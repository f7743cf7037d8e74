package pipeline

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestBellLosesNoWakeUp hands work to a sleeper from several goroutines at once. If one wake-up were lost, the sleeper
// would sleep its hour with work waiting, and the bubble's clock would show it.
func TestBellLosesNoWakeUp(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			const ringers, each = 4, 500
			bell := NewBell()
			var work atomic.Int64
			var wg sync.WaitGroup
			begin := time.Now()
			for i := range uint64(ringers) {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, i))
					for range each {
						work.Add(1)
						bell.Ring()
						switch rnd.IntN(8) {
						case 0:
							time.Sleep(time.Duration(rnd.IntN(3)))
						case 1, 2:
							runtime.Gosched()
						}
					}
				})
			}
			for done := int64(0); done < ringers*each; {
				bell.Wait(func() bool { return work.Load() > 0 }, time.Hour, nil)
				done += work.Swap(0)
			}
			wg.Wait()
			if d := time.Since(begin); d >= time.Hour {
				t.Errorf("seed %d: the sleeper overslept: %s", seed, d)
			}
		})
	}
}

// TestBellStress is the same on the real clock, where goroutines truly run side by side.
func TestBellStress(t *testing.T) {
	const total = 20000
	bells := [2]*Bell{NewBell(), NewBell()}
	rings := [2]*Ring[int]{NewRing[int](1), NewRing[int](1)}
	var wg sync.WaitGroup
	for me := range 2 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(me), 7))
			for n := 0; n < total; {
				if v, ok := rings[me].Take(); ok {
					if v != n {
						t.Errorf("got %d, want %d", v, n)
					}
					pause(rnd)
					rings[1-me].Put(v + me) // comes back one higher
					bells[1-me].Ring()
					n++
					continue
				}
				begin := time.Now()
				bells[me].Wait(func() bool { return !rings[me].Empty() }, 20*time.Second, nil)
				if time.Since(begin) >= 20*time.Second {
					t.Error("a wake-up was lost")
					return
				}
			}
		})
	}
	rings[0].Put(0)
	bells[0].Ring()
	wg.Wait()
}

func TestBellTiming(t *testing.T) {
	never := func() bool { return false }
	wait := func(b *Bell, ready func() bool, d time.Duration, done <-chan struct{}) time.Duration {
		begin := time.Now()
		b.Wait(ready, d, done)
		return time.Since(begin)
	}
	synctest.Test(t, func(t *testing.T) {
		b := NewBell()
		done := make(chan struct{})
		for name, c := range map[string]struct {
			got, want time.Duration
		}{
			"ready":                        {wait(b, func() bool { return true }, time.Hour, nil), 0},
			"no time":                      {wait(b, never, 0, nil), 0},
			"timeout":                      {wait(b, never, 3*time.Second, nil), 3 * time.Second},
			"once more":                    {wait(b, never, time.Second, nil), time.Second},
			"rung early":                   {func() time.Duration { b.Ring(); return wait(b, never, time.Second, nil) }(), time.Second}, // nobody slept: no token is left behind
			"rung while it looks for work": {wait(b, func() bool { b.Ring(); return false }, time.Hour, nil), 0},
			"rung": {func() time.Duration {
				time.AfterFunc(2*time.Second, b.Ring)
				return wait(b, never, time.Hour, nil)
			}(), 2 * time.Second},
			"rung, no limit": {func() time.Duration {
				time.AfterFunc(2*time.Second, func() { b.Ring(); b.Ring(); b.Ring() })
				defer synctest.Wait() // the last of them may come when the sleep is over
				return wait(b, never, -1, nil)
			}(), 2 * time.Second},
			"after three rings": {wait(b, never, time.Second, nil), time.Second},
			"at the same moment": {func() time.Duration { // a ring and the timeout meet
				time.AfterFunc(time.Second, b.Ring)
				defer synctest.Wait() // the ring is over
				return wait(b, never, time.Second, nil)
			}(), time.Second},
			"after that": {wait(b, never, time.Second, nil), time.Second},
			"done": {func() time.Duration {
				time.AfterFunc(4*time.Second, func() { close(done) })
				return wait(b, never, time.Hour, done)
			}(), 4 * time.Second},
			"done already": {wait(b, never, time.Hour, done), 0},
			"after done":   {wait(b, never, 5*time.Second, nil), 5 * time.Second}, // the hour that was left is no timeout of this one
		} {
			if c.got != c.want {
				t.Errorf("%s: slept %s, want %s", name, c.got, c.want)
			}
		}
		if len(b.tokens) > 0 || b.asleep.Load() {
			t.Error("a token is left, or the bell thinks that its owner sleeps")
		}
	})
}

// TestBellTakesLateToken: where a ring and the end of a sleep meet, the ring's token is taken with it and wakes no later
// sleep for nothing.
func TestBellTakesLateToken(t *testing.T) {
	b := NewBell()
	b.asleep.Store(true)
	b.Ring() // the sleeper is just waking by itself
	b.wake()
	if len(b.tokens) > 0 || b.asleep.Load() {
		t.Error("the token stays")
	}
}

func BenchmarkBellRingAwake(b *testing.B) {
	bell := NewBell()
	b.ReportAllocs()
	for b.Loop() {
		bell.Ring()
	}
}
