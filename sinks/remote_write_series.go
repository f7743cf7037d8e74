package sinks

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatd/leat/pipeline"
)

// A series is one time series with one sample, as remote write knows it. Labels are sorted by name, none is empty, and
// no name occurs twice.
type series struct {
	labels     []pipeline.Label
	kind       uint64 // metadata's type: one of the kinds below, 0 if unknown
	help, unit string
	value      float64
	time       int64 // of the sample, in milliseconds since the epoch
	start      int64 // when a counter began to count, in the same; 0 if unknown
}

// Kinds of metrics by their numbers in the protocol.
const (
	kindCounter        = 1
	kindGauge          = 2
	kindHistogram      = 3
	kindGaugeHistogram = 4
	kindSummary        = 5
)

const nameLabel = "__name__"

// Two NaNs of the protocol: staleNaN marks the end of a series and means nothing else, so any other becomes normalNaN.
const (
	staleNaN  = 0x7ff0000000000002
	normalNaN = 0x7ff8000000000001
)

// hash tells series apart. With 64 bits two of 22,000 series get the same one in a hundred billion gatherings, which
// would cost a marker.
func (s *series) hash(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for i := range s.labels {
		h.WriteString(s.labels[i].Name)
		h.WriteByte(0xff) // in no valid UTF-8
		h.WriteString(s.labels[i].Value)
		h.WriteByte(0xff)
	}
	return h.Sum64()
}

// A flattener turns metric families into series: a histogram is several of them. It holds one series at a time.
type flattener struct {
	outer  []pipeline.Label // added where a series has none of that name
	labels []pipeline.Label // what the series in hand is made of
	one    series
	emit   func(*series) error
}

func newFlattener(outer []pipeline.Label) flattener {
	var f flattener
	for _, l := range outer {
		f.outer = append(f.outer, pipeline.Label{Name: labelName(l.Name), Value: strings.ToValidUTF8(l.Value, replacement)})
	}
	return f
}

// each calls emit with each series of the families, in their order; the series is valid during the call. The first error
// of emit ends it. leftOut names the families that no series can be made of.
func (f *flattener) each(families []*dto.MetricFamily, at int64, emit func(*series) error) (leftOut, err error) {
	f.emit = emit
	for _, family := range families {
		if family.GetName() == "" {
			leftOut = errors.Join(leftOut, fmt.Errorf("a metric family without a name (help %q)", family.GetHelp()))
			continue
		}
		if err := f.family(family, at); err != nil {
			return leftOut, err
		}
	}
	f.one, f.emit = series{}, nil
	clear(f.labels[:cap(f.labels)])
	return leftOut, nil
}

func (f *flattener) family(family *dto.MetricFamily, at int64) error {
	name := strings.ToValidUTF8(family.GetName(), replacement)
	f.one = series{help: strings.ToValidUTF8(family.GetHelp(), replacement), unit: strings.ToValidUTF8(family.GetUnit(), replacement)}
	var of func(name string, m *dto.Metric) error
	switch family.GetType() {
	case dto.MetricType_COUNTER:
		f.one.kind, of = kindCounter, f.counter
	case dto.MetricType_GAUGE:
		f.one.kind, of = kindGauge, f.gauge
	case dto.MetricType_SUMMARY:
		f.one.kind, of = kindSummary, f.summary
	case dto.MetricType_HISTOGRAM:
		f.one.kind, of = kindHistogram, f.histogram
	case dto.MetricType_GAUGE_HISTOGRAM:
		f.one.kind, of = kindGaugeHistogram, f.histogram
	default:
		of = f.untyped
	}
	for _, m := range family.GetMetric() {
		f.one.time = at
		if m != nil && m.TimestampMs != nil {
			f.one.time = m.GetTimestampMs()
		}
		if err := of(name, m); err != nil {
			return err
		}
	}
	return nil
}

// A metric without a value, which no registry gives, has no sample.

func (f *flattener) counter(name string, m *dto.Metric) error {
	c := m.GetCounter()
	if c == nil {
		return nil
	}
	return f.add(m, name, "", "", c.GetValue(), c.GetCreatedTimestamp())
}

