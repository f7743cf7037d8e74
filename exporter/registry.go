package exporter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
)

// Node is what the registry needs of the node's metrics.
type Node interface {
	prometheus.Collector

	// Only returns the collectors that are named by collect, or all but those named by exclude. The error says what is
	// wrong with that, for the client who asked.
	Only(collect, exclude []string) (prometheus.Collector, error)
}

// A Registry is everything that leatd has to show: what is registered with it, and a ledger.
// It is a prometheus.Registerer and a prometheus.Gatherer. What is gathered is shared by all who ask at the same time, so
// nobody may change it.
type Registry struct {
	prometheus.Registerer // rest

	own  *prometheus.Registry // about the process; each scrape has it, whatever it chooses
	rest *prometheus.Registry // what else is registered, and the names that are the ledger's
	ours *prometheus.Registry // own and rest
	node Node                 // nil if its metrics are off
	all  prometheus.Gatherer  // ours and the node's

	rounds  rounds
	ledger  *Ledger
	trouble *prometheus.CounterVec // scrapes' errors by cause; named as by promhttp
}

// NewRegistry makes the one registry of the process, with the Go runtime's and the process' own metrics and
// leat_build_info in it.
func NewRegistry(version, revision string, ledger *Ledger) *Registry {
	r := &Registry{
		own: prometheus.NewRegistry(), rest: prometheus.NewRegistry(), ours: prometheus.NewRegistry(), ledger: ledger,
		trouble: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "promhttp_metric_handler_errors_total",
			Help: "Total number of internal errors encountered by the promhttp metric handler.",
		}, []string{"cause"}),
	}
	r.Registerer = r.rest
	for _, cause := range []string{gathering, encoding} {
		r.trouble.WithLabelValues(cause)
	}
	r.own.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		buildInfo(version, revision),
		r.trouble,
	)
	r.rest.MustRegister(reserved{ledger.families})
	r.ours.MustRegister(r.own, r.rest)
	r.all = r.ours
	return r
}

// Causes of trouble.
const (
	gathering = "gathering"
	encoding  = "encoding"
)

// RegisterNode adds the node's metrics, from which a scrape may choose. It is called once, before anything is gathered.
func (r *Registry) RegisterNode(n Node) error {
	all, err := r.with(r.ours, n)
	if err != nil {
		return fmt.Errorf("metrics of the node: %w", err)
	}
	r.node, r.all = n, all
	return nil
}

// Gather returns everything, sorted by name. What could be gathered is there even if there is an error.
func (r *Registry) Gather() ([]*dto.MetricFamily, error) {
	others, err := r.gather(context.Background())
	return merge(others, r.ledger.Gather()), err
}

// gather returns everything but the ledger, until ctx ends.
func (r *Registry) gather(ctx context.Context) ([]*dto.MetricFamily, error) {
	return r.rounds.join(r.all).wait(ctx)
}

// choose prepares what a scrape names by collect[] or exclude[]. The first gets the collectors that it names and the
// process' own metrics, as from node_exporter; the second everything but what it names, and the ledger.
func (r *Registry) choose(collect, exclude []string) (prometheus.Gatherer, error) {
	if r.node == nil {
		return nil, errors.New("collect[] and exclude[] choose among the node's collectors, and those are off: metrics.node turns them on")
	}
	node, err := r.node.Only(collect, exclude)
	if err != nil {
		return nil, err
	}
	if len(collect) > 0 {
		return r.with(r.own, node)
	}
	return r.with(r.ours, node)
}

// with gathers ours and the node's at the same time. A file that the node's textfile collector reads may hold any name, so
// of the node's a family is left out that has a name of ours or of the ledger's: whose metric comes first must not decide
// what leatd says of itself, and a family that is there twice can make a whole scrape unreadable.
func (r *Registry) with(ours prometheus.Gatherer, node prometheus.Collector) (prometheus.Gatherer, error) {
	nodes := prometheus.NewRegistry()
	if err := nodes.Register(node); err != nil {
		return nil, err
	}
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		var theirs []*dto.MetricFamily
		var errTheirs error
		done := make(chan struct{})
		go func() {
			defer close(done)
			theirs, errTheirs = nodes.Gather()
		}()
		families, err := ours.Gather()
		<-done
		err = errors.Join(err, errTheirs)
		theirs = slices.DeleteFunc(theirs, func(mf *dto.MetricFamily) bool {
			_, found := slices.BinarySearchFunc(families, mf.GetName(),
				func(f *dto.MetricFamily, name string) int { return cmp.Compare(f.GetName(), name) })
			if !found {
				_, found = slices.BinarySearchFunc(r.ledger.families, mf.GetName(),
					func(f family, name string) int { return cmp.Compare(f.name, name) })
			}
			if found {
				err = errors.Join(err, fmt.Errorf("%s is leatd's own: rename the metric that has this name too", mf.GetName()))
			}
			return found
		})
		return merge(families, theirs), err
	}), nil
}

// merge puts two lists together by name, and leaves both as they are.
func merge(a, b []*dto.MetricFamily) []*dto.MetricFamily {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all
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
