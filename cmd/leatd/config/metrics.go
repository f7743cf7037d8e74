package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
)

// Metrics says what is measured, what leatd's own metrics show, and how often they are pushed.
type Metrics struct {
	// Interval is the time between two pushes; scrapes come when they come.
	Interval time.Duration `yaml:"interval" range:"1s,1h"`

	// Node turns on node_exporter's collectors, Containers the figures of the containers' cgroups.
	Node       bool `yaml:"node"`
	Containers bool `yaml:"containers"`

	// ContainerLabels are further labels of the containers' figures: some of ContainerLabels.
	ContainerLabels []string `yaml:"container_labels"`

	// CollectTimeout is how long one collector may take; the others don't wait for it.
	CollectTimeout time.Duration `yaml:"collect_timeout" range:"100ms,1m"`

	// Job is the label job of pushed metrics, service.name in OTLP; a label job of the owner's own goes before it.
	Job string `yaml:"job"`

	// LogsBy is ByContainer, ByNamespace or ByNone: how finely the ledger of logs is served.
	LogsBy string `yaml:"logs_by" oneof:"container,namespace,none"`

	// LogsMaxSeries is how many series a family of the ledger has at most for each sink, before the rest is summed up in
	// one; 0: no limit.
	LogsMaxSeries int `yaml:"logs_max_series"`
}

// How finely the ledger of logs is served.
const (
	ByContainer = "container"
	ByNamespace = "namespace"
	ByNone      = "none"
)

// ContainerLabels are those that the containers' figures have on request.
var ContainerLabels = [...]string{"id", "image"}

func defaultMetrics() Metrics {
	return Metrics{
		Interval: 15 * time.Second, Node: true, Containers: true, CollectTimeout: 5 * time.Second,
		Job: "leat", LogsBy: ByContainer, LogsMaxSeries: 5000,
	}
}

// leastSeries is the least that logs_max_series is good for.
const leastSeries = 10

func (d *decoder) checkMetrics(m *Metrics) {
	for i, name := range m.ContainerLabels {
		at := fmt.Sprintf("metrics.container_labels[%d]", i)
		if known := ContainerLabels[:]; !slices.Contains(known, name) {
			d.reject(at, "%s", oneOf(name, strings.Join(known, ","), false))
		} else if slices.Contains(m.ContainerLabels[:i], name) {
			d.reject(at, "is named twice: remove one")
		}
	}
	if m.Job == "" {
		d.reject("metrics.job", "must name the job: pushed metrics carry it as their label job")
	}
	if n := m.LogsMaxSeries; n < 0 || n > 0 && n < leastSeries {
		d.reject("metrics.logs_max_series", "must be 0 for no limit, or at least %d", leastSeries)
	}
}

// Traces says where leatd sends spans of its own work.
type Traces struct {
	// URL is an OTLP/HTTP endpoint, complete with the protocol's own path; nil: no spans are made.
	URL promconfig.URL `yaml:"url"`

	// Ratio is the share of batches that a span is made for.
	Ratio float64 `yaml:"ratio" range:"0,1"`

	// HTTP holds TLS, authorization, headers and proxy.
	HTTP promconfig.HTTPClientConfig `yaml:",inline"`
}

// String says where spans go, without secrets.
func (t Traces) String() string {
	if t.URL.URL == nil {
		return "nowhere"
	}
	return shown(t.URL.URL)
}

func defaultTraces() Traces { return Traces{Ratio: 1, HTTP: promconfig.DefaultHTTPClientConfig} }

func (d *decoder) checkTraces(t *Traces) {
	if t.URL.URL == nil {
		for _, path := range slices.Sorted(maps.Keys(d.places)) {
			if key, ok := strings.CutPrefix(path, "traces."); ok && key != "url" && !strings.ContainsAny(key, ".[") {
				d.problem(d.places[path].key, "traces", "%s does nothing without url: add one, such as url: http://tempo:4318, or remove it", key)
			}
		}
		return
	}
	d.checkURL("traces.url", t.URL.URL, "/v1/traces")
	d.checkClient("traces", &t.HTTP, "")
}
