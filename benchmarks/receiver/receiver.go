// Package receiver is the store of a comparison: it keeps every request as it came while the clock runs, and looks into
// them afterwards.
//
// It takes what agents send: Loki's push (snappy protobuf, or JSON), OTLP over HTTP, and newline-delimited JSON, each
// with any compression that the protocol knows, at the protocol's path below any prefix; each prefix is a store of its
// own, for agents that send to several. While the clock runs it does nothing but copy a body into memory that was
// touched before, stamp it, and say yes: its CPU is not the agent's, but it shares the machine. Bytes on the wire are
// counted where they arrive at the connection, so heads of requests are among them.
//
// Check then decodes the bodies in the order in which they came, with the decoders of package sinktest, and holds the
// lines' numbers against what was written: package simulate puts them there.
//
// Serve is a process of its own, which Start starts: the Go runtime's work for the receiver must not stand in the way of
// whoever writes the load and measures.
package receiver

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An arrival is one body.
type arrival struct {
	at             int64 // nanoseconds since the Unix epoch, when the last byte had come
	store          string
	kind, encoding string // as sinktest.Decoder knows them
	body           []byte
}

// A Receiver keeps what comes. It is an http.Handler.
type Receiver struct {
	wire atomic.Int64 // bytes read from connections

	mu       sync.Mutex
	room     []byte // for bodies that come; touched
	arrivals []arrival
	failed   int // requests whose body broke off, or that no path knows
}

// slab is how much room is made at once when it has run out.
const slab = 32 << 20

// New has room for so many bytes of bodies before it has to ask the kernel for more.
func New(reserve int64) *Receiver {
	r := &Receiver{room: make([]byte, reserve)}
	for i := 0; i < len(r.room); i += 4096 { // a page's first touch costs more than copying to it
		r.room[i] = 1
	}
	return r
}

// take gives n bytes that are the caller's for ever.
func (r *Receiver) take(n int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.room) < n {
		r.room = make([]byte, max(slab, n))
	}
	b := r.room[:n:n]
	r.room = r.room[n:]
	return b
}

// ServeHTTP keeps a body and says yes as its protocol has it. A GET is a question whether somebody is there.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		return
	}
	a, ok := known(req)
	if ok {
		var err error
		a.body, err = r.read(req)
		ok = err == nil
	}
	r.mu.Lock()
	a.at = time.Now().UnixNano() // under the lock, so that arrivals are in the order of their times
	if ok {
		r.arrivals = append(r.arrivals, a)
	} else {
		r.failed++
	}
	r.mu.Unlock()
	switch {
	case !ok:
		http.Error(w, "the path must end in /loki/api/v1/push, /v1/logs or /ndjson, and the body must be whole", http.StatusBadRequest)
	case a.kind == "otlp":
		w.Header().Set("Content-Type", "application/x-protobuf") // an empty ExportLogsServiceResponse has no bytes
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// known says what protocol a request speaks, and which of the stores it is for.
func known(req *http.Request) (arrival, bool) {
	a := arrival{encoding: req.Header.Get("Content-Encoding")}
	for _, p := range []struct{ path, kind string }{{"/loki/api/v1/push", "loki"}, {"/v1/logs", "otlp"}, {"/ndjson", "http"}} {
		if prefix, found := strings.CutSuffix(req.URL.Path, p.path); found {
			a.store, a.kind = prefix, p.kind
			if a.kind == "loki" && strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
				a.kind = "loki_json"
			}
			return a, true
		}
	}
	return a, false
}

func (r *Receiver) read(req *http.Request) ([]byte, error) {
	if req.ContentLength < 0 {
		return io.ReadAll(req.Body)
	}
	body := r.take(int(req.ContentLength))
	_, err := io.ReadFull(req.Body, body)
	return body, err
}

// Status is what can be said without looking into bodies.
type Status struct {
	Requests int
	Failed   int   // requests that were answered with 400
	Body     int64 // bytes of bodies
	Wire     int64 // bytes that came over connections
	First    int64 // when the first body had come, in nanoseconds since the Unix epoch; 0 if none has
	Last     int64 // when the last had
}

// Status may be asked for at any time.
func (r *Receiver) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Requests: len(r.arrivals), Failed: r.failed, Wire: r.wire.Load()}
	for _, a := range r.arrivals {
		s.Body += int64(len(a.body))
	}
	if n := len(r.arrivals); n > 0 {
		s.First, s.Last = r.arrivals[0].at, r.arrivals[n-1].at
	}
	return s
}

// A counted listener's connections add what they read to the wire's bytes.
type counted struct {
	net.Listener
	wire *atomic.Int64
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countedConn{c, l.wire}, nil
}

type countedConn struct {
	net.Conn
	wire *atomic.Int64
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.Add(int64(n))
	return n, err
}

// storeName is how a store is called in words.
func storeName(prefix string) string {
	if prefix == "" {
		return "the receiver"
	}
	return "the store at " + strconv.Quote(prefix)
}
