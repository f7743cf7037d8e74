package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// A watch scrapes a leatd ten times a second for as long as it lives and checks what it says each time: the ledger of
// every series adds up, no counter goes back, and nothing is lost or dropped.
type watch struct {
	d       *daemon
	over    chan struct{} // closed by end
	looking sync.WaitGroup

	// Written by the goroutine that scrapes, read after end.
	scrapes  int
	peak     int64 // bytes of resident memory
	problem  error // the first one; after it nothing more is scraped
	hurt     error // all that was lost or dropped
	counters map[string]float64
}

// watch begins at once; leatd need not serve yet.
func (d *daemon) watch() *watch {
	w := &watch{d: d, over: make(chan struct{}), counters: map[string]float64{}}
	w.looking.Go(w.run)
	return w
}

// end ends the watch, before or after leatd does, and says what was wrong.
func (w *watch) end() error {
	close(w.over)
	w.looking.Wait()
	return errors.Join(w.problem, w.hurt)
}

func (w *watch) run() {
	const every = 100 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	address := ""
	for w.problem == nil {
		if address == "" {
			if m := serving.FindStringSubmatch(w.d.log.String()); m != nil {
				address = m[1]
			}
		}
		if address != "" {
			w.look(address)
		}
		select {
		case <-w.d.done:
			return
		case <-w.over:
			// Once more, so that the last peak is seen: the caller ends leatd after the watch.
			w.remember()
			return
		case <-tick.C:
		}
	}
}

func (w *watch) remember() {
	if peak, err := peakMemory(w.d.cmd.Process.Pid); err == nil { // it may have ended
		w.peak = max(w.peak, peak)
	}
}

func (w *watch) look(address string) {
	w.remember()
	s, err := fetchMetrics(address)
	if err != nil {
		select {
		case <-w.d.done: // it was killed while it answered
		case <-time.After(patience):
			w.problem = fmt.Errorf("/metrics of a leatd that runs: %w", err)
		}
		return
	}
	w.scrapes++
	for _, check := range []func(scrape) error{balances, w.grows} {
		if err := check(s); err != nil {
			w.problem = fmt.Errorf("scrape %d: %w", w.scrapes, err)
			return
		}
	}
	w.hurt = unhurt(s)
}

// seriesOf names a series by its labels but for those left out.
func seriesOf(m *dto.Metric, but string) string {
	var b strings.Builder
	for _, l := range m.Label {
		if l.GetName() != but {
			fmt.Fprintf(&b, "%s=%q ", l.GetName(), l.GetValue())
		}
	}
	return b.String()
}

// balances checks read = delivered + dropped + pending for every container and sink.
func balances(s scrape) error {
	for _, unit := range []string{"lines", "bytes"} {
		left := map[string]float64{}
		add := func(name string, sign float64) {
			for _, m := range s[name].GetMetric() {
				left[seriesOf(m, "reason")] += sign * (m.GetCounter().GetValue() + m.GetGauge().GetValue())
			}
		}
		add("leat_log_read_"+unit+"_total", 1)
		add("leat_log_delivered_"+unit+"_total", -1)
		add("leat_log_dropped_"+unit+"_total", -1)
		add("leat_log_pending_"+unit, -1)
		for series, n := range left {
			if n != 0 {
				return fmt.Errorf("the ledger of %s does not add up: %v %s too many are read", series, n, unit)
			}
		}
	}
	return nil
}

// unhurt checks that nothing is lost or dropped.
func unhurt(s scrape) error {
	var hurt []error
	for _, name := range []string{"leat_lost_bytes_total", "leat_dropped_lines_total", "leat_log_lost_bytes_total", "leat_log_gaps_total"} {
		for _, m := range s[name].GetMetric() {
			if n := m.GetCounter().GetValue(); n != 0 {
				hurt = append(hurt, fmt.Errorf("%s{%s} is %v", name, seriesOf(m, ""), n))
			}
		}
	}
	return errors.Join(hurt...)
}

// grows checks that no counter has gone back since the last scrape.
func (w *watch) grows(s scrape) error {
	for name, family := range s {
		if family.GetType() != dto.MetricType_COUNTER {
			continue
		}
		for _, m := range family.Metric {
			series := name + "{" + seriesOf(m, "") + "}"
			n, before := m.GetCounter().GetValue(), w.counters[series]
			if n < before {
				return fmt.Errorf("%s went back from %v to %v", series, before, n)
			}
			w.counters[series] = n
		}
	}
	return nil
}