func (f *flattener) gauge(name string, m *dto.Metric) error {
	if m.GetGauge() == nil {
		return nil
	}
	return f.add(m, name, "", "", m.GetGauge().GetValue(), nil)
}

func (f *flattener) untyped(name string, m *dto.Metric) error {
	if m.GetUntyped() == nil {
		return nil
	}
	return f.add(m, name, "", "", m.GetUntyped().GetValue(), nil)
}

func (f *flattener) summary(name string, m *dto.Metric) error {
	s := m.GetSummary()
	if s == nil {
		return nil
	}
	for _, q := range s.GetQuantile() {
		if err := f.add(m, name, "quantile", boundary(q.GetQuantile()), q.GetValue(), nil); err != nil {
			return err
		}
	}
	return f.sums(name, m, s.GetSampleSum(), float64(s.GetSampleCount()), s.GetCreatedTimestamp())
}

// histogram makes the classic form, also of a native histogram, whose buckets it does not have: count and sum are right.
func (f *flattener) histogram(name string, m *dto.Metric) error {
	h := m.GetHistogram()
	if h == nil {
		return nil
	}
	count := h.GetSampleCountFloat()
	if count == 0 {
		count = float64(h.GetSampleCount())
	}
	infinite := false
	for _, b := range h.GetBucket() {
		n := b.GetCumulativeCountFloat()
		if n == 0 {
			n = float64(b.GetCumulativeCount())
		}
		if err := f.add(m, name+"_bucket", "le", boundary(b.GetUpperBound()), n, h.GetCreatedTimestamp()); err != nil {
			return err
		}
		infinite = infinite || math.IsInf(b.GetUpperBound(), 1)
	}
	if !infinite { // a registry leaves out the bucket of all
		if err := f.add(m, name+"_bucket", "le", "+Inf", count, h.GetCreatedTimestamp()); err != nil {
			return err
		}
	}
	return f.sums(name, m, h.GetSampleSum(), count, h.GetCreatedTimestamp())
}

func (f *flattener) sums(name string, m *dto.Metric, sum, count float64, start *timestamppb.Timestamp) error {
	if err := f.add(m, name+"_sum", "", "", sum, start); err != nil {
		return err
	}
	return f.add(m, name+"_count", "", "", count, start)
}

// add emits one series of m. extra is the label that tells it from the metric's others, if there is one.
func (f *flattener) add(m *dto.Metric, name, extra, extraValue string, value float64, start *timestamppb.Timestamp) error {
	f.labels = append(f.labels[:0], pipeline.Label{Name: nameLabel, Value: name})
	if extra != "" {
		f.labels = append(f.labels, pipeline.Label{Name: extra, Value: extraValue})
	}
	for _, l := range m.GetLabel() {
		if l.GetName() != "" && l.GetValue() != "" {
			f.labels = append(f.labels, pipeline.Label{Name: strings.ToValidUTF8(l.GetName(), replacement), Value: strings.ToValidUTF8(l.GetValue(), replacement)})
		}
	}
	for _, l := range f.outer {
		if l.Value != "" {
			f.labels = append(f.labels, l)
		}
	}
	// Of two labels of one name the first stays: the sort is stable.
	slices.SortStableFunc(f.labels, func(a, b pipeline.Label) int { return strings.Compare(a.Name, b.Name) })
	f.one.labels = compactLabels(f.labels)

	f.one.value, f.one.start = value, 0
	if value != value {
		f.one.value = math.Float64frombits(normalNaN)
	}
	if start.IsValid() {
		if t := start.AsTime(); t.After(time.UnixMilli(0)) {
			f.one.start = t.UnixMilli()
		}
	}
	return f.emit(&f.one)
}

func compactLabels(labels []pipeline.Label) []pipeline.Label {
	n := 0
	for i := range labels {
		if n == 0 || labels[i].Name != labels[n-1].Name {
			labels[n] = labels[i]
			n++
		}
	}
	return labels[:n]
}

// boundary writes the value of le and quantile as Prometheus 3 does when it scrapes them, so that both ways lead to the
// same series: always recognizable as a float.
func boundary(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case v != v:
		return "NaN"
	}
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, "e.") {
		text += ".0"
	}
	return text
}
