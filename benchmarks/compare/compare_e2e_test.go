//go:build e2e

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLeatd: the whole comparison with leatd itself, in short. Goals are for a quiet machine and longer runs; here every
// figure has to be there and to make sense, and no line may be missing, twice, out of order or foreign.
func TestLeatd(t *testing.T) {
	var progress bytes.Buffer
	o := options{size: 8 << 20, repeat: 1, window: 3 * time.Second, folder: t.TempDir(), profile: filepath.Join(t.TempDir(), "profile"),
		quiet: 500 * time.Millisecond, patience: 30 * time.Second}
	b, err := newBench(t.Context(), o, []string{ours}, &progress)
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := choose([]string{"backlog", "paced/otlp"})
	if err != nil {
		t.Fatal(err)
	}
	results, err := b.all(t.Context(), chosen)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	sane := map[string][2]float64{ // by key of row: the least and the greatest
		"cpu": {0.1, 100}, "times": {0.5, 100}, "speed": {1, 5000}, "start": {1, 5000}, "peak": {10, 100}, "ratio": {3, 10},
		"cores": {0.001, 0.5}, "p50": {0.1, 2000}, "p99": {1, 5000},
		"missing": {0, 0}, "twice": {0, 0}, "disorder": {0, 0}, "foreign": {0, 0},
	}
	for _, r := range results {
		name := b.contenders[0].String()
		for _, row := range r.scenario.rows {
			if row.key == "times" && !r.scenario.bare {
				continue
			}
			v, ok := r.runs[name][0][row.key]
			if within := sane[row.key]; !ok || v < within[0] || v > within[1] {
				t.Errorf("%s: %s: %v, want %v", r.scenario.title(), row.label, v, within)
			}
		}
		var table strings.Builder
		r.write(&table)
		t.Log(table.String())
	}
	for _, name := range []string{"loki-cpu", "loki-heap", "otlp-mutex", "otlp-block"} {
		if info, err := os.Stat(filepath.Join(o.profile, name+".pprof")); err != nil || info.Size() < 100 {
			t.Errorf("profile %s: %v", name, err)
		}
	}
}
