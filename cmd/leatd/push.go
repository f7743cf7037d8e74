package main

import (
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/exporter"
	"github.com/leatd/leat/exporter/push"
	"github.com/leatd/leat/exporter/trace"
	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/sinks"
)

// pushStore is a sink of metrics as the wiring sees it.
type pushStore interface {
	push.Sink
	Where() string // in words, without secrets
	Close() error
}

// newPushSink makes the sink of metrics that the configuration describes.
func newPushSink(s config.Sink, cfg *config.Config) (pushStore, error) {
	remote := remoteOf(s, config.SignalMetrics)
	if s.Type == config.TypeRemoteWrite {
		return sinks.NewRemoteWrite(remote, sinks.RemoteWriteFormat{Labels: pushLabels(cfg)})
	}
	return sinks.NewOTLPMetrics(remote, sinks.OTLPMetricsFormat{Compression: s.Compression, Resource: resource(cfg)})
}

// newPusher makes what pushes metrics to all sinks that take them.
func (a *agent) newPusher(registry *exporter.Registry) (*push.Pusher, error) {
	o := push.Options{Gatherer: registry, Interval: a.cfg.Metrics.Interval, Log: a.log, Beat: a.health.Beat}
	for _, s := range a.cfg.Sinks {
		if !s.TakesMetrics() {
			continue
		}
		sink, err := newPushSink(s, a.cfg)
		if err != nil {
			return nil, fmt.Errorf("sinks.%w", err)
		}
		a.pushed = append(a.pushed, sink)
		o.Targets = append(o.Targets, push.Target{
			Name: s.Name, Sink: sink, Dir: filepath.Join(a.cfg.State, s.Name, "metrics"), MaxBytes: int64(s.Spool.MaxBytes),
		})
		a.log.Info("sink of metrics", "name", s.Name, "type", s.Type, "to", sink.Where(), "interval", o.Interval)
	}
	p, err := push.New(o)
	if err != nil {
		return nil, err
	}
	return p, registry.Register(p)
}

// pushLabels are what every pushed series carries unless it has a label of that name.
func pushLabels(cfg *config.Config) []pipeline.Label {
	return withDefaults(cfg.Labels, map[string]string{"job": cfg.Metrics.Job, "instance": cfg.Node})
}

// resource is whose metrics they are in OpenTelemetry's terms. Prometheus makes its job and instance of service.name and
// service.instance.id.
func resource(cfg *config.Config) []pipeline.Label {
	own := make(map[string]string, len(cfg.Labels))
	for name, value := range cfg.Labels {
		switch name {
		case "job":
			name = "service.name"
		case "instance":
			name = "service.instance.id"
		}
		own[name] = value
	}
	return withDefaults(own, map[string]string{
		"service.name": cfg.Metrics.Job, "service.instance.id": cfg.Node, "service.version": version,
		"host.name": cfg.Node, "k8s.node.name": cfg.Node,
	})
}

func withDefaults(labels, defaults map[string]string) []pipeline.Label {
	all := maps.Clone(defaults)
	maps.Copy(all, labels)
	return sortedLabels(all)
}

// newTracer makes what makes a span of each delivered batch; nil if none are wanted.
func newTracer(cfg *config.Config, log *slog.Logger) (*trace.Tracer, error) {
	t := &cfg.Traces
	if t.URL.URL == nil {
		return nil, nil
	}
	log.Info("traces", "to", t.String(), "ratio", t.Ratio)
	return trace.New(trace.Options{
		URL: t.URL.String(), Ratio: t.Ratio, HTTP: t.HTTP, Version: version, Node: cfg.Node, Labels: sortedLabels(cfg.Labels), Log: log,
	})
}
