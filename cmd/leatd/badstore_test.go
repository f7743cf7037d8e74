package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/leatd/leat/sinks/sinktest"
)

// twoSinks writes a configuration with a store under test and another that is well.
func (h *host) twoSinks(kind, url, well string) string {
	return h.file("leat.yaml", fmt.Sprintf(`node: node-1
state: %s
logs:
  pods: %s
sinks:
  central: {type: %s, url: %s, max_wait: 20ms}
  well: {type: http, url: %s, max_wait: 20ms}
`, h.state, h.pods, kind, url, well))
}

// all answers every request alike.
func all(r sinktest.Reply) func([]sinktest.Line) sinktest.Reply {
	return func([]sinktest.Line) sinktest.Reply { return r }
}

const loginPage = "<!DOCTYPE html><html><head><title>Sign in to Example</title></head><body>Who are you?</body></html>"

// TestStoreThatDoesNotTake: as long as a store, or what stands in its place, says anything but its own yes or no, lines
// wait, are told to the operator, and come when it is well again, once and in order. Other sinks don't notice.
func TestStoreThatDoesNotTake(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		reply sinktest.Reply
		code  string
		says  []string
	}{
		{"200 with a web page", sinktest.Reply{Status: 200, ContentType: "text/html; charset=utf-8", Body: loginPage}, "200",
			[]string{"web page", "Sign in to Example", "is url the store's own address"}},
		{"302 to a login page", sinktest.Reply{Status: 302, ContentType: "text/html", Body: loginPage}, "302",
			[]string{"redirects", "sinks.central"}},
		{"401", sinktest.Reply{Status: 401, Body: "no org id"}, "401", []string{"no org id", "authorization", "tenant", "sinks.central"}},
		{"404", sinktest.Reply{Status: 404, Body: "404 page not found"}, "404", []string{"path in url", "sinks.central"}},
		{"429", sinktest.Reply{Status: 429, Body: "ingestion rate limit exceeded"}, "429", []string{"rate limit", "max_rate"}},
		{"503", sinktest.Reply{Status: 503, RetryAfter: "1"}, "503", []string{"not ready", "its own logs"}},
		{"closed connection", sinktest.Reply{Status: 500, Drop: true}, "error", []string{"closed the connection"}},
	}
	for _, kind := range []string{"loki", "otlp", "http"} {
		for _, tt := range tests {
			t.Run(kind+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				h, store, well := newHost(t), newDepot(t, kind).choosy(), newDepot(t, "http")
				store.answer(all(tt.reply))
				h.write("ns_pod_uid/one/0.log", cri(0, "stdout", bodies(0, 50)...))
				d := start(t, "--config.file", h.twoSinks(kind, store.URL, well.URL))
				d.says(append(tt.says, "sink=central")...)
				well.reach(50)
				h.write("ns_pod_uid/one/0.log", cri(50, "stdout", bodies(50, 100)...))
				h.write("ns_pod_uid/two/0.log", cri(0, "stdout", bodies(0, 100)...))
				well.reach(200)
				d.metric(200, "leat_log_delivered_lines_total", "sink=well")
				s := d.metrics()
				if up := s.sum("leat_sink_up", "sink=central"); up != 0 {
					t.Errorf("leat_sink_up is %v", up)
				}
				if s.sum("leat_sink_up", "sink=well") != 1 || s.sum("leat_log_delivered_lines_total", "sink=central") != 0 ||
					s.sum("leat_dropped_lines_total") != 0 || s.sum("leat_log_pending_lines", "sink=central") < 50 ||
					s.sum("leat_sink_requests_total", "sink=central", "code="+tt.code) < 1 {
					t.Errorf("not what /metrics should say: up %v, delivered %v, dropped %v, pending %v, requests %v", s["leat_sink_up"],
						s.sum("leat_log_delivered_lines_total", "sink=central"), s.sum("leat_dropped_lines_total"),
						s.sum("leat_log_pending_lines", "sink=central"), s["leat_sink_requests_total"])
				}
				if code, text := d.get("/-/healthy"); code != 200 {
					t.Errorf("an outage is no reason to restart: %d %s", code, text)
				}
				store.answer(nil)
				d.metric(200, "leat_log_delivered_lines_total", "sink=central")
				d.metric(1, "leat_sink_up", "sink=central")
				d.says("sink has recovered", "sink=central")
				d.balanced()
				d.stop()
				for _, s := range []*depot{store, well} {
					s.verify.Expect("ns/pod/one", 100)
					s.verify.Expect("ns/pod/two", 100)
					if err := s.verify.Err(); err != nil {
						t.Errorf("%s: %v", s.kind, err)
					}
				}
				if n := strings.Count(d.log.String(), "sink does not take logs"); n > 3 {
					t.Errorf("leatd said %d times that the sink is down", n)
				}
			})
		}
	}
}

// perStream is Loki's answer when one stream of a request is over its limit; it stores the others.
const perStream = `Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '{container="noisy"}' totaling 1000B, ` +
	`consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased`

// has tells whether a request holds lines of a container.
func has(lines []sinktest.Line, container string) bool {
	for _, l := range lines {
		if l.Container == container {
			return true
		}
	}
	return false
}

