package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faults are what a store does wrong, each to so many of a hundred requests.
type faults struct {
	errors    int // answers 500
	resets    int // resets the connection: before it has read the body, or after
	throttles int // answers 429 with Retry-After
	slow      int // takes up to a second
	halves    int // hangs up within its answer

	// stored is of how many of a hundred that it fails after it has read them the lines are stored all the same, as real
	// stores do.
	stored int
}

func (f faults) String() string {
	return fmt.Sprintf("%d %% 500, %d %% resets, %d %% 429, %d %% slow, %d %% half answers, %d %% of the failed stored",
		f.errors, f.resets, f.throttles, f.slow, f.halves, f.stored)
}

// A moody store is a depot behind a door that fails at random.
type moody struct {
	*depot
	faults faults
	door   *httptest.Server
	down   atomic.Bool // it fails whatever it is asked

	mu  sync.Mutex
	rng *rand.Rand

	requests, failed atomic.Int64
	excused          atomic.Int64 // lines that it stored without a yes: they have to come again
}

func newMoody(t *testing.T, kind string, f faults, seed uint64) *moody {
	m := &moody{depot: newDepot(t, kind), faults: f, rng: rand.New(rand.NewPCG(seed, 1))}
	m.keep, m.torn = false, true
	m.door = httptest.NewServer(m)
	t.Cleanup(m.door.Close)
	return m
}

func (m *moody) dice(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.IntN(n)
}

// ServeHTTP implements http.Handler.
func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.requests.Add(1)
	if m.down.Load() {
		m.failing(r, 0)
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	mood := m.dice(100)
	is := func(share int) bool { mood -= share; return mood < 0 }
	f := m.faults
	switch {
	case is(f.errors):
		m.failing(r, f.stored)
		http.Error(w, "something went wrong", http.StatusInternalServerError)
	case is(f.throttles):
		m.failing(r, 0)
		w.Header().Set("Retry-After", "1")
		http.Error(w, "ingestion rate limit exceeded", http.StatusTooManyRequests)
	case is(f.resets):
		if m.dice(2) == 0 {
			m.failing(r, f.stored)
		}
		reset(w)
	case is(f.halves):
		m.failing(r, f.stored)
		reset(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly so mu")
	case is(f.slow):
		answer := httptest.NewRecorder()
		m.Receiver.ServeHTTP(answer, r)
		select {
		case <-time.After(time.Duration(m.dice(1000)) * time.Millisecond):
		case <-r.Context().Done():
		}
		w.WriteHeader(answer.Code)
	default:
		m.Receiver.ServeHTTP(w, r)
	}
}

// failing reads a request that is not going to get a yes, and stores it in so many of a hundred cases.
func (m *moody) failing(r *http.Request, stored int) {
	m.failed.Add(1)
	if m.dice(100) < stored {
		m.excused.Add(m.swallow(r))
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // leatd may be killed within it
}

// reset says something and resets the connection: what was said last may be lost.
func reset(w http.ResponseWriter, said ...string) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // it is gone already
	}
	for _, s := range said {
		_, _ = buf.WriteString(s)
	}
	_ = buf.Flush()
	if len(said) == 0 {
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
	_ = conn.Close()
}
