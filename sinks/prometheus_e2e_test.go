//go:build e2e

package sinks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/leatd/leat/benchmarks/servers"
	"github.com/leatd/leat/pipeline"
)

func startPrometheus(t *testing.T, args ...string) *servers.Prometheus {
	t.Helper()
	p, err := servers.StartPrometheus(t.Context(), servers.PrometheusOptions{Dir: t.TempDir(), Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// stored is what the store answers to a query, a line for each series, sorted.
func stored(t *testing.T, p *servers.Prometheus, expr string, at time.Time) string {
	t.Helper()
	all, err := p.Query(t.Context(), expr, at)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, s := range all {
		rows = append(rows, fmt.Sprint(s.Labels, s.Samples[0].Value))
	}
	slices.Sort(rows)
	return strings.Join(rows, "\n")
}

const pushedText = `# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200"} 7
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.5"} 2
latency_seconds_bucket{le="1"} 3
latency_seconds_bucket{le="+Inf"} 4
latency_seconds_sum 9.5
latency_seconds_count 4
# TYPE temperature gauge
temperature{sensor="a",instance="own"} -0.5
`

// A real Prometheus takes 2.0, and 1.0 if it is told to take nothing else: the same series are stored, and end when
// they are marked.
func TestRemoteWriteToPrometheus(t *testing.T) {
	for name, args := range map[string][]string{
		"2.0": nil,
		"1.0": {"--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPrometheus(t, args...)
			w := newWrite(t, p.URL, pipeline.Label{Name: "instance", Value: "node-1"}, pipeline.Label{Name: "job", Value: "leat"})
			at := time.Now().Truncate(time.Second)
			send := func(text string, at time.Time) {
				t.Helper()
				var bodies []put
				if err := w.Encode(exposed(t, text), at, collect(&bodies)); err != nil {
					t.Fatal(err)
				}
				for _, b := range bodies {
					if a := w.Send(t.Context(), b.body, b.samples); a.Outcome != pipeline.Accepted || a.LeftOut != 0 || a.Err != nil {
						t.Fatalf("%+v", a)
					}
				}
			}
			send(pushedText, at.Add(-20*time.Second))
			if spoken := w.oldUntil.Load() != 0; spoken != (name == "1.0") {
				t.Errorf("speaks 1.0: %v", spoken)
			}
			lines(t, stored(t, p, `{job="leat"}`, at.Add(-20*time.Second)), `
map[__name__:latency_seconds_bucket instance:node-1 job:leat le:+Inf] 4
map[__name__:latency_seconds_bucket instance:node-1 job:leat le:0.5] 2
map[__name__:latency_seconds_bucket instance:node-1 job:leat le:1.0] 3
map[__name__:latency_seconds_count instance:node-1 job:leat] 4
map[__name__:latency_seconds_sum instance:node-1 job:leat] 9.5
map[__name__:requests_total code:200 instance:node-1 job:leat] 7
map[__name__:temperature instance:own job:leat sensor:a] -0.5
`)
			send("# TYPE requests_total counter\nrequests_total{code=\"200\"} 8\n", at.Add(-10*time.Second))
			lines(t, stored(t, p, `{job="leat"}`, at.Add(-10*time.Second)), "map[__name__:requests_total code:200 instance:node-1 job:leat] 8")

			var bodies []put
			if err := w.Stale(at, collect(&bodies)); err != nil {
				t.Fatal(err)
			}
			if a := w.Send(t.Context(), bodies[0].body, bodies[0].samples); a.Outcome != pipeline.Accepted || a.Err != nil {
				t.Fatalf("%+v", a)
			}
			lines(t, stored(t, p, `{job="leat"}`, at), "")

			// What comes too late is refused for good, and only that: the sample of a new series is stored.
			bodies = nil
			if err := w.Encode(exposed(t, "# TYPE requests_total counter\nrequests_total{code=\"200\"} 8\nlate 1\n"), at.Add(-time.Minute), collect(&bodies)); err != nil {
				t.Fatal(err)
			}
			a := w.Send(t.Context(), bodies[0].body, bodies[0].samples)
			want := pipeline.Answer{Outcome: pipeline.Accepted, Code: "400", Reason: pipeline.BadRequest, LeftOut: 1, Err: a.Err}
			if name == "1.0" {
				want.Outcome, want.LeftOut = pipeline.Refused, 0
			}
			if a != want || !strings.Contains(a.Err.Error(), "out of order") {
				t.Errorf("%+v, want %+v", a, want)
			}
		})
	}
}

func TestOTLPMetricsToPrometheus(t *testing.T) {
	p := startPrometheus(t)
	o, err := NewOTLPMetrics(Remote{Name: "central", URL: p.URL + "/api/v1/otlp/v1/metrics", HTTP: config.DefaultHTTPClientConfig},
		OTLPMetricsFormat{Resource: []pipeline.Label{{Name: "service.name", Value: "leat"}, {Name: "service.instance.id", Value: "node-1"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	send := func(bodies []put) {
		t.Helper()
		for _, b := range bodies {
			if a := o.Send(t.Context(), b.body, b.samples); a.Outcome != pipeline.Accepted || a.LeftOut != 0 || a.Err != nil {
				t.Fatalf("%+v", a)
			}
		}
	}
	at := time.Now().Truncate(time.Second)
	var bodies []put
	if err := o.Encode(exposed(t, pushedText), at.Add(-10*time.Second), collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	send(bodies)
	lines(t, stored(t, p, `{job="leat"}`, at.Add(-10*time.Second)), `
map[__name__:latency_seconds_bucket instance:node-1 job:leat le:+Inf] 4
map[__name__:latency_seconds_bucket instance:node-1 job:leat le:0.5] 2
map[__name__:latency_seconds_bucket instance:node-1 job:leat le:1] 3
map[__name__:latency_seconds_count instance:node-1 job:leat] 4
map[__name__:latency_seconds_sum instance:node-1 job:leat] 9.5
map[__name__:requests_total code:200 instance:node-1 job:leat] 7
map[__name__:temperature instance:node-1 job:leat sensor:a] -0.5
`)
	bodies = nil
	if err := o.Stale(at, collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	send(bodies)
	lines(t, stored(t, p, `{job="leat"}`, at), "")
}
