package node

import (
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/node_exporter/collector"
)

// BenchmarkGather is a scrape of the node without its encoding: with a time limit for each collector, and node_exporter's own.
// cpu-ms/op is user and system time of the process.
func BenchmarkGather(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	bounded, err := New(Options{Timeout: 5 * time.Second, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	bare, err := collector.NewNodeCollector(log)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		prometheus.Collector
	}{{"bare", bare}, {"bounded", bounded}} {
		b.Run(c.name, func(b *testing.B) {
			registry := prometheus.NewRegistry()
			registry.MustRegister(c)
			b.ReportAllocs()
			begin := used(b)
			for b.Loop() {
				if _, err := registry.Gather(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((used(b)-begin).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