// TestOneStreamThrottled: a container that the store throttles waits, the others go on; when it is let in, its lines come
// in order.
func TestOneStreamThrottled(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "loki").choosy()
	store.answer(func(lines []sinktest.Line) sinktest.Reply {
		if has(lines, "noisy") {
			return sinktest.Reply{Status: 429, Body: perStream}
		}
		return sinktest.Reply{}
	})
	h.write("ns_pod_uid/noisy/0.log", cri(0, "stdout", bodies(0, 100)...))
	h.write("ns_pod_uid/quiet/0.log", cri(0, "stdout", bodies(0, 100)...))
	d := start(t, "--config.file", h.config("loki", store.URL))
	d.metric(100, "leat_log_delivered_lines_total", "container=quiet")
	d.says("throttles a container", "sink=central")
	h.write("ns_pod_uid/noisy/0.log", cri(100, "stdout", bodies(100, 200)...))
	h.write("ns_pod_uid/quiet/0.log", cri(100, "stdout", bodies(100, 200)...))
	d.metric(200, "leat_log_delivered_lines_total", "container=quiet")
	s := d.metrics()
	if delivered, dropped := s.sum("leat_log_delivered_lines_total", "container=noisy"), s.sum("leat_log_dropped_lines_total"); delivered+dropped > 0 {
		t.Errorf("of the throttled container %v lines are delivered, %v dropped", delivered, dropped)
	}
	if s.sum("leat_log_pending_lines", "container=noisy") == 0 {
		t.Error("the throttled container has nothing pending")
	}
	store.answer(nil)
	d.metric(200, "leat_log_delivered_lines_total", "container=noisy")
	d.balanced()
	d.stop()
	store.verify.Expect("ns/pod/noisy", 200)
	store.verify.Expect("ns/pod/quiet", 200)
	if err := store.verify.Err(); err != nil {
		t.Error(err)
	}
}

// TestStoreThatFailsSometimes: whatever fails is sent again, in order. Only where the store had the lines and could not
// say so do lines come twice.
func TestStoreThatFailsSometimes(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"loki", "otlp", "http"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, store := newHost(t), newDepot(t, kind).choosy()
			var requests, stored, again atomic.Int64
			store.answer(func(lines []sinktest.Line) sinktest.Reply {
				switch requests.Add(1) % 5 {
				case 1:
					return sinktest.Reply{Status: 500, Body: "try again"}
				case 3:
					stored.Add(1)
					again.Add(int64(len(lines)))
					return sinktest.Reply{Status: 502, Stored: true}
				}
				return sinktest.Reply{}
			})
			d := start(t, "--config.file", h.config(kind, store.URL))
			const rounds, lines = 6, 200
			for i := range rounds {
				for c := range 3 {
					h.write(fmt.Sprintf("ns_pod_uid/c%d/0.log", c), cri(i*lines, "stdout", bodies(i*lines, (i+1)*lines)...))
				}
				d.metric(float64(3*(i+1)*lines), "leat_log_delivered_lines_total")
			}
			d.balanced()
			d.stop()
			var twice int64
			for c := range 3 {
				store.verify.Expect(fmt.Sprintf("ns/pod/c%d", c), rounds*lines)
			}
			for _, r := range store.verify.Results() {
				twice += r.Duplicate
				if r.Missing > 0 || r.OutOfOrder > 0 || r.Foreign > 0 {
					t.Errorf("%v", r)
				}
			}
			if stored.Load() == 0 || twice != again.Load() {
				t.Errorf("%d lines came twice; the store took %d and said no (in %d requests)", twice, again.Load(), stored.Load())
			}
		})
	}
}

// TestOneContainerRefused: what the store refuses for good is counted with its reason, once, and is that container's alone.
func TestOneContainerRefused(t *testing.T) {
	t.Parallel()
	for status, reason := range map[int]string{400: "bad_request", 413: "too_large", 422: "unprocessable"} {
		for _, kind := range []string{"loki", "otlp", "http"} {
			t.Run(fmt.Sprintf("%s %d", kind, status), func(t *testing.T) {
				t.Parallel()
				h, store := newHost(t), newDepot(t, kind).choosy()
				store.answer(func(lines []sinktest.Line) sinktest.Reply {
					if has(lines, "bad") {
						return sinktest.Reply{Status: status, ContentType: "text/plain", Body: "entry has timestamp too old"}
					}
					return sinktest.Reply{}
				})
				h.write("ns_pod_uid/bad/0.log", "1975-01-01T00:00:00Z stdout F refused\n"+cri(0, "stdout", bodies(0, 49)...))
				h.write("ns_pod_uid/good/0.log", cri(0, "stdout", bodies(0, 50)...))
				d := start(t, "--config.file", h.config(kind, store.URL))
				h.write("ns_pod_uid/good/0.log", cri(50, "stdout", bodies(50, 100)...))
				d.metric(50, "leat_log_dropped_lines_total", "container=bad", "reason="+reason)
				d.metric(50, "leat_dropped_lines_total", "sink=central", "reason="+reason)
				d.metric(100, "leat_log_delivered_lines_total", "container=good")
				d.metric(0, "leat_log_pending_lines")
				d.metric(1, "leat_sink_up", "sink=central")
				d.says("sink refuses lines for good", "timestamp too old", reason)
				if n := d.metrics().sum("leat_log_dropped_lines_total"); n != 50 {
					t.Errorf("%v lines are dropped, want 50", n)
				}
				d.balanced()
				d.stop()
				if n := strings.Count(d.log.String(), "refuses lines for good"); n != 1 {
					t.Errorf("leatd said it %d times", n)
				}
				store.verify.Expect("ns/pod/good", 100)
				if err := store.verify.Err(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
