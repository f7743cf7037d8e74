package exporter

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/pipeline"
)

// many is a lane of n idle containers with names as deployments have them.
func many(n int) *fakeLane {
	lane := &fakeLane{name: "central", stats: fakeStats{up: true}}
	for i := range n {
		c := pipeline.Count{Lines: int64(i) * 977, Bytes: int64(i) * 97_700}
		lane.add(pod(fmt.Sprintf("team-%d", i%20), fmt.Sprintf("some-deployment-%08x-%05x", i*91823, i*7177), "app"),
			pipeline.Figures{Read: c, Delivered: c})
	}
	return lane
}

// BenchmarkScrape is a scrape of 2,000 idle containers, 22,000 series, by one sink and by three. The collector
// is there for comparison: what it would cost if the ledger were a prometheus.Collector behind promhttp.
func BenchmarkScrape(b *testing.B) {
	bench := func(name, accept, encoding string, lanes ...*fakeLane) {
		h := newMetrics(NewRegistry("", "", ledgerOf(ByContainer, lanes...)), discard())
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				size = get(h, "/metrics", "Accept", accept, "Accept-Encoding", encoding).Body.Len()
			}
			b.SetBytes(int64(size))
		})
	}
	lane := many(2000)
	bench("text", "", "", lane)
	bench("text+gzip", "", "gzip", lane)
	bench("openmetrics+gzip", "application/openmetrics-text;version=1.0.0", "gzip", lane)
	bench("protobuf+gzip", protobuf, "gzip", lane)
	three := []*fakeLane{lane, {name: "archive", rows: lane.rows}, {name: "third", rows: lane.rows}}
	bench("3-sinks/text+gzip", "", "gzip", three...)

	b.Run("collector/text+gzip", func(b *testing.B) {
		r := prometheus.NewRegistry()
		r.MustRegister(asCollector{ledgerOf(ByContainer, lane)})
		h := promhttp.HandlerFor(r, promhttp.HandlerOpts{})
		b.ReportAllocs()
		size := 0
		for b.Loop() {
			size = get(h, "/metrics", "Accept-Encoding", "gzip").Body.Len()
		}
		b.SetBytes(int64(size))
	})

	l := ledgerOf(ByContainer, lane)
	b.Run("page", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.close(l.open())
		}
	})
	b.Run("gather", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Gather()
		}
	})
}

// asCollector shows a ledger as a prometheus.Registry takes it, one metric after the other.
type asCollector struct{ *Ledger }

func (c asCollector) Describe(ch chan<- *prometheus.Desc) { reserved{c.families}.Describe(ch) }

func (c asCollector) Collect(ch chan<- prometheus.Metric) {
	descs := make(chan *prometheus.Desc, len(c.families))
	c.Describe(descs)
	close(descs)
	byName := make(map[string]*prometheus.Desc)
	for _, f := range c.families {
		byName[f.name] = <-descs
	}
	for _, mf := range c.Gather() {
		desc := byName[mf.GetName()]
		for _, m := range mf.Metric {
			ch <- ready{desc, m}
		}
	}
}

type ready struct {
	desc *prometheus.Desc
	m    *dto.Metric
}

func (r ready) Desc() *prometheus.Desc { return r.desc }
func (r ready) Write(m *dto.Metric) error {
	m.Label, m.Counter, m.Gauge = r.m.Label, r.m.Counter, r.m.Gauge
	m.Untyped, m.Summary, m.Histogram, m.TimestampMs = r.m.Untyped, r.m.Summary, r.m.Histogram, r.m.TimestampMs
	return nil
}
