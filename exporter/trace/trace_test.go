package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/config"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/leatd/leat/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An endpoint takes spans over OTLP/HTTP, or answers what the test wants.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*collector.ExportTraceServiceRequest
	heads  []http.Header
	paths  []string
	answer func(w http.ResponseWriter, r *http.Request) bool // true if it has answered
	hungUp chan struct{}                                     // for each connection that was closed
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{hungUp: make(chan struct{}, 100)}
	e.Server = httptest.NewUnstartedServer(e)
	e.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			e.hungUp <- struct{}{}
		}
	}
	e.Start()
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	answer := e.answer
	e.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	b, err := io.ReadAll(z)
	req := new(collector.ExportTraceServiceRequest)
	if err == nil {
		err = proto.Unmarshal(b, req)
	}
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got, e.heads, e.paths = append(e.got, req), append(e.heads, r.Header), append(e.paths, r.URL.Path)
}

// spans are those that have arrived.
func (e *endpoint) spans() (list []*spans.Span) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, req := range e.got {
		for _, rs := range req.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				list = append(list, ss.Spans...)
			}
		}
	}
	return list
}

// expect waits for something that must come.
func expect(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for: %s", what)
	}
}

func options(url string) Options {
	return Options{
		URL: url, HTTP: config.DefaultHTTPClientConfig, Ratio: 1, Version: "1.2.3", Node: "node-\xff1",
		Labels: []pipeline.Label{{Name: "cluster", Value: "prod"}}, Log: slog.New(slog.DiscardHandler),
	}
}

func start(t *testing.T, o Options) *Tracer {
	t.Helper()
	tracer, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

func attributes(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		m[kv.Key] = fmt.Sprint(kv.Value.Value)
		if b, err := protojson.Marshal(kv.Value); err == nil {
			var v map[string]any
			if json.Unmarshal(b, &v) == nil {
				for _, value := range v {
					m[kv.Key] = fmt.Sprint(value)
				}
			}
		}
	}
	return m
}

var began = time.Date(2026, 11, 22, 10, 0, 0, 123, time.UTC)

// TestSpan is the whole of two spans, as they arrive.
func TestSpan(t *testing.T) {
	e := newEndpoint(t)
	o := options(strings.Replace(e.URL, "://", "://scraper:secret@", 1) + "/own/v1/traces")
	tracer := start(t, o)
	tracer.Batch(pipeline.Batch{
		Sink: "central", Start: began, End: began.Add(1500 * time.Millisecond), Delivered: pipeline.Count{Lines: 900, Bytes: 90_000},
		Requests: 2, SentBytes: 30_000, Code: "204"})
	tracer.Batch(pipeline.Batch{Sink: "files", Start: began, End: began, Dropped: pipeline.Count{Lines: 3, Bytes: 30}, Requests: 1, SentBytes: 31, Code: "error"})
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, e.hungUp, "that the connection is closed")
	list := e.spans()
	if len(list) != 2 {
		t.Fatalf("%d spans", len(list))
	}
	for i, want := range []struct {
		name       string
		took       time.Duration
		status     spans.Status_StatusCode
		attributes map[string]string
	}{
		{"deliver central", 1500 * time.Millisecond, spans.Status_STATUS_CODE_UNSET, map[string]string{
			"leat.sink": "central", "leat.lines": "900", "leat.log_bytes": "90000", "leat.dropped_lines": "0",
			"leat.requests": "2", "leat.sent_bytes": "30000", "http.response.status_code": "204"}},
		{"deliver files", 0, spans.Status_STATUS_CODE_ERROR, map[string]string{
			"leat.sink": "files", "leat.lines": "0", "leat.log_bytes": "0", "leat.dropped_lines": "3",
			"leat.requests": "1", "leat.sent_bytes": "31"}},
	} {
		s := list[i]
		if s.Name != want.name || s.Kind != spans.Span_SPAN_KIND_CLIENT || s.GetStatus().GetCode() != want.status ||
			int64(s.StartTimeUnixNano) != began.UnixNano() || time.Duration(s.EndTimeUnixNano-s.StartTimeUnixNano) != want.took {
			t.Errorf("%v", s)
		}
		if got := attributes(s.Attributes); !maps.Equal(got, want.attributes) {
			t.Errorf("%s has %v, want %v", s.Name, got, want.attributes)
		}
	}
	resource := attributes(e.got[0].ResourceSpans[0].Resource.Attributes)
	if want := map[string]string{"service.name": "leatd", "service.version": "1.2.3", "service.instance.id": "node-\uFFFD1",
		"host.name": "node-\uFFFD1", "k8s.node.name": "node-\uFFFD1", "cluster": "prod"}; !maps.Equal(resource, want) {
		t.Errorf("resource %v, want %v", resource, want)
	}
	head := e.heads[0]
	if user := head.Get("Authorization"); e.paths[0] != "/own/v1/traces" || user != "Basic c2NyYXBlcjpzZWNyZXQ=" || head.Get("User-Agent") != "leatd/1.2.3" {
		t.Errorf("%s %v", e.paths[0], head)
	}
}

