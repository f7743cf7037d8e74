package exporter

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/leatd/leat/pipeline"
)

func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

// familiesIn are the names of an answer's families in their order.
func familiesIn(t *testing.T, w *httptest.ResponseRecorder) (names []string) {
	t.Helper()
	kind := w.Header().Get("Content-Type")
	if strings.HasPrefix(kind, "application/vnd.google.protobuf") {
		d := expfmt.NewDecoder(w.Body, expfmt.Format(kind))
		for {
			var mf dto.MetricFamily
			if err := d.Decode(&mf); errors.Is(err, io.EOF) {
				return names
			} else if err != nil {
				t.Fatal(err)
			}
			names = append(names, mf.GetName())
		}
	}
	om := strings.HasPrefix(kind, "application/openmetrics-text")
	body := w.Body.String()
	if om != strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("%s: the end is %q", kind, body[max(0, len(body)-20):])
	}
	for line := range strings.Lines(body) {
		if f := strings.Fields(line); f[0] == "#" && f[1] == "TYPE" {
			name := f[2]
			if om && f[3] == "counter" {
				name += "_total"
			}
			names = append(names, name)
		}
	}
	return names
}

// TestScrapeOrder checks a whole scrape: every family once, sorted, the ledger's among the others, in all formats.
func TestScrapeOrder(t *testing.T) {
	registry := NewRegistry("1.2.3", "abc", ledgerOf(ByContainer, workload(time.Now())...))
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "leat_middle", Help: "h."}, func() float64 { return 4 }))
	h := newMetrics(registry, discard())
	for _, accept := range []string{
		"", "text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5", protobuf,
	} {
		w := get(h, "/metrics", "Accept", accept)
		kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
		if want, _, _ := strings.Cut(cmp.Or(accept, "text/plain"), ";"); kind != want {
			t.Errorf("Accept %q got %q", accept, kind)
		}
		names := familiesIn(t, w)
		for i := 1; i < len(names); i++ {
			if names[i-1] >= names[i] {
				t.Errorf("Accept %q: %s before %s", accept, names[i-1], names[i])
			}
		}
		for _, f := range families() {
			if !slices.Contains(names, f.name) {
				t.Errorf("Accept %q: no %s", accept, f.name)
			}
		}
		for _, name := range []string{"leat_build_info", "leat_middle", "go_goroutines", "process_cpu_seconds_total"} {
			if !slices.Contains(names, name) {
				t.Errorf("Accept %q: no %s", accept, name)
			}
		}
	}
}

func TestScrapeByName(t *testing.T) {
	h := newMetrics(NewRegistry("1.2.3", "abc", ledgerOf(ByContainer, workload(time.Now())...)), discard())
	body := get(h, "/metrics?name[]=leat_sink_up&name[]=leat_build_info").Body.String()
	if got := samples(t, body); len(got) != 3 || got[`leat_sink_up{sink="central"}`] != 1 {
		t.Errorf("two names gave %v", got)
	}
	if !strings.Contains(body, `leat_build_info{goversion="go1.`) || !strings.Contains(body, `revision="abc",version="1.2.3"} 1`) {
		t.Errorf("build info: %s", body)
	}
}

func TestScrapeCompression(t *testing.T) {
	h := newMetrics(NewRegistry("", "", ledgerOf(ByContainer, workload(time.Now())...)), discard())
	for accept, want := range map[string]string{
		"": "", "gzip": "gzip", "deflate, gzip;q=0.5": "gzip", "GZIP": "gzip", "br": "",
		"gzip;q=0": "", "gzip; q=0.0, br": "", "gzipped": "", "*": "",
		"zstd": "zstd", "gzip, zstd": "zstd", "zstd;q=0, gzip": "gzip",
	} {
		for range 2 { // the second time with a writer that was used before
			w := get(h, "/metrics", "Accept-Encoding", accept)
			if got := w.Header().Get("Content-Encoding"); got != want {
				t.Errorf("Accept-Encoding %q: %q", accept, got)
			}
			body := io.Reader(w.Body)
			switch want {
			case "gzip":
				z, err := gzip.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			case "zstd":
				z, err := zstd.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				defer z.Close()
				body = z
			}
			b, err := io.ReadAll(body)
			if err != nil || !bytes.Contains(b, []byte("\nleat_sink_up{")) {
				t.Errorf("Accept-Encoding %q: %v, %d bytes", accept, err, len(b))
			}
		}
	}
}

// TestCompressorIsKept: a scrape uses the compressor of the one before, whatever garbage was collected in between.
func TestCompressorIsKept(t *testing.T) {
	h := newMetrics(NewRegistry("", "", ledgerOf(ByContainer)), discard())
	for _, c := range h.codings {
		made, make := 0, c.make
		c.make = func() compressor { made++; return make() }
		for range 3 {
			r := httptest.NewRequest("GET", "/metrics", nil)
			r.Header.Set("Accept-Encoding", c.name)
			h.ServeHTTP(httptest.NewRecorder(), r)
			runtime.GC()
			runtime.GC()
		}
		if made != 1 {
			t.Errorf("%s: %d compressors for 3 scrapes", c.name, made)
		}
	}
}

