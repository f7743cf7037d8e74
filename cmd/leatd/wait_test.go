package main

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestWaitFor: what hangs in a system call doesn't keep leatd from stopping.
func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var quick, hung sync.WaitGroup
		quick.Go(func() { time.Sleep(time.Second) })
		release := make(chan struct{})
		hung.Go(func() { <-release })
		if !waitFor(&quick, discoveryStops) {
			t.Error("what ends was not waited for")
		}
		began := time.Now()
		if waitFor(&hung, discoveryStops) || time.Since(began) != discoveryStops {
			t.Errorf("waited %s for what hangs", time.Since(began))
		}
		close(release)
		synctest.Wait()
	})
}
