package sinktest

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"go.uber.org/goleak"

	"github.com/leatd/leat/pipeline"
)

// The credentials that a sink under test is to be given, as basic_auth. The suite looks for them in every text.
const (
	User     = "node-agent"
	Password = "s3cr3t-of-the-suite"
)

// A Kind is a kind of sink that speaks HTTP.
type Kind struct {
	// Name is "loki", "otlp" or "http", or with Metrics "otlp" or "remote_write"; it says how bodies are read and what a
	// store of that kind answers.
	Name string

	// Metrics says that bodies hold MetricSamples metrics. Their content is not looked at.
	Metrics bool

	// New makes a sink for a URL without a path, with User and Password, following redirects.
	New func(tb testing.TB, url string, timeout time.Duration) Sink

	// Path is where requests must arrive.
	Path string
}

// MetricSamples is how many samples each body of a sink for metrics must hold.
const MetricSamples = 20

// patience is how long something may take that ought to take no time.
const patience = 20 * time.Second

// Run checks all that a sink of that kind promises about its requests and about the answers to them.
func Run(t *testing.T, k Kind) {
	t.Run("answers", func(t *testing.T) {
		for _, c := range answers(k) {
			t.Run(c.name, func(t *testing.T) { k.check(t, c) })
		}
	})
	if !k.Metrics {
		t.Run("request", k.request)
		t.Run("concurrent", k.concurrent)
	}
	t.Run("keep-alive", k.keepAlive)
	t.Run("cancel", k.cancel)
	t.Run("body is free after Send", k.bodyIsFree)
	t.Run("nobody listens", k.nobodyListens)
	t.Run("wrong scheme", k.wrongScheme)
}

// server is a server on the loopback interface that knows its connections.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	alive map[net.Conn]bool
	seen  int
}

// serve starts a server, and checks after the test that sink and server left nothing behind. Connections that the
// server did not close itself must have been closed by the sink.
func serve(t *testing.T, tls bool, h http.Handler) *server {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	s := &server{alive: map[net.Conn]bool{}}
	s.Server = httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch state {
		case http.StateNew:
			s.alive[c] = true
			s.seen++
		case http.StateClosed, http.StateHijacked:
			delete(s.alive, c)
		}
	}
	s.Config.ErrorLog = silent()
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		deadline := time.Now().Add(patience)
		for s.connections() > 0 && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond) // a poll: the closing arrives when it arrives
		}
		if n := s.connections(); n > 0 {
			t.Errorf("%d connections are open after Close", n)
		}
		s.Close()
		goleak.VerifyNone(t, leaks)
	})
	return s
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.alive)
}

func (k *Kind) open(t *testing.T, url string, timeout time.Duration) Sink {
	t.Helper()
	s := k.New(t, url, timeout)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	for _, secret := range secrets() {
		if strings.Contains(s.Where(), secret) {
			t.Errorf("Where tells the secret %q: %s", secret, s.Where())
		}
	}
	return s
}

func secrets() []string {
	return []string{Password, base64.StdEncoding.EncodeToString([]byte(User + ":" + Password))}
}

// send sends and checks what holds of every answer.
func send(t *testing.T, ctx context.Context, s pipeline.Sink, body []byte) pipeline.Answer {
	t.Helper()
	type result struct{ a pipeline.Answer }
	done := make(chan result, 1)
	go func() { done <- result{s.Send(ctx, body)} }()
	select {
	case r := <-done:
		CheckAnswer(t, r.a)
		return r.a
	case <-time.After(patience):
		t.Fatalf("Send has not returned after %s", patience)
		panic("unreachable")
	}
}

