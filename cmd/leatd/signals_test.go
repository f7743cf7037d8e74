package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	metricsv1 "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// An otlpBackend takes all three signals of OTLP/HTTP. A request's message has the fields of the data's, so that is what it
// is decoded as.
type otlpBackend struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	logs    logsv1.LogsData
	metrics metricsv1.MetricsData
	traces  tracev1.TracesData
}

func newOTLPBackend(t *testing.T) *otlpBackend {
	b := &otlpBackend{t: t}
	mux := http.NewServeMux()
	for path, into := range map[string]proto.Message{
		"/otlp/v1/logs": &b.logs, "/otlp/v1/metrics": &b.metrics, "/v1/traces": &b.traces,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { b.take(w, r, into) })
	}
	b.Server = httptest.NewServer(mux)
	t.Cleanup(b.Close)
	return b
}

func (b *otlpBackend) take(w http.ResponseWriter, r *http.Request, into proto.Message) {
	body, err := gzip.NewReader(r.Body)
	if err != nil {
		b.t.Error(r.URL, err)
		return
	}
	data, err := io.ReadAll(body)
	if err != nil {
		b.t.Error(r.URL, err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := (proto.UnmarshalOptions{Merge: true}).Unmarshal(data, into); err != nil {
		b.t.Error(r.URL, err)
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// attributesOf are a resource's, or a point's, as NAME=VALUE.
func attributesOf(all []*commonv1.KeyValue) string {
	var text strings.Builder
	for _, a := range all {
		fmt.Fprintf(&text, " %s=%s", a.Key, a.Value.GetStringValue())
	}
	return text.String() + " "
}

// TestSignals: one otlp sink takes logs and metrics, the batch of the logs becomes a span, and what leatd says of itself when
// it stops is what it did.
func TestSignals(t *testing.T) {
	t.Parallel()
	b, h := newOTLPBackend(t), newHost(t)
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "one", "two", "three"))
	d := start(t, "--config.file", h.file("leat.yaml", fmt.Sprintf(`
node: node-1
labels: {cluster: prod, job: node}
state: %s
logs: {pods: %s}
metrics: {interval: 1s}
traces: {url: "%s"}
sinks:
  all: {type: otlp, url: "%[3]s/otlp", signals: [logs, metrics], max_wait: 20ms}
`, h.state, h.pods, b.URL)))
	d.metric(3, "leat_log_delivered_lines_total", "sink=all", "namespace=ns", "pod=pod", "container=app")
	d.stop()

	lines, names, delivered := 0, map[string]bool{}, 0.0
	for _, resource := range b.logs.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			lines += len(scope.LogRecords)
		}
	}
	for _, resource := range b.metrics.ResourceMetrics {
		who := attributesOf(resource.Resource.Attributes)
		for _, want := range []string{"service.name=node", "service.instance.id=node-1", "host.name=node-1", "k8s.node.name=node-1", "cluster=prod"} {
			if !strings.Contains(who, " "+want+" ") {
				t.Fatalf("the resource of metrics has no %s:%s", want, who)
			}
		}
		for _, scope := range resource.ScopeMetrics {
			for _, m := range scope.Metrics {
				names[m.Name] = true
				for _, p := range m.GetSum().GetDataPoints() {
					if m.Name == "leat_log_delivered_lines_total" && strings.Contains(attributesOf(p.Attributes), " pod=pod ") {
						delivered = max(delivered, p.GetAsDouble()) // the last request marks the end, without a value
					}
				}
			}
		}
	}
	if lines != 3 || delivered != 3 {
		t.Errorf("%d lines came, and the pushed count of delivered ones is %v; want 3", lines, delivered)
	}
	for _, want := range []string{"node_memory_MemTotal_bytes", "container_scrape_error", "leat_build_info", "leat_push_samples_total", "go_goroutines"} {
		if !names[want] {
			t.Errorf("of %d pushed metrics none is %s", len(names), want)
		}
	}
	spans := 0
	for _, resource := range b.traces.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				spans++
				if s.Name != "deliver all" {
					t.Errorf("a span is called %q", s.Name)
				}
			}
		}
	}
	if spans == 0 {
		t.Error("no span came")
	}
}
