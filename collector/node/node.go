// Package node shows the node's own figures: node_exporter's collectors as a library, under node_exporter's names.
//
// # What it promises
//
// What node_exporter shows of the machine is shown with the same names, types, help and labels, so that dashboards and
// alerts made for it work unchanged. Each collector has a time limit of its own: one that hangs, fails or panics costs the
// others nothing, and its node_scrape_collector_success is 0.
//
// A collector's trouble is logged when it begins and when it is over, and not at each scrape.
//
// # Who owns what
//
// node_exporter makes each of its collectors once in a process, and keeps it, with the settings of that moment. Several
// Collectors of one process share them, and so does what Only returns: one node_exporter collector runs once at a time.
// The settings are package flags' to hand over.
package node

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatd/leat/collector/cutoff"
	"github.com/leatd/leat/collector/node/flags"
)

// Options are what a Collector is made of.
type Options struct {
	// ProcFS, SysFS, RootFS and UdevData are where those are mounted; node_exporter's defaults where they are empty.
	ProcFS, SysFS, RootFS, UdevData string

	// Flags are what was said for node_exporter's flags; the others have its defaults.
	Flags flags.Values

	// Timeout is how long one of node_exporter's collectors may take.
	Timeout time.Duration

	Log *slog.Logger
}

// A Collector shows what node_exporter's enabled collectors do, their node_scrape_collector_* and
// node_exporter_build_info. It is a prometheus.Collector.
type Collector struct {
	sources map[string]*cutoff.Cutoff // by name; never changed
	build   prometheus.Collector
}

// New makes the collectors that the flags enable. An error says which collector does not take its flags. One that
// cannot be made because of what the machine lacks is no error: it fails at each scrape until it can.
func New(o Options) (*Collector, error) {
	if err := flags.Apply(o.values()); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	log := slog.New(newOnce(o.Log.Handler()))
	c := &Collector{map[string]*cutoff.Cutoff{}, buildInfo()}
	for _, name := range flags.Enabled() {
		s := &source{name: name, log: log}
		if err := s.make(); err != nil && !machines(err) {
			return nil, fmt.Errorf("node: collector %s: %w: correct its flags, or turn it off with --no-collector.%s", name, err, name)
		}
		c.sources[name] = cutoff.New(name, s, o.Timeout, o.Log)
	}
	return c, nil
}

// values are the flags with the paths.
func (o *Options) values() flags.Values {
	v := make(flags.Values, len(o.Flags)+4)
	maps.Copy(v, o.Flags)
	for name, path := range map[string]string{
		flags.ProcFS: o.ProcFS, flags.SysFS: o.SysFS, flags.RootFS: o.RootFS, flags.UdevData: o.UdevData,
	} {
		if path != "" {
			v[name] = []string{path}
		}
	}
	return v
}

// Of each collector, in node_exporter's words.
var (
	durationDesc = prometheus.NewDesc("node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape.", []string{"collector"}, nil)
	successDesc  = prometheus.NewDesc("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.", []string{"collector"}, nil)
)

// Describe describes what is there in any case. The collectors' own metrics are known when they are collected.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	c.build.Describe(ch)
	ch <- durationDesc
	ch <- successDesc
}

// Collect asks all collectors at once. It returns within the timeout; twice that where another call is under way.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	c.build.Collect(ch)
	var asked sync.WaitGroup
	for name, s := range c.sources {
		asked.Go(func() {
			begin := time.Now()
			success := 1.0
			if s.Update(ch) != nil { // it has been logged
				success = 0
			}
			ch <- prometheus.MustNewConstMetric(durationDesc, prometheus.GaugeValue, time.Since(begin).Seconds(), name)
			ch <- prometheus.MustNewConstMetric(successDesc, prometheus.GaugeValue, success, name)
		})
	}
	asked.Wait()
}

// Names are those of the enabled collectors, sorted.
func (c *Collector) Names() []string { return slices.Sorted(maps.Keys(c.sources)) }

// Only returns the collectors that are named, or all but those that are excluded: node_exporter's collect[] and exclude[].
// What exclude names may not be there, as in node_exporter. An error is a mistake of the client.
func (c *Collector) Only(collect, exclude []string) (prometheus.Collector, error) {
	if len(collect) > 0 && len(exclude) > 0 {
		return nil, errors.New("collect[] and exclude[] cannot be combined: use one of them")
	}
	chosen := &Collector{map[string]*cutoff.Cutoff{}, c.build}
	for _, name := range collect {
		s, ok := c.sources[name]
		if !ok {
			return nil, fmt.Errorf("collect[]: there is no collector %q, or it is turned off: these are on: %s", name, strings.Join(c.Names(), ", "))
		}
		chosen.sources[name] = s
	}
	if len(collect) == 0 {
		maps.Copy(chosen.sources, c.sources)
	}
	for _, name := range exclude {
		delete(chosen.sources, name)
	}
	return chosen, nil
}