// TestRatio: a share of the batches gets a span.
func TestRatio(t *testing.T) {
	for ratio, bounds := range map[float64][2]int{0: {0, 0}, 0.25: {100, 300}, 1: {800, 800}} {
		e := newEndpoint(t)
		o := options(e.URL + "/v1/traces")
		o.Ratio = ratio
		tracer := start(t, o)
		for range 800 {
			tracer.Batch(pipeline.Batch{Sink: "s", Start: began, End: began})
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(e.spans()); n < bounds[0] || n > bounds[1] {
			t.Errorf("ratio %v: %d of 800 spans", ratio, n)
		}
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// TestTrouble: an endpoint that fails is said once and so is its return; the SDK's own handler says nothing.
func TestTrouble(t *testing.T) {
	e := newEndpoint(t)
	var log lockedBuffer
	o := options(e.URL + "/v1/traces")
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	tracer := start(t, o)
	said := captureStderr(t, func() {
		for _, ok := range []bool{true, false, false, true, true} {
			e.mu.Lock()
			e.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				if !ok {
					http.Error(w, strings.Repeat("no such page ", 100), 404)
				}
				return !ok
			}
			e.mu.Unlock()
			tracer.Batch(pipeline.Batch{Sink: "s", Start: began, End: began})
			if err := tracer.queue.ForceFlush(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := tracer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	got := log.b.String()
	if strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "404") || strings.Count(got, "sent again") != 1 ||
		!strings.Contains(got, "dropped=2") || len(got) > 1200 {
		t.Errorf("logged:\n%s", got)
	}
	if said != "" {
		t.Errorf("on standard error: %s", said)
	}
	if n := len(e.spans()); n != 3 {
		t.Errorf("%d spans, want 3", n)
	}
}

// TestNeverWaits: an endpoint that hangs holds up nobody: what does not fit into the queue is dropped, and Close breaks off
// when its time is over.
func TestNeverWaits(t *testing.T) {
	e := newEndpoint(t)
	asked, broken := make(chan struct{}, 100), make(chan struct{}, 100)
	e.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see who goes away
		asked <- struct{}{}
		<-r.Context().Done()
		broken <- struct{}{}
		return true
	}
	tracer := start(t, options(e.URL+"/v1/traces"))
	batches := make(chan struct{})
	go func() {
		defer close(batches)
		for range 5 * queue {
			tracer.Batch(pipeline.Batch{Sink: "s", Start: began, End: began})
		}
	}()
	expect(t, batches, "a sender that goes on")
	expect(t, asked, "a request")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tracer.Close(ctx); err == nil || !strings.Contains(err.Error(), "were not sent") {
		t.Errorf("Close: %v", err)
	}
	expect(t, broken, "that the request is broken off")
}

// TestNothingTwice: what the endpoint did not take is not sent again, though it asks for that.
func TestNothingTwice(t *testing.T) {
	e := newEndpoint(t)
	asked := make(chan struct{}, 100)
	e.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		asked <- struct{}{}
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(503)
		return true
	}
	tracer := start(t, options(e.URL+"/v1/traces"))
	tracer.Batch(pipeline.Batch{Sink: "s", Start: began, End: began})
	if err := tracer.Close(t.Context()); err != nil || len(asked) != 1 {
		t.Errorf("%d requests, %v", len(asked), err)
	}
}

func TestWrongOptions(t *testing.T) {
	for _, url := range []string{"", "tempo:4318", "ftp://tempo/", "http://user:secret@:80 80/", "http:///v1/traces"} {
		if _, err := New(options(url)); err == nil || !strings.Contains(err.Error(), "traces: url:") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
	o := options("http://tempo:4318/v1/traces")
	o.HTTP.BasicAuth, o.HTTP.Authorization = &config.BasicAuth{Username: "u"}, &config.Authorization{Credentials: "c"}
	if _, err := New(o); err == nil || !slices.Contains(strings.Fields(err.Error()), "traces:") {
		t.Errorf("two kinds of credentials: %v", err)
	}
}
