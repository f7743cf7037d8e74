package sinks_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/config"
	"google.golang.org/protobuf/proto"

	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/sinks"
	"github.com/leatd/leat/sinks/sinktest"
)

func remote(url string, timeout time.Duration) sinks.Remote {
	cfg := config.DefaultHTTPClientConfig
	cfg.BasicAuth = &config.BasicAuth{Username: sinktest.User, Password: sinktest.Password}
	return sinks.Remote{Name: "central", URL: url, HTTP: cfg, Timeout: timeout, Version: "1.2.3"}
}

// opened gives a constructor's sink to a test.
func opened[S sinktest.Sink](tb testing.TB, s S, err error) sinktest.Sink {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// A metricsSink is what a sink for metrics does.
type metricsSink interface {
	Encode(families []*dto.MetricFamily, at time.Time, put func(body []byte, samples int) error) error
	Stale(at time.Time, put func(body []byte, samples int) error) error
	Send(ctx context.Context, body []byte, samples int) pipeline.Answer
	Where() string
	Close() error
}

// A pusher shows a sink for metrics to the suite as one for lines, each body of which is the same gathering.
type pusher struct {
	metricsSink
	pipeline.Encoder // nil: nothing but what is here is called
	body             []byte
}

func (p pusher) Describe(*pipeline.Target) pipeline.Description            { return pipeline.Description{} }
func (p pusher) NewEncoder() pipeline.Encoder                              { return p }
func (p pusher) Begin()                                                    {}
func (p pusher) Add(*pipeline.Block, *pipeline.Segment, []pipeline.Record) {}
func (p pusher) End() []byte                                               { return p.body }
func (p pusher) Send(ctx context.Context, body []byte) pipeline.Answer {
	return p.metricsSink.Send(ctx, body, sinktest.MetricSamples)
}

func pushes(tb testing.TB, s metricsSink, err error) sinktest.Sink {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	p := pusher{metricsSink: s}
	gauge := dto.MetricFamily{Name: proto.String("a_gauge"), Type: dto.MetricType_GAUGE.Enum()}
	for i := range sinktest.MetricSamples {
		gauge.Metric = append(gauge.Metric, &dto.Metric{Gauge: &dto.Gauge{}, Label: []*dto.LabelPair{{Name: proto.String("of"), Value: proto.String(strconv.Itoa(i))}}})
	}
	if err := s.Encode([]*dto.MetricFamily{&gauge}, time.Unix(1, 0), func(body []byte, samples int) error {
		p.body = body
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	for name, kind := range map[string]sinktest.Kind{
		"loki": {Name: "loki", Path: "/loki/api/v1/push", New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewLoki(remote(url, timeout), sinks.LokiFormat{}, 0)
			return opened(tb, s, err)
		}},
		"otlp gzip": {Name: "otlp", Path: "/v1/logs", New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewOTLP(remote(url, timeout), sinks.OTLPFormat{})
			return opened(tb, s, err)
		}},
		"otlp zstd": {Name: "otlp", Path: "/v1/logs", New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewOTLP(remote(url, timeout), sinks.OTLPFormat{Compression: "zstd"})
			return opened(tb, s, err)
		}},
		"http": {Name: "http", Path: "/", New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewHTTP(remote(url, timeout), sinks.NDJSONFormat{})
			return opened(tb, s, err)
		}},
		"remote write": {Name: "remote_write", Metrics: true, New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewRemoteWrite(remote(url, timeout), sinks.RemoteWriteFormat{})
			return pushes(tb, s, err)
		}},
		"otlp metrics": {Name: "otlp", Metrics: true, New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewOTLPMetrics(remote(url, timeout), sinks.OTLPMetricsFormat{})
			return pushes(tb, s, err)
		}},
	} {
		t.Run(name, func(t *testing.T) { sinktest.Run(t, kind) })
	}
}
