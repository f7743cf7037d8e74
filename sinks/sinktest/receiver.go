package sinktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// A Reply is how a receiver answers one request. Its zero value stores the lines and says so, as the protocol has it.
type Reply struct {
	Status      int // 0: the lines are stored and accepted
	ContentType string
	Body        string
	RetryAfter  string

	// Stored lets a reply that is not a yes store the lines all the same, as a store does whose answer gets lost.
	Stored bool

	// Drop closes the connection instead of an answer.
	Drop bool
}

// A Receiver is a store on the loopback interface that reads what it is sent. OnLine and Reply are set, if at all,
// before its first request.
type Receiver struct {
	URL string // without a path

	// OnLine is called for each line, by one goroutine at a time. line is valid during the call. If it is nil, lines
	// are kept in their Source.
	OnLine func(s *Source, time int64, line []byte)

	// Reply says how request n is answered, counted from 1. It may be called by several goroutines at once.
	Reply func(n int, r *http.Request) Reply

	kind   string
	server *httptest.Server
	bodies sync.Pool // of *body

	mu       sync.Mutex // holds everything below
	decoder  *decoder
	requests int
	lines    int64
	bytes    int64 // of line texts
	sent     int64 // of bodies as they came
	problems []error
}

// NewReceiver starts a receiver for a kind of sink: "loki", "otlp" or "http". It answers at every path.
func NewReceiver(kind string) *Receiver {
	if !slices.Contains([]string{"loki", "otlp", "http"}, kind) {
		panic("sinktest: no receiver for " + kind)
	}
	r := &Receiver{kind: kind}
	r.bodies.New = func() any { return new(body) }
	r.decoder = newDecoder(r.line)
	r.server = httptest.NewServer(r)
	r.URL = r.server.URL
	return r
}

// Close stops the receiver and waits for the requests under way.
func (r *Receiver) Close() { r.server.Close() }

func (r *Receiver) line(s *Source, at int64, line []byte) {
	r.lines++
	r.bytes += int64(len(line))
	if r.OnLine != nil {
		r.OnLine(s, at, line)
		return
	}
	s.Lines = append(s.Lines, Line{s.Namespace, s.Pod, s.Container, s.Stream, at, string(line)})
}

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests++
	n := r.requests
	r.mu.Unlock()
	reply := Reply{}
	if r.Reply != nil {
		reply = r.Reply(n, req)
	}
	b := r.bodies.Get().(*body)
	defer r.bodies.Put(b)
	raw, err := b.read(r.kind, req)
	if err == nil && (reply.Status == 0 || reply.Stored) {
		err = r.store(raw, int64(b.raw.Len()))
	}
	if err != nil {
		r.mu.Lock()
		r.problems = append(r.problems, fmt.Errorf("request %d: %w", n, err))
		r.mu.Unlock()
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if reply.Drop {
		panic(http.ErrAbortHandler)
	}
	if reply.ContentType != "" {
		w.Header().Set("Content-Type", reply.ContentType)
	}
	if reply.RetryAfter != "" {
		w.Header().Set("Retry-After", reply.RetryAfter)
	}
	if reply.Status != 0 {
		w.WriteHeader(reply.Status)
		io.WriteString(w, reply.Body)
		return
	}
	accept(r.kind, w)
}

// accept says yes as a store of that kind does.
func accept(kind string, w http.ResponseWriter) {
	if kind == "otlp" {
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.WriteHeader(http.StatusOK) // an empty ExportLogsServiceResponse has no bytes
		return
	}
	if kind == "remote_write" {
		w.Header().Set("X-Prometheus-Remote-Write-Samples-Written", strconv.Itoa(MetricSamples))
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receiver) store(raw []byte, sent int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += sent
	return r.decoder.decode(r.kind, raw)
}

// Sources are all streams that lines came from, sorted.
func (r *Receiver) Sources() []*Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*Source
	for _, s := range r.decoder.sources {
		all = append(all, s)
	}
	key := func(s *Source) string {
		return strings.Join([]string{s.Namespace, s.Pod, s.Container, s.Stream, s.Path}, "\x00")
	}
	slices.SortFunc(all, func(a, b *Source) int { return strings.Compare(key(a), key(b)) })
	return all
}

// Totals are what has come so far: requests whatever became of them, stored lines, the bytes of their texts, and the
// bytes of the bodies they came in.
func (r *Receiver) Totals() (requests int, lines, bytes, sent int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests, r.lines, r.bytes, r.sent
}

// Err joins what was wrong with requests; nil if nothing was.
func (r *Receiver) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.problems...)
}

// A body is the buffers that one request needs at a time.
type body struct {
	raw, plain bytes.Buffer
	snappy     []byte
	gzip       *gzip.Reader
	zstd       *zstd.Decoder
}

// read reads a request's body and undoes its compression. The result is valid until the next read.
func (b *body) read(kind string, req *http.Request) ([]byte, error) {
	b.raw.Reset()
	if _, err := b.raw.ReadFrom(req.Body); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if n := req.ContentLength; n >= 0 && n != int64(b.raw.Len()) {
		return nil, fmt.Errorf("body: %d bytes, Content-Length said %d", b.raw.Len(), n)
	}
	want := map[string]string{"loki": "application/x-protobuf", "otlp": "application/x-protobuf", "http": "application/x-ndjson"}[kind]
	if got := req.Header.Get("Content-Type"); req.Method != http.MethodPost || got != want {
		return nil, fmt.Errorf("%s with Content-Type %q, want POST with %q", req.Method, got, want)
	}
	encoding := req.Header.Get("Content-Encoding")
	if kind == "loki" {
		if encoding != "" {
			return nil, fmt.Errorf("Content-Encoding %q: Loki takes snappy without saying so", encoding)
		}
		encoding = "snappy"
	}
	return b.decompress(encoding, b.raw.Bytes())
}

func (b *body) decompress(encoding string, raw []byte) (out []byte, err error) {
	b.plain.Reset()
	switch encoding {
	case "":
		return raw, nil
	case "snappy":
		out, err = s2.Decode(b.snappy[:cap(b.snappy)], raw)
		b.snappy = out
		return out, err
	case "gzip":
		if b.gzip == nil {
			b.gzip = new(gzip.Reader)
		}
		if err := b.gzip.Reset(bytes.NewReader(raw)); err != nil {
			return nil, err
		}
		if _, err := b.plain.ReadFrom(b.gzip); err != nil {
			return nil, err
		}
		return b.plain.Bytes(), nil
	case "zstd":
		if b.zstd == nil {
			if b.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)); err != nil {
				return nil, err
			}
		}
		if err := b.zstd.Reset(bytes.NewReader(raw)); err != nil {
			return nil, err
		}
		if _, err := b.plain.ReadFrom(b.zstd); err != nil {
			return nil, err
		}
		return b.plain.Bytes(), nil
	}
	return nil, fmt.Errorf("Content-Encoding %q", encoding)
}
