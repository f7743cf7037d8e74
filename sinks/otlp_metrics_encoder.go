package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/leatd/leat/pipeline"
)

// A metricsEncoder turns metric families into export requests, some 2,000 points at a time: the bridge and the exporter
// hold a few times of what a request does.
type metricsEncoder struct {
	resource *resource.Resource
	exporter *otlpmetrichttp.Exporter
	producer metric.Producer

	group []*dto.MetricFamily // what the producer gathers
	body  []byte              // what the exporter has sent
}

func newMetricsEncoder(attributes []pipeline.Label) (*metricsEncoder, error) {
	all := make([]attribute.KeyValue, len(attributes))
	for i, l := range attributes {
		all[i] = attribute.String(strings.ToValidUTF8(l.Name, replacement), strings.ToValidUTF8(l.Value, replacement))
	}
	e := &metricsEncoder{resource: resource.NewWithAttributes(semconv.SchemaURL, all...)}
	e.producer = bridge.NewMetricProducer(bridge.WithGatherer(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return e.group, nil
	})))
	// What the exporter would take from the environment is either set here or goes nowhere with its request.
	var err error
	e.exporter, err = otlpmetrichttp.New(context.Background(),
		otlpmetrichttp.WithEndpointURL("https://nowhere.invalid"+otlpMetricsPath),
		otlpmetrichttp.WithHTTPClient(&http.Client{Transport: caught{&e.body}}),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, fmt.Errorf("exporter: %w", err)
	}
	return e, nil
}

// caught is the exporter's way out: it keeps the body and says that all is well.
type caught struct{ body *[]byte }

// RoundTrip implements http.RoundTripper.
func (c caught) RoundTrip(req *http.Request) (*http.Response, error) {
	defer req.Body.Close()
	var err error
	if *c.body, err = io.ReadAll(req.Body); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// each calls put with the requests of all families; a body is valid during the call. The first error of put ends it.
// leftOut names the families that have no form in OTLP.
func (e *metricsEncoder) each(families []*dto.MetricFamily, at time.Time, put func(body []byte, points int) error) (leftOut, err error) {
	var group []*dto.MetricFamily
	points := 0
	for _, family := range families {
		if err := hasForm(family); err != nil {
			leftOut = errors.Join(leftOut, err)
			continue
		}
		metrics := timed(family, at)
		for len(metrics) > 0 {
			n := min(len(metrics), maxPushSamples-points)
			group, points = append(group, part(family, metrics[:n])), points+n
			if metrics = metrics[n:]; points == maxPushSamples {
				if err := e.encode(group, points, put); err != nil {
					return leftOut, err
				}
				group, points = nil, 0
			}
		}
	}
	if points == 0 {
		return leftOut, nil
	}
	return leftOut, e.encode(group, points, put)
}

// encode puts a group as one request, or as several if it is too large for one.
func (e *metricsEncoder) encode(group []*dto.MetricFamily, points int, put func(body []byte, points int) error) error {
	e.group = group
	defer func() { e.group, e.body = nil, nil }()
	scopes, err := e.producer.Produce(context.Background())
	if err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if err := e.exporter.Export(context.Background(), &metricdata.ResourceMetrics{Resource: e.resource, ScopeMetrics: scopes}); err != nil {
		return fmt.Errorf("exporter: %w", err)
	}
	if len(e.body) <= maxPushBytes || points == 1 {
		return put(e.body, points)
	}
	first, second := halves(group, points/2)
	if err := e.encode(first, points/2, put); err != nil {
		return err
	}
	return e.encode(second, points-points/2, put)
}

// halves cuts a group so that the first half has n points.
func halves(group []*dto.MetricFamily, n int) (first, second []*dto.MetricFamily) {
	for i, family := range group {
		metrics := family.GetMetric()
		if n > len(metrics) {
			n -= len(metrics)
			continue
		}
		first = append(slices.Clone(group[:i]), part(family, metrics[:n]))
		if n < len(metrics) {
			second = append(second, part(family, metrics[n:]))
		}
		return first, append(second, group[i+1:]...)
	}
	return group, nil
}

func part(family *dto.MetricFamily, metrics []*dto.Metric) *dto.MetricFamily {
	name, help := strings.ToValidUTF8(family.GetName(), replacement), strings.ToValidUTF8(family.GetHelp(), replacement)
	return &dto.MetricFamily{Name: &name, Help: &help, Type: family.Type, Unit: family.Unit, Metric: metrics}
}

func hasForm(family *dto.MetricFamily) error {
	if family.GetName() == "" {
		return fmt.Errorf("a metric family without a name (help %q)", family.GetHelp())
	}
	switch kind := family.GetType(); kind {
	case dto.MetricType_COUNTER, dto.MetricType_GAUGE, dto.MetricType_UNTYPED, dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM:
		return nil
	default:
		return fmt.Errorf("%s: OTLP has no form for the type %s", family.GetName(), kind)
	}
}

// timed is a family's metrics with the time of the gathering where they bring none, which the bridge would take from
// the clock, and in valid UTF-8. The family's own are shared with others and stay as they are.
func timed(family *dto.MetricFamily, at time.Time) []*dto.Metric {
	ms := at.UnixMilli()
	all := make([]*dto.Metric, 0, len(family.GetMetric()))
	for _, m := range family.GetMetric() {
		if !hasValue(family.GetType(), m) {
			continue
		}
		c := &dto.Metric{Label: validPairs(m.Label), Gauge: m.Gauge, Counter: m.Counter, Summary: m.Summary,
			Untyped: m.Untyped, Histogram: m.Histogram, TimestampMs: m.TimestampMs}
		if c.TimestampMs == nil {
			c.TimestampMs = &ms
		}
		all = append(all, c)
	}
	return all
}

// hasValue says whether a metric has what its type promises; one of a registry always does.
func hasValue(kind dto.MetricType, m *dto.Metric) bool {
	switch kind {
	case dto.MetricType_COUNTER:
		return m.GetCounter() != nil
	case dto.MetricType_GAUGE:
		return m.GetGauge() != nil
	case dto.MetricType_SUMMARY:
		return m.GetSummary() != nil
	case dto.MetricType_HISTOGRAM:
		return m.GetHistogram() != nil
	}
	return m.GetUntyped() != nil
}

// validPairs is the labels as they are if all is valid UTF-8; the exporter refuses a whole request for one that isn't.
func validPairs(pairs []*dto.LabelPair) []*dto.LabelPair {
	if !slices.ContainsFunc(pairs, func(l *dto.LabelPair) bool { return !utf8.ValidString(l.GetName()) || !utf8.ValidString(l.GetValue()) }) {
		return pairs
	}
	valid := make([]*dto.LabelPair, len(pairs))
	for i, l := range pairs {
		name, value := strings.ToValidUTF8(l.GetName(), replacement), strings.ToValidUTF8(l.GetValue(), replacement)
		valid[i] = &dto.LabelPair{Name: &name, Value: &value}
	}
	return valid
}
