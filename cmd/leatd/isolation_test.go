package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/sinks/sinktest"
)

// A meter takes the time that lines need from their container to a store.
type meter struct {
	but string // a container that does not count

	mu   sync.Mutex
	took []time.Duration
	on   bool
}

// measure makes a meter for a depot that has not been sent anything yet.
func (d *depot) measure(but string) *meter {
	m := &meter{but: but}
	d.seen = m.line
	return m
}

func (m *meter) line(container string, at int64) {
	took := time.Since(time.Unix(0, at))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.on && container != m.but {
		m.took = append(m.took, took)
	}
}

// turn begins or ends the measurement.
func (m *meter) turn(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = on
}

// A service is how a store was served: the lines that came within the measurement, and how long they took.
type service struct {
	lines       int
	median, p99 time.Duration
}

func (s service) String() string {
	return fmt.Sprintf("%d lines, median %d ms, p99 %d ms", s.lines, s.median.Milliseconds(), s.p99.Milliseconds())
}

func (m *meter) service() service {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.took)
	if n == 0 {
		return service{}
	}
	slices.Sort(m.took)
	return service{n, m.took[n/2], m.took[n*99/100]}
}

// attempts is how often a measurement is made that the rest of the machine has disturbed.
const attempts = 5

// atLeastOnce makes a measurement until nothing is wrong with it.
func atLeastOnce(t *testing.T, measurement func(t *testing.T) error) {
	t.Helper()
	for i := range attempts {
		err := measurement(t)
		if err == nil {
			return
		}
		t.Logf("attempt %d: %v", i+1, err)
	}
	t.Errorf("not once in %d attempts", attempts)
}

// An isolation is a leatd with three sinks of which one may be ill.
type isolation struct {
	ill     string // the kind of the sink; its other ways out are the neighbours
	ailment func(*gate)
}

// kinds are the sinks of these tests.
var kinds = []string{"loki", "otlp", "http"}

const (
	isolatedFiles = 10
	warmUp        = 500 * time.Millisecond
	measured      = 2500 * time.Millisecond
)

// run returns how the neighbours of the ill sink are served: beside it, or without it.
func (c isolation) run(t *testing.T, beside bool, rate int) map[string]service {
	t.Helper()
	h := newHost(t)
	var sinks strings.Builder
	stores, meters := map[string]*gate{}, map[string]*meter{}
	for _, kind := range kinds {
		if kind == c.ill && !beside {
			continue
		}
		store := newGate(t, kind)
		if kind == c.ill {
			c.ailment(store)
		} else {
			stores[kind], meters[kind] = store, store.measure("")
		}
		fmt.Fprintf(&sinks, "  %s: {type: %[1]s, url: %s, timeout: 1m}\n", kind, store.URL)
	}
	cfg := h.file("leat.yaml", logsOnly+fmt.Sprintf("node: node-1\nstate: %s\nlogs: {pods: %s}\nsinks:\n%s", h.state, h.pods, &sinks))
	d := start(t, "--config.file", cfg)
	l := h.flow(isolatedFiles, rate, simulate.Spec{})
	<-time.After(warmUp)
	for _, m := range meters {
		m.turn(true)
	}
	<-time.After(measured)
	for _, m := range meters {
		m.turn(false)
	}
	got := map[string]service{}
	for kind, store := range stores {
		got[kind] = meters[kind].service()
		var s suffered
		l.last(t, store.depot, &s)
		if s.twice > 0 {
			t.Errorf("%s: %d lines came twice", kind, s.twice)
		}
	}
	d.balanced()
	d.kill() // a store that hangs is waited for otherwise
	return got
}

// near tells whether what was measured beside an ill sink is within a tenth of what was measured without it. The median
// is given a few milliseconds more, which is what a clock tick and a scheduler cost.
func (s service) near(without service) error {
	const slack = 5 * time.Millisecond
	if float64(s.lines) < 0.9*float64(without.lines) || s.median > without.median*11/10+slack {
		return fmt.Errorf("%v; without the ill sink %v", s, without)
	}
	return nil
}

// TestSinksAreApart: a sink that is dead, slow, or refuses everything costs the other two nothing. It is not parallel:
// nothing else is to run beside what is measured.
func TestSinksAreApart(t *testing.T) {
	tests := []struct {
		name string
		isolation
	}{
		{"dead", isolation{"loki", func(g *gate) { g.turn(refused) }}},
		{"slow", isolation{"otlp", func(g *gate) { g.turn(hole) }}}, // its answer comes later than the test ends
		{"refusing", isolation{"http", func(g *gate) { g.turn(grudge) }}},
	}
	rate := 10000
	if underRace {
		rate = 1000
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if underRace { // what is measured means nothing, but nothing may be missing
				tt.run(t, true, rate)
				return
			}
			atLeastOnce(t, func(t *testing.T) error {
				without, beside := tt.run(t, false, rate), tt.run(t, true, rate)
				for kind := range without {
					if err := beside[kind].near(without[kind]); err != nil {
						return fmt.Errorf("%s: %w", kind, err)
					}
					t.Logf("%s: %v; without the ill sink %v", kind, beside[kind], without[kind])
				}
				return nil
			})
		})
	}
}

// TestContainersAreApart: of a hundred containers one is throttled by the store. The other ninety-nine are delivered
// within their usual time, and it catches up when it is allowed to.
func TestContainersAreApart(t *testing.T) {
	const noisy = "load/pod-42/app"
	rate, lasts := 5000, 4*time.Second
	if underRace {
		rate, lasts = 1000, 2*time.Second
	}
	run := func(t *testing.T, throttled bool) service {
		h, store := newHost(t), newDepot(t, "loki").choosy()
		store.keep = false
		m := store.measure(noisy)
		if throttled {
			store.answer(func(lines []sinktest.Line) sinktest.Reply {
				if slices.ContainsFunc(lines, func(l sinktest.Line) bool { return l.Pod == "pod-42" }) {
					return sinktest.Reply{Status: 429, Body: perStream}
				}
				return sinktest.Reply{}
			})
		}
		cfg := h.file("leat.yaml", logsOnly+fmt.Sprintf("node: node-1\nstate: %s\nlogs: {pods: %s}\nsinks:\n  central: {type: loki, url: %s}\n",
			h.state, h.pods, store.URL))
		d := start(t, "--config.file", cfg)
		w := d.watch()
		l := h.flow(100, rate, simulate.Spec{})
		<-time.After(warmUp)
		m.turn(true)
		<-time.After(lasts)
		m.turn(false)
		got := m.service()
		if delivered := d.metrics().sum("leat_log_delivered_lines_total", "pod=pod-42"); throttled == (delivered > 0) {
			t.Errorf("of the throttled container %v lines are delivered", delivered)
		}
		store.answer(nil)
		var s suffered
		l.last(t, store, &s)
		s.watched(t, w)
		if s.twice > 0 {
			t.Errorf("%d lines came twice", s.twice)
		}
		d.balanced()
		d.stop()
		return got
	}
	if underRace {
		run(t, true)
		return
	}
	atLeastOnce(t, func(t *testing.T) error {
		without, beside := run(t, false), run(t, true)
		if beside.p99 > without.p99*5/4+20*time.Millisecond || float64(beside.lines) < 0.9*float64(without.lines) {
			return fmt.Errorf("%v; with none throttled %v", beside, without)
		}
		t.Logf("%v; with none throttled %v", beside, without)
		return nil
	})
}
