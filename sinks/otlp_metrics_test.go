package sinks

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	dto "github.com/prometheus/client_model/go"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/leatd/leat/pipeline"
)

func newOTLPMetrics(tb testing.TB, url, compression string, resource ...pipeline.Label) *OTLPMetrics {
	tb.Helper()
	o, err := NewOTLPMetrics(Remote{Name: "central", URL: url, Version: "1.2.3"}, OTLPMetricsFormat{Compression: compression, Resource: resource})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { o.Close() })
	return o
}

// exportText is the points of a request, a line each, below its resource.
func exportText(tb testing.TB, p put) string {
	tb.Helper()
	var r metrics.ExportMetricsServiceRequest
	if err := proto.Unmarshal(p.body, &r); err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	points := 0
	point := func(name string, attributes []*common.KeyValue, at, since uint64, flags uint32, format string, args ...any) {
		points++
		fmt.Fprintf(&b, "%s{", name)
		for _, a := range attributes {
			fmt.Fprintf(&b, "%s=%s,", a.Key, a.Value.GetStringValue())
		}
		fmt.Fprintf(&b, "} "+format, args...)
		fmt.Fprintf(&b, " %+d", (int64(at)-gathered.UnixNano())/1e6)
		if age := (int64(since) - gathered.UnixNano()) / 1e6; since != 0 && age < 0 { // else the bridge's own start
			fmt.Fprintf(&b, " since %+d", age)
		}
		if flags != 0 {
			fmt.Fprintf(&b, " flags %d", flags)
		}
		fmt.Fprintln(&b)
	}
	for _, rm := range r.ResourceMetrics {
		for _, a := range rm.Resource.Attributes {
			fmt.Fprintf(&b, "%s=%s\n", a.Key, a.Value.GetStringValue())
		}
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				name := m.Name + fmt.Sprintf(" %q ", m.Description)
				for _, p := range m.GetGauge().GetDataPoints() {
					point("gauge "+name, p.Attributes, p.TimeUnixNano, p.StartTimeUnixNano, p.Flags, "%v", value(p))
				}
				for _, p := range m.GetSum().GetDataPoints() {
					if !m.GetSum().IsMonotonic || m.GetSum().AggregationTemporality != metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE {
						tb.Errorf("%s: %v", m.Name, m.GetSum())
					}
					point("sum "+name, p.Attributes, p.TimeUnixNano, p.StartTimeUnixNano, p.Flags, "%v", value(p))
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					point("histogram "+name, p.Attributes, p.TimeUnixNano, p.StartTimeUnixNano, p.Flags, "%v/%d %v %v", p.GetSum(), p.Count, p.ExplicitBounds, p.BucketCounts)
				}
				for _, p := range m.GetExponentialHistogram().GetDataPoints() {
					point("exponential "+name, p.Attributes, p.TimeUnixNano, p.StartTimeUnixNano, p.Flags, "%v/%d %v", p.GetSum(), p.Count, p.Positive.GetBucketCounts())
				}
				for _, p := range m.GetSummary().GetDataPoints() {
					quantiles := ""
					for _, q := range p.QuantileValues {
						quantiles += fmt.Sprintf(" %v:%v", q.Quantile, q.Value)
					}
					point("summary "+name, p.Attributes, p.TimeUnixNano, p.StartTimeUnixNano, p.Flags, "%v/%d%s", p.Sum, p.Count, quantiles)
				}
			}
		}
	}
	if points != p.samples {
		tb.Errorf("%d points, %d were said", points, p.samples)
	}
	return b.String()
}

func value(p *metricspb.NumberDataPoint) string {
	if p.Value == nil {
		return "none"
	}
	return fmt.Sprint(p.GetAsDouble())
}

