//go:build e2e

package main

import (
	"testing"
	"time"
)

// TestOutageFull: 18 s without a store, with rotation at 1 MiB, two rotated files kept, and 20,000 lines/s over five files.
func TestOutageFull(t *testing.T) {
	if underRace {
		t.Skip("SKIPPED: what is measured means nothing with the race detector")
	}
	for _, tt := range []outage{
		{name: "refused from the start", ailment: refused},
		{name: "refused", ailment: refused, after: 5 * time.Second},
		{name: "503 from the start", ailment: busy},
		{name: "503", ailment: busy, after: 5 * time.Second},
		{name: "black hole from the start", ailment: hole},
		{name: "black hole", ailment: hole, after: 5 * time.Second},
		{name: "refused and a kill", ailment: refused, after: 5 * time.Second, kill: 12 * time.Second},
		{name: "black hole and a kill", ailment: hole, after: 5 * time.Second, kill: 12 * time.Second, more: []string{"timeout: 3s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.lasts, tt.rate, tt.size = 18*time.Second, 20000, 1<<20
			t.Log(tt.run(t, "loki"))
		})
	}
}
