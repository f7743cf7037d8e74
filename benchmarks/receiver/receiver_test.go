package receiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/sinks/sinktest"
)

// The test's program is also the receiver's process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "receive" {
		if err := Serve(os.Stdin, os.Stdout, 1<<20); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else each process that ends would wait for a second
	goleak.VerifyTestMain(m)
}

const second = int64(time.Second)

// written are lines of one container, numbered as given, written one a second.
func written(numbers ...int64) (lines []sinktest.Line) {
	for _, n := range numbers {
		lines = append(lines, sinktest.Line{Namespace: "load", Pod: "pod-0", Container: "app", Stream: "stdout",
			Time: 1000*second + n*second, Text: string(simulate.AppendSeq([]byte("a line"), n))})
	}
	return lines
}

// ndjson is what an agent of its own might send.
func ndjson(lines []sinktest.Line) []byte {
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintf(&b, `{"k8s.namespace.name":%q,"k8s.pod.name":%q,"k8s.container.name":%q,"log.iostream":%q,"time":%q,"msg":%q}`+"\n",
			l.Namespace, l.Pod, l.Container, l.Stream, time.Unix(0, l.Time).UTC().Format(time.RFC3339Nano), l.Text)
	}
	return b.Bytes()
}

func lokiJSON(lines []sinktest.Line) []byte {
	var values []string
	for _, l := range lines {
		values = append(values, fmt.Sprintf(`["%d",%q]`, l.Time, l.Text))
	}
	return fmt.Appendf(nil, `{"streams":[{"stream":{"namespace":"load","pod":"pod-0","container":"app"},"values":[%s]}]}`, strings.Join(values, ","))
}

// field is a protobuf field with a length.
func field(number byte, parts ...[]byte) []byte {
	b := bytes.Join(parts, nil)
	out := []byte{number<<3 | 2}
	for n := len(b); ; n >>= 7 {
		if n < 0x80 {
			return append(append(out, byte(n)), b...)
		}
		out = append(out, byte(n)|0x80)
	}
}

func loki(lines []sinktest.Line) []byte {
	stream := field(1, []byte(`{namespace="load", pod="pod-0", container="app", stream="stdout"}`))
	for _, l := range lines {
		seconds := []byte{1 << 3, byte(l.Time/second) | 0x80, byte(l.Time / second >> 7)}
		stream = append(stream, field(2, field(1, seconds), field(2, []byte(l.Text)))...)
	}
	return s2.EncodeSnappy(nil, field(1, stream))
}

func otlp(lines []sinktest.Line) []byte {
	attribute := func(key, value string) []byte {
		return field(1, field(1, []byte(key)), field(2, field(1, []byte(value))))
	}
	resource := field(1, attribute("k8s.namespace.name", "load"), attribute("k8s.pod.name", "pod-0"), attribute("k8s.container.name", "app"))
	var records []byte
	for _, l := range lines {
		at := []byte{1<<3 | 1, 0, 0, 0, 0, 0, 0, 0, 0}
		for i := range 8 {
			at[1+i] = byte(l.Time >> (8 * i))
		}
		records = append(records, field(2, at, field(5, field(1, []byte(l.Text))))...)
	}
	return field(1, field(2, records), resource) // in the order in which the Collector writes them
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func zstded(b []byte) []byte {
	w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// post sends a body, and sets the clock at its arrival to a second after the thousandth.
func post(t *testing.T, r *Receiver, path, contentType, encoding string, body []byte, at int64) int {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if n := len(r.arrivals); n > 0 {
		r.arrivals[n-1].at = 1000*second + at*second
	}
	return w.Code
}

// Every protocol, in every compression that it is sent with: all lines are found, with their latencies.
func TestProtocols(t *testing.T) {
	lines := written(0, 1, 2, 3)
	for _, c := range []struct {
		name, path, contentType, encoding string
		body                              []byte
		answer                            int
	}{
		{"loki", "/loki/api/v1/push", "application/x-protobuf", "", loki(lines), 204},
		{"loki says snappy", "/loki/api/v1/push", "application/x-protobuf", "snappy", loki(lines), 204},
		{"loki JSON", "/loki/api/v1/push", "application/json", "", lokiJSON(lines), 204},
		{"loki JSON gzip", "/loki/api/v1/push", "application/json; charset=utf-8", "gzip", gzipped(lokiJSON(lines)), 204},
		{"otlp", "/v1/logs", "application/x-protobuf", "", otlp(lines), 200},
		{"otlp gzip", "/v1/logs", "application/x-protobuf", "gzip", gzipped(otlp(lines)), 200},
		{"otlp zstd", "/v1/logs", "application/x-protobuf", "zstd", zstded(otlp(lines)), 200},
		{"ndjson gzip", "/ndjson", "application/x-ndjson", "gzip", gzipped(ndjson(lines)), 204},
		{"a store of its own", "/2/ndjson", "application/x-ndjson", "", ndjson(lines), 204},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(1 << 10)
			if got := post(t, r, c.path, c.contentType, c.encoding, c.body, 10); got != c.answer {
				t.Errorf("answered %d, want %d", got, c.answer)
			}
			report := r.Check(Question{Lines: map[string]int64{"load/pod-0/app": 4}, From: 1001 * second})
			want := Report{
				Status: Status{Requests: 1, Body: int64(len(c.body)), First: 1010 * second, Last: 1010 * second},
				Lines:  4, Bytes: 4 * int64(len(lines[0].Text)), P50: 8 * time.Second, P99: 9 * time.Second,
			}
			if fmt.Sprint(report) != fmt.Sprint(want) || !report.OK() {
				t.Errorf("report\n%+v, want\n%+v", report, want)
			}
		})
	}
}

