//go:build e2e

package main

import (
	"os"
	"testing"
	"time"

	"github.com/leatd/leat/collector/simulate"
)

// TestHour: an hour's outage at 2,000 lines/s fits in the spool's default bound, and it drains fast once the store is back,
// while new lines keep flowing. What is written is a part of that hour's lines; the spool has so many bytes a line, whoever
// counts them.
func TestHour(t *testing.T) {
	if underRace {
		t.Skip("SKIPPED: what is measured means nothing with the race detector")
	}
	const (
		rate  = 2000             // lines a second
		lines = rate * 3600      // of an hour
		bound = 1 << 30          // bytes of the spool
		least = 100 << 20        // bytes of log a second
		patch = int64(384) << 20 // bytes of log that are written
		soon  = 2 * time.Minute  // it must be in the spool, and drained again
	)
	h, store := newHost(t), newGate(t, "loki")
	store.turn(refused)
	c := writeCorpus(t, h.pods, 10, patch)
	var size int64
	for _, name := range c.files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	d := start(t, "--config.file", h.config("loki", store.URL, "stream_rate: 0"))
	w := d.watch()
	poll := func(what string, ok func(s scrape) bool) time.Time {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(soon); ; {
			now := <-tick.C
			if ok(d.metrics()) {
				return now
			}
			if now.After(deadline) {
				t.Fatalf("%s: not within %s", what, soon)
			}
		}
	}
	poll("all lines are read", func(s scrape) bool { return s.sum("leat_log_read_lines_total") == float64(c.total) })
	_, spooled := h.spoolFiles()
	l := h.flow(5, rate, simulate.Spec{})
	hour := float64(spooled) / float64(c.total) * lines
	t.Logf("%d lines, %.1f bytes each on disk; %.1f in the spool; an hour takes %.0f MiB", c.total, float64(size)/float64(c.total),
		float64(spooled)/float64(c.total), hour/(1<<20))
	if hour > bound {
		t.Errorf("an hour at %d lines/s takes %.0f MiB in the spool, want at most %d", rate, hour/(1<<20), bound>>20)
	}

	store.turn(well)
	delivered := func(share float64) func(s scrape) bool {
		return func(s scrape) bool { return s.sum("leat_log_delivered_lines_total") > share*float64(c.total) }
	}
	began := poll("the first lines", delivered(0))
	took := poll("all lines", delivered(1)).Sub(began)
	speed := float64(size) / took.Seconds()
	t.Logf("drained in %.2f s: %.0f MiB/s", took.Seconds(), speed/(1<<20))
	if speed < least {
		t.Errorf("the spool drains at %.0f MiB/s, want at least %d", speed/(1<<20), least>>20)
	}
	for name, n := range c.lines {
		store.verify.Expect(name, n)
	}
	var s suffered
	l.last(t, store.depot, &s)
	s.watched(t, w)
	s.bounded(t)
	d.balanced()
	d.stop()
	if s.twice > 0 {
		t.Errorf("%d lines came twice", s.twice)
	}
	t.Logf("peak of resident memory %.1f MiB", float64(s.peak)/(1<<20))
}
