// Package trace makes a span of each batch that a lane has delivered, and sends the spans to an OTLP endpoint over HTTP.
//
// # What it promises
//
// It never holds up a sender: a span is put into a queue of 1,024, and is dropped if that is full. Spans are no lines:
// those that the endpoint does not take are gone, nothing of them is on disk, and nothing is tried twice. It is said once in
// the log when they cannot be sent, and once when they can again; nothing goes to OpenTelemetry's global error handler.
//
// A span says how long the lane took from having the batch to having all verdicts: deliver SINK, of kind client, with
//
//	leat.sink                  the sink's name
//	leat.lines, leat.log_bytes what the store has for good: lines, and the bytes of their text
//	leat.dropped_lines         what it will never take; with any, the span's status is an error
//	leat.requests              how many requests it took; one, when all is well
//	leat.sent_bytes            of their bodies
//	http.response.status_code  of the last answer, where there is one
//
// # Who owns what
//
// The OpenTelemetry SDK has the queue and one goroutine that empties it every five seconds, from New to Close. Nothing is
// registered with OpenTelemetry's globals. Without a Tracer none of this runs: a lane that has nobody to tell takes no
// notes (see pipeline.Options).
package trace

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/leatd/leat/pipeline"
)

// Options are what a tracer is made with. All are needed but Labels.
type Options struct {
	URL   string                  // of the endpoint, with its path: http://tempo:4318/v1/traces
	HTTP  config.HTTPClientConfig // TLS, credentials, headers and proxy; begin with config.DefaultHTTPClientConfig
	Ratio float64                 // the share of batches that get a span, from 0 to 1

	Version, Node string           // of leatd, and where it runs
	Labels        []pipeline.Label // the owner's, on every span
	Log           *slog.Logger
}

const (
	queue   = 1024             // spans that wait, at the most: about 1 MiB
	atOnce  = 256              // spans in a request
	timeout = 10 * time.Second // of a request
)

// A Tracer makes spans of batches and sends them.
type Tracer struct {
	client   *http.Client
	exporter *otlptrace.Exporter
	queue    sdk.SpanProcessor
	tracer   api.Tracer
}

// New makes a tracer. It connects to nothing yet. Close must follow.
func New(o Options) (*Tracer, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("traces: url: is no address: write it as http://HOST:PORT/v1/traces") // it may hold a password
	}
	cfg := o.HTTP
	if u.User != nil {
		password, _ := u.User.Password()
		cfg.BasicAuth = &config.BasicAuth{Username: u.User.Username(), Password: config.Secret(password)}
		u.User = nil
	}
	t := new(Tracer)
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	if t.client, err = config.NewClientFromConfig(cfg, "traces", config.WithUserAgent("leatd/"+o.Version)); err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	// Options go before what the environment says.
	if t.exporter, err = otlptracehttp.New(context.Background(),
		otlptracehttp.WithHTTPClient(t.client), otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithTimeout(timeout),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false})); err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	t.queue = sdk.NewBatchSpanProcessor(&reporter{SpanExporter: t.exporter, log: o.Log},
		sdk.WithMaxQueueSize(queue), sdk.WithMaxExportBatchSize(atOnce), sdk.WithBatchTimeout(5*time.Second), sdk.WithExportTimeout(timeout))
	provider := sdk.NewTracerProvider(
		sdk.WithResource(o.resource()), sdk.WithSampler(sdk.TraceIDRatioBased(o.Ratio)), sdk.WithSpanProcessor(t.queue))
	t.tracer = provider.Tracer("github.com/leatd/leat", api.WithInstrumentationVersion(o.Version))
	return t, nil
}

// resource says who makes the spans, as pushed metrics do.
func (o *Options) resource() *resource.Resource {
	node := strings.ToValidUTF8(o.Node, "\uFFFD") // a kernel takes any bytes for a host's name
	attributes := []attribute.KeyValue{
		attribute.String("service.name", "leatd"), attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", node), attribute.String("host.name", node), attribute.String("k8s.node.name", node),
	}
	for _, l := range o.Labels {
		attributes = append(attributes, attribute.String(l.Name, l.Value))
	}
	return resource.NewSchemaless(attributes...) // of two with one name the last: the owner's
}

// Batch makes a span of a batch. It fits pipeline.Options.
func (t *Tracer) Batch(b pipeline.Batch) {
	_, span := t.tracer.Start(context.Background(), "deliver "+b.Sink,
		api.WithTimestamp(b.Start), api.WithSpanKind(api.SpanKindClient))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("leat.sink", b.Sink),
			attribute.Int64("leat.lines", b.Delivered.Lines),
			attribute.Int64("leat.log_bytes", b.Delivered.Bytes),
			attribute.Int64("leat.dropped_lines", b.Dropped.Lines),
			attribute.Int("leat.requests", b.Requests),
			attribute.Int64("leat.sent_bytes", b.SentBytes),
		)
		if status, err := strconv.Atoi(b.Code); err == nil {
			span.SetAttributes(attribute.Int("http.response.status_code", status))
		}
		if b.Dropped.Lines > 0 {
			span.SetStatus(codes.Error, fmt.Sprintf("lines dropped: %d", b.Dropped.Lines))
		}
	}
	span.End(api.WithTimestamp(b.End))
}

// Close sends what waits, until ctx ends; then it breaks off. No Batch may follow.
func (t *Tracer) Close(ctx context.Context) error {
	err := t.queue.Shutdown(ctx)                        // and not the provider's, which leaves the goroutine where ctx has ended before
	_ = t.exporter.Shutdown(context.WithoutCancel(ctx)) // ends the request under way, if ctx ended first
	t.client.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("traces: the last spans were not sent: %w", err)
	}
	return nil
}