func TestOTLPMetricsEncode(t *testing.T) {
	for name, value := range map[string]string{ // none of these is anybody's business
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere",
		"OTEL_EXPORTER_OTLP_HEADERS": "a=b", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta", "OTEL_RESOURCE_ATTRIBUTES": "a=b",
		"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
	} {
		t.Setenv(name, value)
	}
	o := newOTLPMetrics(t, "http://otel:4318", "none", pipeline.Label{Name: "service.name", Value: "leat"}, pipeline.Label{Name: "host.name", Value: "node\xff1"})
	families := ofAllKinds(t)
	native := &dto.MetricFamily{Name: ptr("native"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: &dto.Histogram{
		SampleCount: ptr(uint64(3)), SampleSum: ptr(4.5), Schema: ptr(int32(0)), ZeroThreshold: ptr(1e-128),
		PositiveSpan: []*dto.BucketSpan{{Offset: ptr(int32(0)), Length: ptr(uint32(2))}}, PositiveDelta: []int64{1, 1},
	}}}}
	before := proto.Clone(families[0])
	var bodies []put
	if err := o.Encode(append(families, native), gathered, collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(before, families[0]) {
		t.Error("the families, which others read too, have changed")
	}
	const common = `
host.name=node�1
service.name=leat
`
	lines(t, exportText(t, bodies[0]), common+`
sum http_requests_total "Requests." {code=200,job=web,} 7 +0 since -3600000
sum http_requests_total "Requests." {cluster=,code=500,} 0 +0
histogram latency_seconds "How long." {} 9.5/4 [0.5 1] [2 1 1] +0 since -60000
summary quantiles "" {} 8/1 0.5:NaN 1:8 +0
gauge some_untyped "" {} 1e+20 +0
gauge temperature_celsius "Can be anything." {sensor=a,} -Inf +0
gauge temperature_celsius "Can be anything." {sensor=b,} +Inf +0
gauge temperature_celsius "Can be anything." {sensor=c,} -0.5 -45006
gauge with.dots "" {ümlaut.label=ü,} 1 +0
exponential native "" {} 4.5/3 [1 2] +0
`)
	if bodies = nil; o.Stale(gathered.Add(time.Second), collect(&bodies)) != nil || len(bodies) != 1 {
		t.Fatalf("%d bodies", len(bodies))
	}
	lines(t, exportText(t, bodies[0]), common+`
sum http_requests_total "Requests." {code=200,job=web,} none +1000 since -3600000 flags 1
sum http_requests_total "Requests." {cluster=,code=500,} none +1000 flags 1
histogram latency_seconds "How long." {} 0/0 [0.5 1] [0 0 0] +1000 since -60000 flags 1
summary quantiles "" {} 0/0 0.5:0 1:0 +1000 flags 1
gauge some_untyped "" {} none +1000 flags 1
gauge temperature_celsius "Can be anything." {sensor=a,} none +1000 flags 1
gauge temperature_celsius "Can be anything." {sensor=b,} none +1000 flags 1
gauge temperature_celsius "Can be anything." {sensor=c,} none +1000 flags 1
gauge with.dots "" {ümlaut.label=ü,} none +1000 flags 1
exponential native "" {} 0/0 [] +1000 flags 1
`)
	if bodies = nil; o.Stale(gathered.Add(time.Second), collect(&bodies)) != nil || len(bodies) != 0 {
		t.Errorf("%d bodies of the same markers again", len(bodies))
	}
}