// What is wrong with lines is seen, each kind as what it is.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		bodies [][]sinktest.Line
		stores int
		want   string // missing, twice, out of order, foreign, troubles
	}{
		{"all", [][]sinktest.Line{written(0, 1), written(2, 3)}, 1, "0 0 0 0 0"},
		{"one missing", [][]sinktest.Line{written(0, 1), written(3)}, 1, "1 0 0 0 1"},
		{"a body twice", [][]sinktest.Line{written(0, 1), written(0, 1), written(2, 3)}, 1, "0 2 0 0 1"},
		{"bodies overtake", [][]sinktest.Line{written(2, 3), written(0, 1)}, 1, "0 0 2 0 1"},
		{"never written", [][]sinktest.Line{written(0, 1, 2, 3, 4)}, 1, "0 0 0 1 1"},
		{"nothing", nil, 1, "4 0 0 0 1"},
		{"one store of two", [][]sinktest.Line{written(0, 1, 2, 3)}, 2, "4 0 0 0 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(0)
			for i, lines := range c.bodies {
				post(t, r, "/ndjson", "application/x-ndjson", "", ndjson(lines), int64(i))
			}
			report := r.Check(Question{Lines: map[string]int64{"load/pod-0/app": 4}, Stores: c.stores})
			got := fmt.Sprint(report.Missing, report.Duplicate, report.OutOfOrder, report.Foreign, len(report.Trouble))
			if got != c.want || report.OK() != (c.name == "all") {
				t.Errorf("%s, want %s: %v", got, c.want, report.Trouble)
			}
		})
	}
}

// Stores are told apart by what stands before the protocol's path.
func TestStores(t *testing.T) {
	r := New(0)
	for _, path := range []string{"/1/ndjson", "/2/ndjson"} {
		post(t, r, path, "application/x-ndjson", "", ndjson(written(0, 1)), 1)
	}
	if report := r.Check(Question{Lines: map[string]int64{"load/pod-0/app": 2}, Stores: 2}); !report.OK() || report.Lines != 4 {
		t.Errorf("%+v", report)
	}
}

// A body that can't be read is told, and so is a container that nobody knows; a wrong path or a torn body is refused.
func TestTrouble(t *testing.T) {
	r := New(0)
	post(t, r, "/v1/logs", "application/x-protobuf", "gzip", []byte("no gzip"), 1)
	post(t, r, "/ndjson", "application/x-ndjson", "", []byte(`{"time":"2026-01-02T03:04:05Z","msg":"no number"}`+"\n"), 1)
	report := r.Check(Question{})
	if len(report.Trouble) != 2 || report.Foreign != 1 || report.OK() {
		t.Errorf("%+v", report)
	}
	if code := post(t, r, "/v1/traces", "", "", nil, 1); code != 400 {
		t.Errorf("a wrong path: %d", code)
	}
	torn := httptest.NewRequest(http.MethodPost, "/ndjson", strings.NewReader("half"))
	torn.ContentLength = 8
	w := httptest.NewRecorder()
	r.ServeHTTP(w, torn)
	if s := r.Status(); w.Code != 400 || s.Requests != 2 || s.Failed != 2 {
		t.Errorf("a torn body: %d, %+v", w.Code, s)
	}
}

func TestQuantiles(t *testing.T) {
	var hundred []int64
	for i := range int64(100) {
		hundred = append(hundred, 100-i)
	}
	for _, c := range []struct {
		of       []int64
		p50, p99 time.Duration
	}{{nil, 0, 0}, {[]int64{7}, 7, 7}, {[]int64{2, 1}, 1, 2}, {hundred, 50, 99}} {
		if p50, p99 := quantiles(c.of); p50 != c.p50 || p99 != c.p99 {
			t.Errorf("of %d: %d, %d, want %d, %d", len(c.of), p50, p99, c.p50, c.p99)
		}
	}
}

// The receiver as a process: bodies with and without a length, bytes of the wire, and the end.
func TestProcess(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Start(exec.Command(path, "receive"))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	body := ndjson(written(0, 1, 2))
	send := func(b interface{ Read([]byte) (int, error) }) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL+"/ndjson", b)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != 204 {
			t.Fatal(resp.Status)
		}
	}
	send(bytes.NewReader(body))
	send(struct{ *bytes.Buffer }{bytes.NewBuffer(ndjson(written(3)))}) // of unknown length: sent in chunks
	transport.CloseIdleConnections()
	report, err := r.Check(t.Context(), Question{Lines: map[string]int64{"load/pod-0/app": 4}})
	if err != nil || !report.OK() || report.Requests != 2 {
		t.Errorf("%+v: %v", report, err)
	}
	if heads := report.Wire - report.Body; heads < 100 || heads > 1000 {
		t.Errorf("%d bytes on the wire for %d of bodies", report.Wire, report.Body)
	}
	if status, err := r.Status(t.Context()); err != nil || status != report.Status {
		t.Errorf("status %+v, %v, want %+v", status, err, report.Status)
	}
	if err := r.ask(t.Context(), http.MethodGet, "/none", nil, new(Status)); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an unknown question: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Status(context.Background()); err == nil {
		t.Error("it answers after its end")
	}
}

// deaf is an output that takes nothing.
type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errors.New("nobody listens") }

func TestServeEnds(t *testing.T) {
	if err := Serve(strings.NewReader(""), io.Discard, 0); err != nil {
		t.Error(err)
	}
	if err := Serve(strings.NewReader(""), deaf{}, 0); err == nil || err.Error() != "receiver: nobody listens" {
		t.Error(err)
	}
}
