package cutoff

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkUpdate is what the bound costs over the bare source, for sources of some sizes.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1, 30, 1000} {
		source := figures(n)
		for name, s := range map[string]Source{"bare": source, "cutoff": New("bench", source, time.Minute, slog.New(slog.DiscardHandler))} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				ch := make(chan prometheus.Metric, 1000)
				go func() {
					for range ch {
					}
				}()
				defer close(ch)
				b.ReportAllocs()
				for b.Loop() {
					if err := s.Update(ch); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

var figure = prometheus.MustNewConstMetric(prometheus.NewDesc("figure", "A figure.", nil, nil), prometheus.GaugeValue, 1)

// figures is a source of so many metrics, which cost nothing to make.
type figures int

func (n figures) Update(ch chan<- prometheus.Metric) error {
	for range n {
		ch <- figure
	}
	return nil
}
