package sinks

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatd/leat/pipeline"
)

func newWrite(tb testing.TB, url string, labels ...pipeline.Label) *RemoteWrite {
	tb.Helper()
	w, err := NewRemoteWrite(Remote{Name: "central", URL: url, Version: "1.2.3"}, RemoteWriteFormat{Labels: labels})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { w.Close() })
	return w
}

// writtenText is the series of a 2.0 body, a line each, as the library of Prometheus' own reads them; what stands in no
// field that it knows is the start time, whose place the library does not know yet.
func writtenText(tb testing.TB, p put) string {
	tb.Helper()
	plain, err := s2.Decode(nil, p.body)
	if err != nil {
		tb.Fatal(err)
	}
	var r writev2.Request
	if err := r.UnmarshalVT(plain); err != nil {
		tb.Fatal(err)
	}
	if r.Symbols[0] != "" {
		tb.Errorf("the first symbol is %q", r.Symbols[0])
	}
	seen := map[string]bool{}
	for _, s := range r.Symbols {
		if seen[s] {
			tb.Errorf("symbol %q stands there twice", s)
		}
		seen[s] = true
	}
	if len(r.Timeseries) != p.samples {
		tb.Errorf("%d series, %d were said", len(r.Timeseries), p.samples)
	}
	var b strings.Builder
	for _, ts := range r.Timeseries {
		labels := writev2.DesymbolizeLabels(ts.LabelsRefs, r.Symbols, nil)
		var pairs []string
		for i := 0; i < len(labels); i += 2 {
			if i > 0 && labels[i] <= labels[i-2] {
				tb.Errorf("label %q behind %q", labels[i], labels[i-2])
			}
			pairs = append(pairs, labels[i]+"="+labels[i+1])
		}
		if len(ts.Samples) != 1 {
			tb.Fatalf("%v: %d samples", pairs, len(ts.Samples))
		}
		sample := ts.Samples[0]
		fmt.Fprintf(&b, "%s %s %+d", strings.Join(pairs, ","), shown(sample.Value), sample.Timestamp-gathered.UnixMilli())
		if start, n := protowire.ConsumeVarint(startOf(tb, sample.ProtoReflect().GetUnknown())); n > 0 {
			fmt.Fprintf(&b, " since %+d", int64(start)-gathered.UnixMilli())
		}
		fmt.Fprintf(&b, " %s", strings.ToLower(strings.TrimPrefix(ts.Metadata.Type.String(), "METRIC_TYPE_")))
		if help, unit := r.Symbols[ts.Metadata.HelpRef], r.Symbols[ts.Metadata.UnitRef]; help+unit != "" {
			fmt.Fprintf(&b, " %q %q", help, unit)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

func startOf(tb testing.TB, unknown []byte) []byte {
	tb.Helper()
	if len(unknown) == 0 {
		return nil
	}
	num, typ, n := protowire.ConsumeTag(unknown)
	if num != 3 || typ != protowire.VarintType {
		tb.Fatalf("field %d of a sample", num)
	}
	return unknown[n:]
}

func shown(v float64) string {
	switch math.Float64bits(v) {
	case staleNaN:
		return "STALE"
	case normalNaN:
		return "NaN"
	}
	if v != v {
		return fmt.Sprintf("NaN %x", math.Float64bits(v))
	}
	return fmt.Sprint(v)
}

func TestRemoteWriteEncode(t *testing.T) {
	w := newWrite(t, "http://prometheus:9090", pipeline.Label{Name: "job", Value: "leat"}, pipeline.Label{Name: "cluster", Value: "prod"},
		pipeline.Label{Name: "owner.name", Value: "me \xff"}, pipeline.Label{Name: "none", Value: ""})
	var bodies []put
	if err := w.Encode(ofAllKinds(t), gathered, collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 1 {
		t.Fatalf("%d bodies", len(bodies))
	}
	outer := "job=leat,owner_name=me \uFFFD"
	lines(t, writtenText(t, bodies[0]), strings.ReplaceAll(`
__name__=http_requests_total,cluster=prod,code=200,job=web,owner_name=me � 7 +0 since -3600000 counter "Requests." "requests"
__name__=http_requests_total,cluster=prod,code=500,OUTER 0 +0 counter "Requests." "requests"
__name__=latency_seconds_bucket,cluster=prod,job=leat,le=0.5,owner_name=me � 2 +0 since -60000 histogram "How long." ""
__name__=latency_seconds_bucket,cluster=prod,job=leat,le=1.0,owner_name=me � 3 +0 since -60000 histogram "How long." ""
__name__=latency_seconds_bucket,cluster=prod,job=leat,le=+Inf,owner_name=me � 4 +0 since -60000 histogram "How long." ""
__name__=latency_seconds_sum,cluster=prod,OUTER 9.5 +0 since -60000 histogram "How long." ""
__name__=latency_seconds_count,cluster=prod,OUTER 4 +0 since -60000 histogram "How long." ""
__name__=quantiles,cluster=prod,job=leat,owner_name=me �,quantile=0.5 NaN +0 summary
__name__=quantiles,cluster=prod,job=leat,owner_name=me �,quantile=1.0 8 +0 summary
__name__=quantiles_sum,cluster=prod,OUTER 8 +0 summary
__name__=quantiles_count,cluster=prod,OUTER 1 +0 summary
__name__=some_untyped,cluster=prod,OUTER 1e+20 +0 unspecified
__name__=temperature_celsius,cluster=prod,OUTER,sensor=a -Inf +0 gauge "Can be anything." ""
__name__=temperature_celsius,cluster=prod,OUTER,sensor=b +Inf +0 gauge "Can be anything." ""
__name__=temperature_celsius,cluster=prod,OUTER,sensor=c -0.5 -45006 gauge "Can be anything." ""
__name__=with.dots,cluster=prod,OUTER,ümlaut.label=ü 1 +0 unspecified
`, "OUTER", outer))
}

// What no registry gives is named if it can't be sent, and harms nothing else.
func TestRemoteWriteBroken(t *testing.T) {
	w := newWrite(t, "http://prometheus:9090")
	var bodies []put
	err := w.Encode(broken(), gathered, collect(&bodies))
	if err == nil || !strings.HasPrefix(err.Error(), "central: left out: ") || !strings.Contains(err.Error(), `a metric family without a name (help "has no name")`) {
		t.Errorf("%v", err)
	}
	lines(t, writtenText(t, bodies[0]), `
__name__=hollow_histogram_bucket,le=+Inf 0 +0 histogram
__name__=hollow_histogram_sum 0 +0 histogram
__name__=hollow_histogram_count 0 +0 histogram
__name__=hollow_summary_sum 0 +0 summary
__name__=hollow_summary_count 0 +0 summary
__name__=bad�name,a�=v,b=bad � value 1 +0 gauge "bad � help" ""
`)
}

// A body has 2,000 samples or 1 MiB, whichever is less.
func TestRemoteWriteBodies(t *testing.T) {
	w := newWrite(t, "http://prometheus:9090")
	var bodies []put
	if err := w.Encode(manySeries(4500), gathered, collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 3 || bodies[0].samples != 2000 || bodies[1].samples != 2000 || bodies[2].samples != 500 {
		t.Errorf("%d bodies", len(bodies))
	}
	for _, p := range bodies {
		writtenText(t, p)
	}

	var large []*dto.Metric
	for i := range 40 {
		large = append(large, &dto.Metric{Gauge: &dto.Gauge{}, Label: []*dto.LabelPair{{Name: ptr("a"), Value: ptr(fmt.Sprint(i, strings.Repeat("x", 100<<10)))}}})
	}
	large = append(large, &dto.Metric{Gauge: &dto.Gauge{}, Label: []*dto.LabelPair{{Name: ptr("a"), Value: ptr(strings.Repeat("y", 3<<20))}}})
	w, bodies = newWrite(t, "http://prometheus:9090"), nil
	if err := w.Encode([]*dto.MetricFamily{{Name: ptr("large"), Type: dto.MetricType_GAUGE.Enum(), Metric: large}}, gathered, collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	samples := 0
	for i, p := range bodies {
		n, _ := s2.DecodedLen(p.body)
		if last := i == len(bodies)-1; last != (n > 3<<20) || !last && n > 1<<20 || last && p.samples != 1 {
			t.Errorf("body %d: %d bytes, %d samples", i, n, p.samples)
		}
		samples += p.samples
	}
	if samples != 41 || len(bodies) != 5 {
		t.Errorf("%d samples in %d bodies", samples, len(bodies))
	}
	if bodies = nil; w.Stale(gathered, collect(&bodies)) != nil || len(bodies) != 5 {
		t.Errorf("%d bodies of markers, want 5", len(bodies))
	}
}

// A series that is gone gets one marker, and Stale gives one to all that are left.
func TestRemoteWriteMarksEndedSeries(t *testing.T) {
	w := newWrite(t, "http://prometheus:9090")
	step := 0
	encode := func(text, want string) {
		t.Helper()
		var bodies []put
		now := gathered.Add(time.Duration(step) * time.Second)
		step++
		if err := w.Encode(exposed(t, text), now, collect(&bodies)); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range bodies {
			got += writtenText(t, p)
		}
		lines(t, got, want)
	}
	stale := func(now time.Time, want string) {
		t.Helper()
		var bodies []put
		if err := w.Stale(now, collect(&bodies)); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, p := range bodies {
			got += writtenText(t, p)
		}
		lines(t, got, want)
	}
	const a, b, own = "# TYPE a counter\na{x=\"1\"} 1\n", "# HELP b Is b.\nb 2\n", "own 3 1767323000000\n"
	stale(gathered, "")
	encode(a+b+own, "__name__=a,x=1 1 +0 counter\n__name__=b 2 +0 unspecified \"Is b.\" \"\"\n__name__=own 3 -45006 unspecified")
	encode(a, "__name__=a,x=1 1 +1000 counter\n__name__=b STALE +1000 unspecified \"Is b.\" \"\"")
	encode(a, "__name__=a,x=1 1 +2000 counter") // once is enough
	encode(a+b, "__name__=a,x=1 1 +3000 counter\n__name__=b 2 +3000 unspecified \"Is b.\" \"\"")
	encode("", "__name__=a,x=1 STALE +4000 counter\n__name__=b STALE +4000 unspecified \"Is b.\" \"\"")
	encode("", "")
	encode(a+own, "__name__=a,x=1 1 +6000 counter\n__name__=own 3 -45006 unspecified")
	stale(gathered, "__name__=a,x=1 STALE +6001 counter") // a clock that was set back
	stale(gathered.Add(time.Hour), "")
	encode(a, "__name__=a,x=1 1 +7000 counter")
	stale(gathered.Add(time.Hour), "__name__=a,x=1 STALE +3600000 counter")
	encode(a+"b 2\n", "__name__=a,x=1 1 +8000 counter\n__name__=b 2 +8000 unspecified")
	encode(a, "__name__=a,x=1 1 +9000 counter\n__name__=b STALE +9000 unspecified")
	encode("", "__name__=a,x=1 STALE +10000 counter") // and not b again, which was marked in the same body
}

// Nothing is marked while nothing ends, and the value of the marks means nothing else.
func TestRemoteWriteMarksNothingElse(t *testing.T) {
	w := newWrite(t, "http://prometheus:9090")
	families := append(manySeries(500), &dto.MetricFamily{Name: ptr("odd"), Type: dto.MetricType_GAUGE.Enum(),
		Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: ptr(math.Float64frombits(staleNaN))}}}})
	for i := range 3 {
		var bodies []put
		if err := w.Encode(families, gathered.Add(time.Duration(i)*time.Second), collect(&bodies)); err != nil {
			t.Fatal(err)
		}
		if text := writtenText(t, bodies[0]); bodies[0].samples != 501 || strings.Contains(text, "STALE") || !strings.Contains(text, "__name__=odd NaN") {
			t.Errorf("%d samples:\n%s", bodies[0].samples, text)
		}
	}
}

// A gathering that could not be kept is not one that ended series.
func TestRemoteWritePutFails(t *testing.T) {
	w := newWrite(t, "http://prometheus:9090")
	var bodies []put
	if err := w.Encode(exposed(t, "a 1\nb 1\n"), gathered, collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no room")
	refuse := func([]byte, int) error { return full }
	if err := w.Encode(exposed(t, "a 1\n"), gathered.Add(time.Second), refuse); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if err := w.Stale(gathered.Add(time.Second), refuse); !errors.Is(err, full) {
		t.Fatal(err)
	}
	bodies = nil
	if err := w.Encode(exposed(t, "a 1\n"), gathered.Add(2*time.Second), collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	lines(t, writtenText(t, bodies[0]), "__name__=a 1 +2000 unspecified\n__name__=b STALE +2000 unspecified")
}

// What is remembered of 22,000 series, and the buffers that stay, take little memory.
func TestRemoteWriteMemory(t *testing.T) {
	families := manySeries(22_000)
	discard := func([]byte, int) error { return nil }
	w, n := holds(func() *RemoteWrite {
		w := newWrite(t, "http://prometheus:9090", pipeline.Label{Name: "job", Value: "leat"}, pipeline.Label{Name: "instance", Value: "node-1"})
		for i := range 3 {
			if err := w.Encode(families, gathered.Add(time.Duration(i)*time.Second), discard); err != nil {
				t.Fatal(err)
			}
		}
		return w
	})
	runtime.KeepAlive(families)
	compressed := 0
	for _, body := range w.last.bodies {
		compressed += len(body)
	}
	t.Logf("22,000 series: %d KiB held, %d KiB of them compressed bodies", n>>10, compressed>>10)
	if n > 3<<20 {
		t.Errorf("%d bytes are held", n)
	}
}

func TestBoundary(t *testing.T) {
	for v, want := range map[float64]string{0: "0.0", 1: "1.0", -1: "-1.0", 0.005: "0.005", 1e6: "1e+06", 1e-7: "1e-07", 16777216: "1.6777216e+07",
		2.5: "2.5", math.Inf(1): "+Inf", math.Inf(-1): "-Inf", 100: "100.0"} {
		if got := boundary(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if boundary(math.NaN()) != "NaN" {
		t.Error(boundary(math.NaN()))
	}
}

func BenchmarkRemoteWriteEncode(b *testing.B) {
	for _, n := range []int{1_200, 22_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWrite(b, "http://prometheus:9090", pipeline.Label{Name: "job", Value: "leat"}, pipeline.Label{Name: "instance", Value: "node-1"})
			families, now := manySeries(n), gathered
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second)
				if err := w.Encode(families, now, func([]byte, int) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
