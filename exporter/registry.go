package exporter

import (
	"cmp"
	"runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// A Registry is everything that leatd has to show: what is registered with it, and a ledger.
// It is a prometheus.Registerer and a prometheus.Gatherer.
type Registry struct {
	prometheus.Registerer

	others *prometheus.Registry
	ledger *Ledger
}

// NewRegistry makes the one registry of the process, with the Go runtime's and the process' own metrics and
// leat_build_info in it.
func NewRegistry(version, revision string, ledger *Ledger) *Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(version, revision),
		reserved{ledger.families},
	)
	return &Registry{Registerer: r, others: r, ledger: ledger}
}

// Gather returns everything, sorted by name. What could be gathered is there even if there is an error.
func (r *Registry) Gather() ([]*dto.MetricFamily, error) {
	families, err := r.others.Gather()
	families = append(families, r.ledger.Gather()...)
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return families, err
}

func buildInfo(version, revision string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "leat_build_info",
		Help: "The version of leatd that runs, the revision it was built from, and the Go that built it; always 1.",
		ConstLabels: prometheus.Labels{
			"version": valid(version), "revision": valid(revision), "goversion": runtime.Version(),
		},
	}, func() float64 { return 1 })
}

// reserved keeps the ledger's names from others: it describes them and collects nothing.
type reserved struct{ families []family }

func (r reserved) Describe(ch chan<- *prometheus.Desc) {
	for i := range r.families {
		f := &r.families[i]
		labels := []string{"container", "namespace", "path", "pod"}
		if f.lane != nil {
			labels = nil
		}
		if f.label != "" {
			labels = append(labels, f.label)
		}
		ch <- prometheus.NewDesc(f.name, f.help, append(labels, "sink"), nil)
	}
}

func (reserved) Collect(chan<- prometheus.Metric) {}
