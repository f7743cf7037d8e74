package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/sinks/sinktest"
)

// A depot is a store that keeps what it is sent, by container, and checks the numbers of the lines that have one.
type depot struct {
	*sinktest.Receiver
	t    *testing.T
	kind string

	conns atomic.Int64 // open connections

	verify simulate.Verifier // targets are NAMESPACE/POD/CONTAINER

	mu    sync.Mutex
	lines map[string][]sinktest.Line // by container; only where keep is set
	count int64
	keep  bool                                       // set before the first request
	torn  bool                                       // requests may break off, for leatd is killed; set before the first request
	seen  func(container string, at int64)           // is told of each line; set before the first request
	reply func(lines []sinktest.Line) sinktest.Reply // nil accepts all
}

func newDepot(t *testing.T, kind string) *depot {
	d := &depot{Receiver: sinktest.NewReceiver(kind), t: t, kind: kind, lines: map[string][]sinktest.Line{}, keep: true}
	d.verify.PerStream = kind == "loki" // it keeps the streams apart
	d.OnLine = d.line
	front := httptest.NewUnstartedServer(d.Receiver)
	front.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			d.conns.Add(1)
		case http.StateClosed:
			d.conns.Add(-1)
		}
	}
	front.Start()
	d.URL = front.URL
	t.Cleanup(func() {
		front.Close()
		d.Close()
		if err := d.Err(); err != nil {
			for problem := range strings.Lines(err.Error()) {
				if !d.torn || !strings.Contains(problem, "body: ") {
					t.Errorf("%s receiver: %s", kind, problem)
				}
			}
		}
	})
	return d
}

func (d *depot) line(s *sinktest.Source, at int64, line []byte) {
	key, ok := s.Data.(string)
	if !ok {
		key = s.Namespace + "/" + s.Pod + "/" + s.Container
		if s.Path != "" {
			key = s.Path
		}
		s.Data = key
	}
	stream := simulate.Stdout
	if s.Stream == "stderr" {
		stream = simulate.Stderr
	}
	d.verify.Add(key, stream, line)
	if d.seen != nil {
		d.seen(key, at)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if d.keep {
		d.lines[key] = append(d.lines[key], sinktest.Line{
			Namespace: s.Namespace, Pod: s.Pod, Container: s.Container, Stream: s.Stream, Time: at, Text: string(line)})
	}
}

// answer says how requests are answered from now on, by the lines in them; nil accepts all. Nothing is stored unless the
// reply says so.
func (d *depot) answer(reply func(lines []sinktest.Line) sinktest.Reply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reply = reply
}

// choosy makes a depot that looks into requests before it answers. It must be called before the first one.
func (d *depot) choosy() *depot {
	d.Receiver.Reply = func(_ int, r *http.Request) sinktest.Reply {
		d.mu.Lock()
		reply := d.reply
		d.mu.Unlock()
		if reply == nil {
			return sinktest.Reply{}
		}
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return sinktest.Reply{Drop: true}
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		lines, err := sinktest.Decode(d.kind, r.Header.Get("Content-Encoding"), raw)
		if err != nil {
			d.t.Errorf("a request that cannot be read: %v", err)
		}
		return reply(lines)
	}
	return d
}

// swallow stores the lines of a request that gets no yes, and returns how many they are: they have to come again.
func (d *depot) swallow(r *http.Request) (lines int64) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return 0 // leatd was killed within it
	}
	stored, err := sinktest.Decode(d.kind, r.Header.Get("Content-Encoding"), raw)
	if err != nil {
		d.t.Errorf("a request that cannot be read: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	d.Receiver.ServeHTTP(httptest.NewRecorder(), r)
	return int64(len(stored))
}

// of is what has come from a container so far.
func (d *depot) of(container string) []sinktest.Line {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines[container])
}

func (d *depot) texts(container string) (texts []string) {
	for _, l := range d.of(container) {
		texts = append(texts, l.Text)
	}
	return texts
}

// quiet waits until all is dealt with that has come from a leatd that was killed: its connections are closed.
func (d *depot) quiet() {
	d.t.Helper()
	eventually(d.t, "no connection", func() error {
		if n := d.conns.Load(); n > 0 {
			return fmt.Errorf("%d are open", n)
		}
		return nil
	})
}

// total is how many lines have come.
func (d *depot) total() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// reach waits for so many lines.
func (d *depot) reach(lines int64) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%d lines", lines), func() error {
		if n := d.total(); n < lines {
			return fmt.Errorf("%d came", n)
		}
		return nil
	})
}

// expect waits until just these lines have come from a container, in this order.
func (d *depot) expect(container string, want ...string) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%d lines of %s", len(want), container), func() error {
		if got := d.texts(container); len(got) < len(want) {
			return fmt.Errorf("%d came", len(got))
		}
		return nil
	})
	got := d.texts(container)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			d.t.Fatalf("%s: of %d lines (want %d) number %d is %s, want %s", container, len(got), len(want), i, nth(got, i), nth(want, i))
		}
	}
}

func nth(lines []string, i int) string {
	if i >= len(lines) {
		return "missing"
	}
	if n := len(lines[i]); n > 100 {
		return fmt.Sprintf("%.100q... (%d bytes)", lines[i], n)
	}
	return fmt.Sprintf("%q", lines[i])
}
