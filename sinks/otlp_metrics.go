package sinks

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/klauspost/compress/s2"
	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/pipeline"
)

// OTLPMetrics pushes metrics by OTLP/HTTP as protobuf. The OpenTelemetry SDK makes the requests, with its bridge from
// Prometheus' metrics and its exporter, whose transport is ours and goes nowhere: so requests can be queued, and are sent
// by the same code as everything else. Names, labels and values stay what they are in /metrics; what names the node and
// the job is attributes of the resource.
//
// What an answer proves is the same as for logs: see OTLP. What a partial success leaves out is counted and never sent
// again. Prometheus' own OTLP receiver (path /api/v1/otlp/v1/metrics) knows none: it takes all of a request or nothing.
//
// OTLP has no marker for a series that ends while others go on. At the end of all, Stale says of each that no value was
// recorded, which Prometheus turns into its own marker.
//
// Encode and Stale belong to one goroutine, Send to any number of them.
type OTLPMetrics struct {
	*sender
	encoder    *metricsEncoder
	compressor compressor
	last       [][]byte // the bodies of the last Encode, by s2 whatever they are compressed by on their way
}

// OTLPMetricsFormat says how metrics become OTLP/HTTP requests.
type OTLPMetricsFormat struct {
	// Compression is "gzip", "zstd" or "none"; empty means gzip.
	Compression string

	// Resource is the attributes of the resource: who it is that the metrics come from.
	Resource []pipeline.Label
}

const otlpMetricsPath = "/v1/metrics"

// NewOTLPMetrics makes the sink. It connects to nothing yet.
func NewOTLPMetrics(r Remote, f OTLPMetricsFormat) (*OTLPMetrics, error) {
	if err := checkCompression(f.Compression); err != nil {
		return nil, prefixed(r.Name, err)
	}
	encoder, err := newMetricsEncoder(f.Resource)
	if err != nil {
		return nil, prefixed(r.Name, err)
	}
	accept := func(r *reply) (wrong, remark string, leftOut int64) { return acceptExport(r, "data points") }
	s, err := newSender(r, otlpMetricsPath, "application/x-protobuf", contentEncoding(f.Compression), accept)
	if err != nil {
		return nil, err
	}
	s.advice = pushAdvice(r.Name, "nothing takes OTLP metrics at this path: a Prometheus needs --web.enable-otlp-receiver and the path /api/v1/otlp/v1/metrics; check url of sinks."+r.Name)
	return &OTLPMetrics{sender: s, encoder: encoder, compressor: newCompressor(f.Compression)}, nil
}

// Encode makes the bodies of one gathering: at most 2,000 data points and 1 MiB before compression each, unless one point
// alone is larger. A point is one metric with its labels, a whole histogram among them; samples counts points. They have
// the time at, to the millisecond, unless a metric brings its own. put gets each body for good. Families that OTLP has no
// form for are left out and named in the error; everything else has been put then.
func (o *OTLPMetrics) Encode(families []*dto.MetricFamily, at time.Time, put func(body []byte, samples int) error) error {
	var now [][]byte
	leftOut, err := o.encoder.each(families, at, func(body []byte, points int) error {
		now = append(now, bytes.Clone(s2.Encode(nil, body))) // the library leaves much room behind it
		return put(o.compress(body), points)
	})
	if err != nil {
		return prefixed(o.name, err)
	}
	o.last = now
	if leftOut != nil {
		return fmt.Errorf("%s: left out: %w", o.name, leftOut)
	}
	return nil
}

// Stale makes the bodies that say of each point of the last Encode that it has no value at that time.
func (o *OTLPMetrics) Stale(at time.Time, put func(body []byte, samples int) error) error {
	for _, body := range o.last {
		plain, err := s2.Decode(nil, body)
		if err != nil {
			return fmt.Errorf("%s: last values: %w", o.name, err)
		}
		marks, points, err := withoutValues(plain, at)
		if err != nil {
			return fmt.Errorf("%s: last values: %w", o.name, err)
		}
		if points == 0 {
			continue
		}
		if err := put(o.compress(marks), points); err != nil {
			return err
		}
	}
	o.last = nil
	return nil
}

// compress gives a body of its own to whoever keeps it.
func (o *OTLPMetrics) compress(body []byte) []byte {
	o.compressor.begin()
	o.compressor.add(body)
	return bytes.Clone(o.compressor.end())
}

// Send posts one body of Encode or Stale with so many points.
func (o *OTLPMetrics) Send(ctx context.Context, body []byte, samples int) pipeline.Answer {
	a := o.sender.Send(ctx, body)
	a.LeftOut = min(a.LeftOut, int64(samples))
	return a
}
