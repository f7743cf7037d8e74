package exporter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
)

// fakeNode is a node with collectors by name, each with one family of another kind: untyped, a summary, a histogram with
// classic buckets, a counter that is not called one.
type fakeNode map[string]*dto.MetricFamily

func newFakeNode() fakeNode {
	value := func(v float64) *float64 { return &v }
	count := func(n uint64) *uint64 { return &n }
	family := func(name string, kind dto.MetricType, m *dto.Metric) *dto.MetricFamily {
		help := "Read from a file."
		return &dto.MetricFamily{Name: &name, Help: &help, Type: &kind, Metric: []*dto.Metric{m}}
	}
	return fakeNode{
		"cpu": family("node_cpu_seconds_total", dto.MetricType_COUNTER, &dto.Metric{Counter: &dto.Counter{Value: value(1.5)}}),
		"file": family("node_file_errors", dto.MetricType_COUNTER, &dto.Metric{
			Counter: &dto.Counter{Value: value(2)}, TimestampMs: new(int64), Label: []*dto.LabelPair{{Name: new("name"), Value: new("a b")}}}),
		"vm": family("node_vmstat_pgfault", dto.MetricType_UNTYPED, &dto.Metric{Untyped: &dto.Untyped{Value: value(7e20)}}),
		"ntp": family("node_wait_seconds", dto.MetricType_SUMMARY, &dto.Metric{Summary: &dto.Summary{
			SampleCount: count(3), SampleSum: value(0.5), Quantile: []*dto.Quantile{{Quantile: value(0.5), Value: value(0.25)}}}}),
		"runq": family("node_run_queue_seconds", dto.MetricType_HISTOGRAM, &dto.Metric{Histogram: &dto.Histogram{
			SampleCount: count(4), SampleSum: value(2), Bucket: []*dto.Bucket{{UpperBound: value(1), CumulativeCount: count(3)}}}}),
	}
}

func (n fakeNode) Describe(chan<- *prometheus.Desc) {}

func (n fakeNode) Collect(ch chan<- prometheus.Metric) {
	for _, mf := range n {
		ch <- ready{prometheus.NewDesc(mf.GetName(), mf.GetHelp(), nil, nil), mf.Metric[0]}
	}
}

func (n fakeNode) Only(collect, exclude []string) (prometheus.Collector, error) {
	if len(collect) > 0 && len(exclude) > 0 {
		return nil, errors.New("cannot be combined")
	}
	chosen := fakeNode{}
	for name, mf := range n {
		if slices.Contains(collect, name) || len(collect) == 0 && !slices.Contains(exclude, name) {
			chosen[name] = mf
		}
	}
	for _, name := range collect {
		if n[name] == nil {
			return nil, fmt.Errorf("missing collector: %s", name)
		}
	}
	return chosen, nil
}

// withNode is a registry with a node and something else.
func withNode(t testing.TB) *Registry {
	t.Helper()
	r := NewRegistry("1.2.3", "abc", ledgerOf(ByContainer, workload(time.Now())...))
	if err := r.RegisterNode(newFakeNode()); err != nil {
		t.Fatal(err)
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "container_last_seen", Help: "h."}, func() float64 { return 4 }))
	return r
}

func TestChoose(t *testing.T) {
	own := []string{"go_goroutines", "process_cpu_seconds_total", "leat_build_info", "promhttp_metric_handler_errors_total"}
	rest := []string{"container_last_seen", "leat_sink_up", "leat_log_read_lines_total"}
	cpu, vm, ntp, runq := "node_cpu_seconds_total", "node_vmstat_pgfault", "node_wait_seconds", "node_run_queue_seconds"
	h := newMetrics(withNode(t), discard())
	for _, c := range []struct {
		query   string
		has     [][]string
		without [][]string
	}{
		{"", [][]string{own, rest, {cpu, vm, ntp, runq}}, nil},
		{"?collect[]=cpu", [][]string{own, {cpu}}, [][]string{rest, {vm, ntp, runq}}},
		{"?collect[]=cpu&collect[]=vm&collect[]=cpu", [][]string{own, {cpu, vm}}, [][]string{rest, {ntp, runq}}},
		{"?exclude[]=cpu&exclude[]=none", [][]string{own, rest, {vm, ntp, runq}}, [][]string{{cpu}}},
		{"?exclude[]=cpu&exclude[]=vm&exclude[]=ntp&exclude[]=runq", [][]string{own, rest}, [][]string{{cpu, vm, ntp, runq}}},
		{"?collect[]=cpu&name[]=" + cpu, [][]string{{cpu}}, [][]string{own, rest}},
		{"?exclude[]=cpu&name[]=leat_sink_up", [][]string{{"leat_sink_up"}}, [][]string{own, {vm, cpu, "container_last_seen"}}},
	} {
		for _, accept := range []string{"", protobuf, "application/openmetrics-text;version=1.0.0"} {
			names := familiesIn(t, get(h, "/metrics"+c.query, "Accept", accept))
			for _, name := range slices.Concat(c.has...) {
				if !slices.Contains(names, name) {
					t.Errorf("%q as %q: no %s", c.query, accept, name)
				}
			}
			for _, name := range slices.Concat(c.without...) {
				if slices.Contains(names, name) {
					t.Errorf("%q as %q: there is %s", c.query, accept, name)
				}
			}
			if !slices.IsSorted(names) || len(slices.Compact(names)) != len(names) {
				t.Errorf("%q as %q: not sorted, or twice: %v", c.query, accept, names)
			}
		}
	}
}

