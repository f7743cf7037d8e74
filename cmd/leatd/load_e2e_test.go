//go:build e2e

package main

import (
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
	// Before and after and between what they are compared with, for the machine is not always equally fast.
	bare := []time.Duration{c.bareLoop(t)}
	var whole []time.Duration
	for range 3 {
		r := c.carry(t, "loki")
		t.Logf("loki: %d lines: %v", c.total, r)
		whole = append(whole, r.cpu)
		bare = append(bare, c.bareLoop(t))
		r.bounded(t, "loki")
	}
	least, cost := slices.Min(bare), slices.Min(whole)
	ratio := cost.Seconds() / least.Seconds()
	t.Logf("CPU for 1 GiB to loki: bare loop %v, leatd %v; at their best %.2f s and %.2f s: %.2f times", bare, whole, least.Seconds(), cost.Seconds(), ratio)
	if ratio > mostCPU {
		t.Errorf("leatd takes %.2f times the CPU of the bare loop, want at most %.1f", ratio, mostCPU)
	}
	for _, out := range outlets[1:] {
		r := c.carry(t, out.kind, out.more...)
		t.Logf("%s: %v", out.name, r)
		r.bounded(t, out.name)
	}
}

func (c carried) bounded(t *testing.T, name string) {
	t.Helper()
	if c.peak > mostMemory {
		t.Errorf("%s: leatd had %.1f MiB resident, want at most %d", name, float64(c.peak)/(1<<20), mostMemory>>20)
	}
}
