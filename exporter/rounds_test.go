package exporter

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A gate is a collector of one gauge, which returns when it may.
type gate struct {
	entered atomic.Int32
	leave   chan struct{} // each collection takes one, or goes on when it is closed
	value   *prometheus.Desc
}

func newGate() *gate {
	return &gate{leave: make(chan struct{}), value: prometheus.NewDesc("leat_test_round", "How often it was asked.", nil, nil)}
}

func (g *gate) Describe(ch chan<- *prometheus.Desc) { ch <- g.value }

func (g *gate) Collect(ch chan<- prometheus.Metric) {
	n := g.entered.Add(1)
	<-g.leave
	ch <- prometheus.MustNewConstMetric(g.value, prometheus.GaugeValue, float64(n))
}

// roundOf is which collection the families came from, 0 if they are from none.
func roundOf(families []*dto.MetricFamily) float64 {
	for _, mf := range families {
		if mf.GetName() == "leat_test_round" {
			return mf.Metric[0].GetGauge().GetValue()
		}
	}
	return 0
}

// TestSharedRound: scrapes and pushes that come while a round is under way have that one's result; the next one asks
// anew.
func TestSharedRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		registry := NewRegistry("", "", ledgerOf(ByContainer, workload(time.Now())...))
		registry.MustRegister(g)
		h := newMetrics(registry, discard())
		for round := float64(1); round <= 3; round++ {
			var callers sync.WaitGroup
			for i := range 8 {
				callers.Go(func() {
					if i%2 == 0 {
						families, err := registry.Gather()
						if err != nil || roundOf(families) != round || len(families) < 40 {
							t.Errorf("%d families of round %v, %v", len(families), roundOf(families), err)
						}
						return
					}
					got := samples(t, get(h, "/metrics").Body.String())
					if got["leat_test_round"] != round || got[`leat_sink_up{sink="central"}`] != 1 {
						t.Errorf("a scrape of round %v has %v", round, got["leat_test_round"])
					}
				})
				synctest.Wait()
			}
			g.leave <- struct{}{}
			callers.Wait()
		}
		if n := g.entered.Load(); n != 3 {
			t.Errorf("24 callers made %d collections of 3", n)
		}
	})
}

// TestCallerGoesAway: one who gives up costs the others nothing, not even if he began the round.
func TestCallerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		registry := NewRegistry("", "", ledgerOf(ByContainer))
		registry.MustRegister(g)
		h := newMetrics(registry, discard())
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan any)
		go func() {
			defer func() { gone <- recover() }()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/metrics", nil))
		}()
		synctest.Wait()
		var other sync.WaitGroup
		other.Go(func() {
			if families, err := registry.Gather(); err != nil || roundOf(families) != 1 {
				t.Errorf("round %v, %v", roundOf(families), err)
			}
		})
		synctest.Wait()
		cancel()
		if err, _ := (<-gone).(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("who went away got %v", err)
		}
		if len(h.scrapes) != 0 {
			t.Error("his place is still taken")
		}
		close(g.leave)
		other.Wait()
	})
}

// TestCollectorThatNeverReturns: it is waited for once. After that, the ledger is served at once and it is said once; no
// goroutine is added by a scrape, and all is well when the collector comes back.
func TestCollectorThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		registry := NewRegistry("", "", ledgerOf(ByContainer, workload(time.Now())...))
		registry.MustRegister(g)
		var log bytes.Buffer
		h := newMetrics(registry, slog.New(slog.NewTextHandler(&log, nil)))
		for i, want := range []time.Duration{roundLasts, 0, 0} {
			began := time.Now()
			w := get(h, "/metrics")
			if d := time.Since(began); d != want {
				t.Errorf("scrape %d took %v, want %v", i, d, want)
			}
			if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "\nleat_sink_up{") || strings.Contains(body, "go_goroutines") {
				t.Errorf("%d %.300s", w.Code, body)
			}
		}
		if families, err := registry.Gather(); !errors.Is(err, errHangs) || len(families) == 0 {
			t.Errorf("%d families, %v", len(families), err)
		}
		if n := g.entered.Load(); n != 1 {
			t.Errorf("the collector was asked %d times", n)
		}
		close(g.leave)
		synctest.Wait()
		if got := samples(t, get(h, "/metrics").Body.String()); got["leat_test_round"] != 2 ||
			got[`promhttp_metric_handler_errors_total{cause="gathering"}`] != 3 {
			t.Errorf("afterwards: round %v, %v errors", got["leat_test_round"], got[`promhttp_metric_handler_errors_total{cause="gathering"}`])
		}
		if said := log.String(); strings.Count(said, "level=WARN") != 1 || strings.Count(said, "gathered again") != 1 {
			t.Errorf("logged:\n%s", said)
		}
	})
}
