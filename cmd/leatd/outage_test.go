package main

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/collector/simulate"
)

// An outage is a store that fails for a while, beside containers whose files are rotated fast.
type outage struct {
	name    string
	ailment ailment
	after   time.Duration // of a good beginning; 0: the store is down at the start
	lasts   time.Duration
	rate    int   // lines a second, over all files
	size    int64 // at which a file is rotated
	more    []string

	// kill is when leatd is killed, counted from the beginning of the outage; 0: it is not. By then its lines must be in the
	// spool, for the files that held them are gone.
	kill time.Duration
}

const (
	outageFiles = 5
	outageKeeps = 3 // files of a container: two rotated ones and the current one
	afterwards  = 2 * time.Second
)

func (o outage) run(t *testing.T, kind string) suffered {
	t.Helper()
	h, store := newHost(t), newGate(t, kind)
	var s suffered
	began := time.Now()
	until := func(at time.Duration) { <-time.After(time.Until(began.Add(at))) }
	if o.after == 0 {
		store.turn(o.ailment)
	}
	cfg := h.config(kind, store.URL, o.more...)
	d := start(t, "--config.file", cfg)
	w := d.watch()
	l := h.flow(outageFiles, o.rate, simulate.Spec{MaxSize: o.size, MaxFiles: outageKeeps, Late: 6})
	if o.after > 0 {
		until(o.after)
		store.turn(o.ailment)
	}
	if o.kill > 0 {
		until(o.after + o.kill)
		s.watched(t, w)
		d.kill()
		d = start(t, "--config.file", cfg)
		w = d.watch()
	}
	until(o.after + o.lasts)
	if hangs := o.ailment == hole && o.more == nil; d.metrics().sum("leat_sink_up") != 0 && !hangs {
		t.Error("leatd did not notice the outage") // it notices none within the time that a request may take
	}
	store.turn(well)
	until(o.after + o.lasts + afterwards)
	l.last(t, store.depot, &s)
	s.excused = store.swallowed.Load()
	s.watched(t, w)
	d.balanced()
	d.stop()
	if s.twice > s.excused {
		t.Errorf("%d lines came twice, want at most the %d that the store took without saying so", s.twice, s.excused)
	}
	s.bounded(t)
	return s
}

// TestOutage: a store that is down while files are rotated away costs no line, no order, and sends none twice.
func TestOutage(t *testing.T) {
	t.Parallel()
	o := outage{lasts: 4 * time.Second, rate: 5000, size: 200 << 10}
	if underRace {
		o.rate, o.size = 1500, 60<<10
	}
	for i, tt := range []outage{
		{name: "refused from the start", ailment: refused},
		{name: "refused", ailment: refused, after: time.Second},
		{name: "503", ailment: busy, after: time.Second},
		{name: "black hole", ailment: hole, after: time.Second, more: []string{"timeout: 2s"}},
		{name: "503 and a kill", ailment: busy, after: time.Second, lasts: 11 * time.Second, kill: 9 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.lasts, tt.rate, tt.size = cmp.Or(tt.lasts, o.lasts), o.rate, o.size
			t.Log(tt.run(t, strings.Fields("loki otlp http loki otlp")[i]))
		})
	}
}
