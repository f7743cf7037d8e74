//go:build e2e

package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
)

// TestPrometheusOutage: Prometheus is away for 20 intervals. Afterwards it has what was gathered meanwhile, at its own times;
// so it has when leatd is started anew in the middle; and when it is killed, all but one gathering that was on its way to the
// disk.
func TestPrometheusOutage(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*daemon)
		most float64 // gatherings that are counted when leatd ends, and missing afterwards
	}{
		{name: "leatd runs on"},
		{name: "leatd is stopped", end: (*daemon).stop, most: 0},
		{name: "leatd is killed", end: (*daemon).kill, most: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := startPrometheus(t, "")
			h := newHost(t)
			cfg := h.file("leat.yaml", fmt.Sprintf(`
node: node-1
state: %s
logs: {pods: ""}
metrics: {interval: 1s}
sinks:
  written: {type: remote_write, url: %s}
`, h.state, p.URL))
			d := start(t, "--config.file", cfg)
			eventually(t, "the first samples", func() error {
				if n := len(gathered(t, p)); n < 3 {
					return fmt.Errorf("there are %d", n)
				}
				return nil
			})
			began := time.Now()
			if err := p.Interrupt(); err != nil {
				t.Fatal(err)
			}
			var counted float64 // samples that were taken in when leatd ended
			if tc.end != nil {
				d.behind(10)
				counted = d.metrics().sum("leat_push_samples_total")
				told := time.Now()
				tc.end(d)
				if took := time.Since(told); took > 5*time.Second {
					t.Errorf("it took %s: a store that is away is waited for", took)
				}
				d = start(t, "--config.file", cfg)
			}
			d.behind(20)
			if err := p.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			ended := time.Now()
			d.eventually("Prometheus has all again", func() error {
				s := d.metrics()
				if lag := s.sum("leat_push_lag_seconds"); s.sum("leat_push_up") != 1 || lag > 2 {
					return fmt.Errorf("%v s behind", lag)
				}
				if n := s.sum("leat_push_dropped_samples_total"); n != 0 || s["leat_push_dropped_samples_total"] == nil {
					t.Fatalf("%v samples were dropped", n)
				}
				if samples := gathered(t, p); len(samples) == 0 || samples[len(samples)-1].Time < ended.UnixMilli() {
					return errors.New("of the time after the outage there is nothing yet")
				}
				return nil
			})
			lives := split(gathered(t, p))
			d.stop()

			// In a life each gathering has taken in one gathering more than the one before. Where one is missing, it is two.
			var size float64 // of the first life's gatherings
			for i, life := range lives {
				var steps []float64
				for k := range life[1:] {
					steps = append(steps, life[k+1].Value-life[k].Value)
				}
				slices.Sort(steps)
				if len(steps) < 5 || steps[0] < 100 || steps[len(steps)-1] > 1.5*steps[0] {
					t.Errorf("life %d: from gathering to gathering there are %v samples more: some are missing", i, steps)
				}
				t.Logf("life %d: %d gatherings of %v samples, over %s", i, len(life), steps[len(steps)/2], span(life))
				if i == 0 {
					size = steps[len(steps)/2]
				}
			}
			if from := lives[0][0].Time; from > began.UnixMilli() {
				t.Errorf("the first sample is %d ms younger than the outage's begin", from-began.UnixMilli())
			}
			if tc.end == nil {
				if len(lives) != 1 {
					t.Errorf("%d lives", len(lives))
				}
				return
			}
			if len(lives) != 2 {
				t.Fatalf("%d lives", len(lives))
			}
			// Each sample of the account is of the moment before its own gathering was taken in.
			first := lives[0]
			lost := math.Round((counted-first[len(first)-1].Value)/size) - 1
			t.Logf("of the gatherings that were counted when leatd ended, %v are missing", lost)
			if lost > tc.most {
				t.Errorf("%v gatherings are missing, want at most %v", lost, tc.most)
			}
		})
	}
}

// gathered is the account of what was taken in as Prometheus has it: one sample for each gathering that has arrived.
func gathered(t *testing.T, p *servers.Prometheus) []servers.Sample {
	t.Helper()
	series, err := p.Query(t.Context(), `leat_push_samples_total{job="leat", instance="node-1"}[5m]`, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(series) > 1 {
		t.Fatalf("%d series: %v", len(series), series)
	}
	if len(series) == 0 {
		return nil
	}
	return series[0].Samples
}

// split cuts a counter where it began anew.
func split(samples []servers.Sample) (lives [][]servers.Sample) {
	begin := 0
	for i := range samples {
		if i > 0 && samples[i].Value < samples[i-1].Value {
			lives, begin = append(lives, samples[begin:i]), i
		}
	}
	return append(lives, samples[begin:])
}

func span(samples []servers.Sample) time.Duration {
	return time.Duration(samples[len(samples)-1].Time-samples[0].Time) * time.Millisecond
}

// behind waits until the oldest sample that is not delivered has an age.
func (d *daemon) behind(seconds float64) {
	d.t.Helper()
	d.eventually(fmt.Sprintf("%v s without a store", seconds), func() error {
		if d.metrics().sum("leat_push_lag_seconds") < seconds {
			return errors.New("it is less")
		}
		return nil
	})
}