func TestOTLPMetricsBroken(t *testing.T) {
	o := newOTLPMetrics(t, "http://otel:4318", "none")
	all := append(broken(), &dto.MetricFamily{Name: ptr("gauges"), Type: dto.MetricType_GAUGE_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: &dto.Histogram{}}}},
		&dto.MetricFamily{Name: ptr("unheard"), Type: dto.MetricType(99).Enum(), Metric: []*dto.Metric{{}}})
	var bodies []put
	err := o.Encode(all, gathered, collect(&bodies))
	for _, want := range []string{"central: left out: ", `a metric family without a name (help "has no name")`, "gauges: OTLP has no form for the type GAUGE_HISTOGRAM", "unheard: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	lines(t, exportText(t, bodies[0]), `
histogram hollow_histogram "" {} 0/0 [] [] +0
summary hollow_summary "" {} 0/0 +0
gauge bad�name "bad � help" {=,a�=v,b=bad � value,} 1 +0
`)
}

// A body has 2,000 points or 1 MiB, whichever is less, and together they hold all points once.
func TestOTLPMetricsBodies(t *testing.T) {
	for _, c := range []struct {
		n, length int
		want      string
	}{{0, 0, "[]"}, {1, 1, "[1]"}, {2000, 1, "[2000]"}, {2001, 1, "[2000 1]"}, {4500, 1, "[2000 2000 500]"}, {20, 200 << 10, "[5 5 5 5]"}, {3, 600 << 10, "[1 1 1]"}, {2, 2 << 20, "[1 1]"}} {
		o := newOTLPMetrics(t, "http://otel:4318", "none")
		var families []*dto.MetricFamily
		for i := range c.n {
			if i%7 == 0 {
				families = append(families, &dto.MetricFamily{Name: ptr(fmt.Sprint("family", i)), Type: dto.MetricType_GAUGE.Enum()})
			}
			last := families[len(families)-1]
			last.Metric = append(last.Metric, &dto.Metric{Gauge: &dto.Gauge{}, Label: []*dto.LabelPair{{Name: ptr("l"), Value: ptr(strings.Repeat(string(rune('a'+i%26)), c.length) + fmt.Sprint(i))}}})
		}
		var bodies []put
		if err := o.Encode(families, gathered, collect(&bodies)); err != nil {
			t.Fatal(err)
		}
		var sizes []int
		all := ""
		for _, p := range bodies {
			sizes = append(sizes, p.samples)
			all += exportText(t, p)
			if len(p.body) > maxPushBytes && p.samples > 1 {
				t.Errorf("a body of %d bytes", len(p.body))
			}
		}
		if fmt.Sprint(sizes) != c.want {
			t.Errorf("%d points of %d bytes: %v, want %s", c.n, c.length, sizes, c.want)
		}
		for i := range c.n {
			if !strings.Contains(all, fmt.Sprintf("%c%d,", 'a'+i%26, i)) {
				t.Errorf("point %d is missing", i)
			}
		}
	}
}

// Requests are compressed as the configuration says, arrive where they belong, and say what they are.
func TestOTLPMetricsRequest(t *testing.T) {
	for _, compression := range []string{"", "gzip", "zstd", "none"} {
		var got put
		server := testServer(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/metrics" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.UserAgent() != "leatd/1.2.3" {
				t.Errorf("%s %v", r.URL, r.Header)
			}
			body := io.Reader(r.Body)
			var err error
			switch encoding := r.Header.Get("Content-Encoding"); encoding {
			case "gzip":
				body, err = gzip.NewReader(r.Body)
			case "zstd":
				body, err = zstd.NewReader(r.Body)
			}
			if want := strings.TrimSuffix(cmp.Or(compression, "gzip"), "none"); err != nil || r.Header.Get("Content-Encoding") != want {
				t.Errorf("Content-Encoding %q, want %q: %v", r.Header.Get("Content-Encoding"), want, err)
			}
			if got.body, err = io.ReadAll(body); err != nil {
				t.Error(err)
			}
			rw.Header().Set("Content-Type", "application/x-protobuf")
			rw.Write([]byte("\x0a\x0b\x08\x63\x12\x07too old")) // 99 points rejected, more than there are
		})
		o := newOTLPMetrics(t, server.URL, compression)
		var bodies []put
		for i := range 2 { // the second one overwrites nothing of the first
			if err := o.Encode(exposed(t, fmt.Sprintf("a%d 1\nb 2\n", i)), gathered, collect(&bodies)); err != nil {
				t.Fatal(err)
			}
		}
		a := o.Send(context.Background(), bodies[0].body, 2)
		if a.Outcome != pipeline.Accepted || a.LeftOut != 2 || a.Reason != pipeline.Rejected || !strings.Contains(a.Err.Error(), "not 99 of its data points: \"too old\"") {
			t.Errorf("%+v", a)
		}
		got.samples = 2
		lines(t, exportText(t, got), "gauge a0 \"\" {} 1 +0\ngauge b \"\" {} 2 +0")
	}
	if _, err := NewOTLPMetrics(Remote{Name: "central", URL: "http://otel"}, OTLPMetricsFormat{Compression: "snappy"}); err == nil || !strings.HasPrefix(err.Error(), "central: compression: ") {
		t.Error(err)
	}
}

// A Prometheus without its receiver says 404.
func TestOTLPMetricsAdvice(t *testing.T) {
	server := testServer(t, func(rw http.ResponseWriter, r *http.Request) {
		http.Error(rw, "otlp write receiver needs to be enabled", 404)
	})
	a := newOTLPMetrics(t, server.URL, "").Send(context.Background(), []byte("body"), 1)
	if a.Outcome != pipeline.Failed || !strings.Contains(a.Err.Error(), "--web.enable-otlp-receiver") {
		t.Errorf("%+v", a)
	}
}

// The time of a gathering is that of its points, also with a clock that is far off.
func TestOTLPMetricsTimes(t *testing.T) {
	for _, at := range []time.Time{time.UnixMilli(1), gathered, time.UnixMilli(math.MaxInt64 / 1_000_000)} {
		var bodies []put
		if err := newOTLPMetrics(t, "http://otel", "none").Encode(exposed(t, "# TYPE a counter\na 1\n"), at, collect(&bodies)); err != nil {
			t.Fatal(err)
		}
		var r metrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(bodies[0].body, &r); err != nil {
			t.Fatal(err)
		}
		if got := r.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].GetSum().DataPoints[0].TimeUnixNano; got != uint64(at.UnixNano()) {
			t.Errorf("%d, want %d", got, at.UnixNano())
		}
	}
}

func TestOTLPMetricsMemory(t *testing.T) {
	families := manySeries(22_000)
	o, n := holds(func() *OTLPMetrics {
		o := newOTLPMetrics(t, "http://otel:4318", "")
		for i := range 3 {
			if err := o.Encode(families, gathered.Add(time.Duration(i)*time.Second), func([]byte, int) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return o
	})
	runtime.KeepAlive(families)
	compressed := 0
	for _, body := range o.last {
		compressed += len(body)
	}
	t.Logf("22,000 series: %d KiB held, %d KiB of them compressed bodies", n>>10, compressed>>10)
	if n > 3<<20 {
		t.Errorf("%d bytes are held", n)
	}
}

func BenchmarkOTLPMetricsEncode(b *testing.B) {
	for _, n := range []int{1_200, 22_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOTLPMetrics(b, "http://otel:4318", "", pipeline.Label{Name: "service.name", Value: "leat"})
			families, now := manySeries(n), gathered
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second)
				if err := o.Encode(families, now, func([]byte, int) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
