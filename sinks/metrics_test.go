package sinks

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// gathered is the time of the gatherings in tests.
var gathered = time.UnixMilli(1_767_323_045_006)

// exposed reads metrics in Prometheus' text format, the families sorted by name.
func exposed(tb testing.TB, text string) []*dto.MetricFamily {
	tb.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	byName, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	var all []*dto.MetricFamily
	for _, family := range byName {
		all = append(all, family)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}

// ofAllKinds is a family of each type, with what is special in each.
func ofAllKinds(tb testing.TB) []*dto.MetricFamily {
	all := exposed(tb, `# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",job="web"} 7
http_requests_total{code="500",cluster=""} 0
# HELP latency_seconds How long.
# TYPE latency_seconds histogram
latency_seconds_bucket{le="0.5"} 2
latency_seconds_bucket{le="1"} 3
latency_seconds_bucket{le="+Inf"} 4
latency_seconds_sum 9.5
latency_seconds_count 4
# TYPE quantiles summary
quantiles{quantile="0.5"} NaN
quantiles{quantile="1"} 8
quantiles_sum 8
quantiles_count 1
# HELP temperature_celsius Can be anything.
# TYPE temperature_celsius gauge
temperature_celsius{sensor="a"} -Inf
temperature_celsius{sensor="b"} +Inf
temperature_celsius{sensor="c"} -0.5 1767323000000
some_untyped 1e+20
{"with.dots", "ümlaut.label"="ü"} 1
`)
	for _, family := range all {
		switch family.GetName() {
		case "http_requests_total":
			family.Metric[0].Counter.CreatedTimestamp = timestamppb.New(gathered.Add(-time.Hour))
			family.Unit = ptr("requests")
		case "latency_seconds": // as a registry has it, without the last bucket
			h := family.Metric[0].Histogram
			h.CreatedTimestamp, h.Bucket = timestamppb.New(gathered.Add(-time.Minute)), h.Bucket[:2]
		}
	}
	return all
}

func ptr[T any](v T) *T { return &v }

// broken is what no registry gives.
func broken() []*dto.MetricFamily {
	return []*dto.MetricFamily{
		nil,
		{Help: ptr("has no name")},
		{Name: ptr("empty")},
		{Name: ptr("hollow"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{nil, {}, {Counter: &dto.Counter{}}}},
		{Name: ptr("hollow_histogram"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{}, {Histogram: &dto.Histogram{}}}},
		{Name: ptr("hollow_summary"), Type: dto.MetricType_SUMMARY.Enum(), Metric: []*dto.Metric{{}, {Summary: &dto.Summary{}}}},
		{Name: ptr("bad\xffname"), Help: ptr("bad \xfe help"), Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{
			Gauge: &dto.Gauge{Value: ptr(1.0)},
			Label: []*dto.LabelPair{nil, {}, {Name: ptr("b"), Value: ptr("bad \xff value")}, {Name: ptr("a\xff"), Value: ptr("v")}},
		}}},
	}
}

// manySeries is a gathering of n counters, 20 in a family, with the labels of containers.
func manySeries(n int) []*dto.MetricFamily {
	var all []*dto.MetricFamily
	for len(all)*20 < n {
		family := &dto.MetricFamily{Name: ptr(fmt.Sprintf("container_some_usage_%d_total", len(all))), Help: ptr("How much of something was used, in its unit."), Type: dto.MetricType_COUNTER.Enum()}
		for i := range min(20, n-len(all)*20) {
			pod := len(all)%100*20 + i
			family.Metric = append(family.Metric, &dto.Metric{Counter: &dto.Counter{Value: ptr(float64(pod) * 1.25)}, Label: []*dto.LabelPair{
				{Name: ptr("container"), Value: ptr("app")},
				{Name: ptr("namespace"), Value: ptr(fmt.Sprintf("namespace-%d", pod%7))},
				{Name: ptr("pod"), Value: ptr(fmt.Sprintf("deployment-7d4b9c-%x", pod*7919))},
			}})
		}
		all = append(all, family)
	}
	return all
}

// put is a body that Encode or Stale has put.
type put struct {
	body    []byte
	samples int
}

// collect gathers what is put.
func collect(to *[]put) func(body []byte, samples int) error {
	return func(body []byte, samples int) error {
		*to = append(*to, put{body, samples})
		return nil
	}
}

// holds is how much more of the heap is in use after fill than before, with what fill returns.
func holds[T any](fill func() T) (T, int64) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	kept := fill()
	return kept, heap() - before
}

// lines compares texts line by line; empty ones don't count.
func lines(t *testing.T, got, want string) {
	t.Helper()
	split := func(text string) []string {
		return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" })
	}
	is, has := split(got), split(want)
	if slices.Equal(is, has) {
		return
	}
	var b bytes.Buffer
	for _, line := range is {
		mark := "  "
		if i := slices.Index(has, line); i < 0 {
			mark = "+ "
		} else {
			has = slices.Delete(has, i, i+1)
		}
		fmt.Fprintln(&b, mark+line)
	}
	for _, line := range has {
		fmt.Fprintln(&b, "- "+line)
	}
	t.Errorf("got (with - what is missing):\n%s", b.String())
}