// TestScrapeGoesOnWithoutTheRest has a collector that fails: it is said once, and everything else is served.
func TestScrapeGoesOnWithoutTheRest(t *testing.T) {
	registry := NewRegistry("", "", ledgerOf(ByContainer, workload(time.Now())...))
	bad := new(failing)
	registry.MustRegister(bad)
	var log bytes.Buffer
	h := newMetrics(registry, slog.New(slog.NewTextHandler(&log, nil)))
	for i := range 3 {
		bad.err = fmt.Errorf("the disk is gone, %d", i) // the words change, the trouble does not
		if w := get(h, "/metrics"); w.Code != 200 || !strings.Contains(w.Body.String(), "\nleat_sink_up{") {
			t.Errorf("%d %.200s", w.Code, w.Body.String())
		}
	}
	bad.err = nil
	get(h, "/metrics")
	bad.err = errors.New("it comes and goes")
	get(h, "/metrics")
	bad.err = nil
	get(h, "/metrics")
	if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "the disk is gone") ||
		strings.Count(got, "gathered again") != 1 {
		t.Errorf("logged:\n%s", got)
	}
}

type failing struct{ err error }

func (failing) Describe(chan<- *prometheus.Desc) {}
func (f *failing) Collect(ch chan<- prometheus.Metric) {
	if f.err != nil {
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(f.err), f.err)
	}
}

// TestScrapesAreBounded holds as many scrapes as there may be.
func TestScrapesAreBounded(t *testing.T) {
	h := newMetrics(NewRegistry("", "", ledgerOf(ByContainer)), discard())
	for range maxScrapes {
		h.scrapes <- struct{}{}
	}
	if w := get(h, "/metrics"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("one scrape too many: %d %s", w.Code, w.Body.String())
	}
	<-h.scrapes
	if w := get(h, "/metrics"); w.Code != http.StatusOK || len(h.scrapes) != maxScrapes-1 {
		t.Errorf("with a free place: %d, %d places taken", w.Code, len(h.scrapes))
	}
}

// TestBrokenClient has a client that goes away in the middle: the answer must not look complete.
func TestBrokenClient(t *testing.T) {
	h := newMetrics(NewRegistry("", "", ledgerOf(ByContainer, many(500))), discard())
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v", err)
		}
		if len(h.scrapes) != 0 {
			t.Error("the scrape's place is still taken")
		}
	}()
	h.ServeHTTP(&deaf{left: 1000}, httptest.NewRequest("GET", "/metrics", nil))
}

type deaf struct {
	header http.Header
	left   int
}

func (d *deaf) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}
func (d *deaf) WriteHeader(int) {}
func (d *deaf) Write(b []byte) (int, error) {
	if d.left -= len(b); d.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

// TestScrapesWhileAccountsChange scrapes from several sides while readers settle lines and pods come and go. In each
// scrape the ledger must add up. Run with -race.
func TestScrapesWhileAccountsChange(t *testing.T) {
	for _, by := range []LogsBy{ByContainer, ByNamespace, ByNone} {
		lanes := []*fakeLane{{name: "a"}, {name: "b"}}
		h := newMetrics(NewRegistry("", "", ledgerOf(by, lanes...)), discard())
		ctx, stop := context.WithCancel(t.Context())
		var writers, scrapers sync.WaitGroup
		for w := range 4 {
			writers.Go(func() { work(ctx, lanes[w%2], w) })
		}
		for s := range 3 {
			scrapers.Go(func() {
				for range 30 {
					var body string
					if s == 0 {
						var b bytes.Buffer
						for _, mf := range h.registry.ledger.Gather() {
							if _, err := expfmt.MetricFamilyToText(&b, mf); err != nil {
								t.Error(err)
							}
						}
						body = b.String()
					} else {
						body = get(h, "/metrics").Body.String()
					}
					checkIdentity(t, samples(t, body))
				}
			})
		}
		scrapers.Wait()
		stop()
		writers.Wait()
		if n := checkIdentity(t, samples(t, get(h, "/metrics").Body.String())); n == 0 {
			t.Error("no series was checked")
		}
	}
}

// work is a reader: lines are read, then delivered or dropped; all the time a pod comes and an older one goes.
func work(ctx context.Context, lane *fakeLane, n int) {
	var rows []*fakeRow
	for i := int64(0); ctx.Err() == nil; i++ {
		if i%500 == 0 {
			rows = append(rows, lane.add(pod(fmt.Sprint("ns", n), fmt.Sprint("pod", i/500%3), "c"), pipeline.Figures{}))
			if len(rows) > 5 {
				lane.remove(rows[0])
				rows = rows[1:]
			}
		}
		row := rows[i%int64(len(rows))]
		row.account.Update(func(f *pipeline.Figures) {
			f.Read.Add(10, 1000)
			f.Pending.Add(10, 1000)
		})
		row.account.Update(func(f *pipeline.Figures) {
			f.Pending.Add(-4, -400)
			f.Delivered.Add(3, 300)
			f.Dropped[i%int64(pipeline.NumReasons)].Add(1, 100)
		})
		runtime.Gosched() // here and not in the middle of a write, which a snapshot would wait for
	}
}

// slowCollector collects when it may.
type slowCollector struct{ entered, leave chan struct{} }

func (*slowCollector) Describe(chan<- *prometheus.Desc) {}
func (s *slowCollector) Collect(chan<- prometheus.Metric) {
	close(s.entered)
	<-s.leave
}