func TestChooseWrong(t *testing.T) {
	with, without := withNode(t), NewRegistry("", "", ledgerOf(ByContainer))
	for _, c := range []struct {
		registry    *Registry
		query, says string
	}{
		{with, "?collect[]=none", "missing collector: none"},
		{with, "?collect[]=cpu&exclude[]=vm", "cannot be combined"},
		{without, "?collect[]=cpu", "metrics.node"},
		{without, "?exclude[]=cpu", "metrics.node"},
	} {
		if w := get(newMetrics(c.registry, discard()), "/metrics"+c.query); w.Code != 400 || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s", c.query, w.Code, w.Body.String())
		}
	}
}

// TestForeignNames: a file of the node's may hold any name. One of the ledger's is left out, said, and harms nothing; so
// is one of the process'.
func TestForeignNames(t *testing.T) {
	node := newFakeNode()
	for i, name := range []string{"leat_sink_up", "leat_log_read_lines_total", "go_goroutines"} {
		node[fmt.Sprint(i)] = &dto.MetricFamily{Name: &name, Help: new(string), Metric: []*dto.Metric{{Untyped: &dto.Untyped{Value: new(float64)}}}}
	}
	r := NewRegistry("", "", ledgerOf(ByContainer, workload(time.Now())...))
	if err := r.RegisterNode(node); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Gather(); err == nil || !strings.Contains(err.Error(), "leat_sink_up is leatd's own") {
		t.Errorf("gathered with %v", err)
	}
	h := newMetrics(r, discard())
	for _, query := range []string{"", "?exclude[]=none", "?collect[]=0"} {
		names := familiesIn(t, get(h, "/metrics"+query))
		if len(slices.Compact(slices.Clone(names))) != len(names) || slices.Contains(names, "leat_sink_up") != (query != "?collect[]=0") {
			t.Errorf("%q: %v", query, names)
		}
	}
	got := samples(t, get(h, "/metrics").Body.String())
	if got[`leat_sink_up{sink="central"}`] != 1 || got["node_cpu_seconds_total"] != 1.5 {
		t.Errorf("%v", got)
	}
}

// TestForeignNamesFirst: what a file of the node's says never takes the place of what leatd says, even if it comes first.
func TestForeignNamesFirst(t *testing.T) {
	node := firstNode{newFakeNode(), make(chan struct{})}
	node.fakeNode["file"].Name = new("leat_push_up")
	node.fakeNode["file"].Help = new("The same.")
	node.fakeNode["file"].Type = dto.MetricType_GAUGE.Enum()
	r := NewRegistry("", "", ledgerOf(ByContainer))
	if err := r.RegisterNode(node); err != nil {
		t.Fatal(err)
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "leat_push_up", Help: "The same."}, func() float64 {
		<-node.collected
		return 77
	}))
	families, err := r.Gather()
	if err == nil || !strings.Contains(err.Error(), "leat_push_up is leatd's own") {
		t.Errorf("gathered with %v", err)
	}
	for _, mf := range families {
		if mf.GetName() == "leat_push_up" && (len(mf.Metric) != 1 || mf.Metric[0].GetGauge().GetValue() != 77) {
			t.Errorf("%v", mf)
		}
	}
}

// A firstNode says when it has collected everything.
type firstNode struct {
	fakeNode
	collected chan struct{}
}

func (n firstNode) Collect(ch chan<- prometheus.Metric) {
	n.fakeNode.Collect(ch)
	close(n.collected)
}

// TestKinds: what node_exporter gives besides counters and gauges, in each format. No label is added to it.
func TestKinds(t *testing.T) {
	h := newMetrics(withNode(t), discard())
	query := "/metrics?name[]=node_file_errors&name[]=node_vmstat_pgfault&name[]=node_wait_seconds&name[]=node_run_queue_seconds&name[]=node_cpu_seconds_total"
	for format, accept := range map[string]string{"txt": "", "openmetrics": "application/openmetrics-text;version=1.0.0"} {
		golden(t, "kinds."+format, get(h, query, "Accept", accept).Body.String())
	}
	w := get(h, query, "Accept", protobuf)
	d := expfmt.NewDecoder(w.Body, expfmt.Format(w.Header().Get("Content-Type")))
	node := newFakeNode()
	for _, want := range []*dto.MetricFamily{node["cpu"], node["file"], node["runq"], node["vm"], node["ntp"]} {
		var got dto.MetricFamily
		if err := d.Decode(&got); err != nil || !proto.Equal(&got, want) {
			t.Errorf("%v, %v\nwant %v", &got, err, want)
		}
	}
}