// CheckAnswer checks what holds of every answer of every sink.
func CheckAnswer(t testing.TB, a pipeline.Answer) {
	t.Helper()
	if a.Code == "" {
		t.Error("no Code")
	}
	if a.Outcome != pipeline.Accepted && a.Err == nil {
		t.Errorf("outcome %d says not why", a.Outcome)
	}
	if a.RetryAfter < 0 || a.RetryAfter > 10*time.Minute {
		t.Errorf("RetryAfter %s", a.RetryAfter)
	}
	if a.Err == nil {
		return
	}
	text := a.Err.Error()
	if len(text) > 1000 {
		t.Errorf("complaint of %d bytes: %.200s…", len(text), text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("complaint is not one printable line: %q", text)
	}
	for _, secret := range secrets() {
		if strings.Contains(text, secret) {
			t.Errorf("complaint tells the secret %q: %s", secret, text)
		}
	}
}

func (k *Kind) check(t *testing.T, c answerCase) {
	handled := make(chan struct{})
	var once sync.Once
	s := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer once.Do(func() { close(handled) })
		c.serve(w, r)
	}))
	timeout := patience / 2
	if c.timeout > 0 {
		timeout = c.timeout
	}
	sink := k.open(t, s.URL, timeout)
	body := Encode(t, sink, Lines(c.name, 20))
	a := send(t, context.Background(), sink, body)
	select {
	case <-handled:
	case <-time.After(patience):
		t.Fatal("the server never got the request, or never got rid of it")
	}
	code := c.code
	if code == "" {
		code = "error"
	}
	if a.Outcome != c.outcome || a.Code != code || a.Reason != c.reason {
		t.Errorf("outcome %d, code %q, reason %v; want %d, %q, %v\n%v", a.Outcome, a.Code, a.Reason, c.outcome, code, c.reason, a.Err)
	}
	if a.LeftOut != c.leftOut {
		t.Errorf("%d records left out, want %d", a.LeftOut, c.leftOut)
	}
	if a.RetryAfter < c.atLeast || a.RetryAfter > max(c.atLeast, c.atMost) {
		t.Errorf("RetryAfter %s, want %s to %s", a.RetryAfter, c.atLeast, max(c.atLeast, c.atMost))
	}
	for _, want := range c.says {
		if a.Err == nil || !strings.Contains(a.Err.Error(), want) {
			t.Errorf("complaint %v does not say %q", a.Err, want)
		}
	}
	if c.outcome == pipeline.Accepted && a.Err != nil && len(c.says) == 0 {
		t.Errorf("accepted, with a complaint: %v", a.Err)
	}
}

// request checks that a body arrives whole, at the right place, with the right headers, and is what was encoded; also
// behind redirects that repeat it.
func (k *Kind) request(t *testing.T) {
	for _, c := range []struct {
		name     string
		redirect int
	}{{"direct", 0}, {"redirected by 307", 307}, {"redirected by 308", 308}} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReceiver(k.Name) // only its handler is used
			r.Close()
			var paths []string
			s := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				paths = append(paths, req.URL.Path)
				user, password, ok := req.BasicAuth()
				if !ok || user != User || password != Password {
					t.Errorf("%s: basic_auth %q %q, want that of the suite", req.URL, user, password)
				}
				if agent := req.UserAgent(); !strings.HasPrefix(agent, "leatd/") {
					t.Errorf("User-Agent %q", agent)
				}
				if c.redirect != 0 && req.URL.Path != "/moved" {
					io.Copy(io.Discard, req.Body)
					http.Redirect(w, req, "/moved", c.redirect)
					return
				}
				r.ServeHTTP(w, req)
			}))
			sink := k.open(t, s.URL, patience)
			want := Lines(c.name, 1000)
			if a := send(t, context.Background(), sink, Encode(t, sink, want)); a.Outcome != pipeline.Accepted || a.Err != nil {
				t.Fatalf("outcome %d: %v", a.Outcome, a.Err)
			}
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
			compare(t, r.Sources(), want)
			if paths[0] != k.Path {
				t.Errorf("arrived at %s, want %s", paths[0], k.Path)
			}
			if !strings.Contains(sink.Where(), s.URL+k.Path) {
				t.Errorf("Where is %q, which is not where it went", sink.Where())
			}
		})
	}
}

// compare checks that the sources hold the lines, each once and in order for its stream.
func compare(t testing.TB, sources []*Source, want []Line) {
	t.Helper()
	type stream struct{ namespace, pod, container, stream string }
	left := map[stream][]Line{}
	for _, l := range want {
		key := stream{l.Namespace, l.Pod, l.Container, l.Stream}
		left[key] = append(left[key], l)
	}
	for _, s := range sources {
		key := stream{s.Namespace, s.Pod, s.Container, s.Stream}
		if !slices.Equal(s.Lines, left[key]) {
			t.Errorf("%v: %d lines, want %d:\n%.1000v\n%.1000v", key, len(s.Lines), len(left[key]), s.Lines, left[key])
		}
		delete(left, key)
	}
	if len(left) > 0 {
		t.Errorf("of %d streams nothing came", len(left))
	}
}
