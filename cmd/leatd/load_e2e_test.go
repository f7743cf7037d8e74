//go:build e2e

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What a gigabyte may cost.
const (
	mostMemory = 64 << 20 // resident, for every kind of sink
	mostCPU    = 1.8      // times the bare loop's, for loki
)

// TestGigabyte: 1 GiB in 10 files comes exactly once and in order by each way out, in bounded memory, and to Loki at
// little more CPU than the least possible. It is not parallel: nothing else is to run beside what is measured.
func TestGigabyte(t *testing.T) {
	if underRace {
		t.Skip("SKIPPED: what is measured means nothing with the race detector")
	}
	c := writeCorpus(t, filepath.Join(t.TempDir(), "pods"), 10, 1<<30)
	// The machine is not always equally fast, so each run is held against the bare loop just before and just after it, and
	// the run that was disturbed the least counts. The store only swallows then: its work is not leatd's.
	bare := []time.Duration{c.bareLoop(t)}
	var ratios []float64
	for range 3 {
		cpu := c.swallowed(t)
		bare = append(bare, c.bareLoop(t))
		around := (bare[len(bare)-2] + bare[len(bare)-1]) / 2
		ratios = append(ratios, cpu.Seconds()/around.Seconds())
		t.Logf("loki: %d lines: CPU %.2f s; bare loop around it %.2f s: %.2f times", c.total, cpu.Seconds(), around.Seconds(), ratios[len(ratios)-1])
	}
	if least := slices.Min(ratios); least > mostCPU {
		t.Errorf("leatd takes %.2f times the CPU of the bare loop, want at most %.1f", least, mostCPU)
	}
	for _, out := range outlets {
		r := c.carry(t, out.kind, out.more...)
		t.Logf("%s: %v", out.name, r)
		r.bounded(t, out.name)
	}
}

// swallowed is the CPU that leatd takes to carry the corpus to a Loki that takes everything and keeps nothing.
func (c *corpus) swallowed(t *testing.T) time.Duration {
	t.Helper()
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer store.Close()
	h := newHost(t)
	h.pods = c.pods
	d := start(t, append([]string{"--config.file", h.config("loki", store.URL, atFullSpeed)}, loadFlags...)...)
	tick := time.NewTicker(100 * time.Millisecond) // a scrape costs CPU, too
	defer tick.Stop()
	for began := time.Now(); d.metrics().sum("leat_log_delivered_lines_total") < float64(c.total); <-tick.C {
		if time.Since(began) > patience {
			t.Fatal("not delivered in time")
		}
	}
	d.stop()
	return d.cmd.ProcessState.UserTime() + d.cmd.ProcessState.SystemTime()
}

func (c carried) bounded(t *testing.T, name string) {
	t.Helper()
	if c.peak > mostMemory {
		t.Errorf("%s: leatd had %.1f MiB resident, want at most %d", name, float64(c.peak)/(1<<20), mostMemory>>20)
	}
}
