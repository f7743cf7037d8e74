package trace

import (
	"context"
	"log/slog"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// A reporter keeps an exporter's errors from the SDK, which would hand each to a global handler, and logs the first of
// them. One goroutine exports at a time.
type reporter struct {
	sdk.SpanExporter
	log     *slog.Logger
	dropped int // spans, since it was said that they cannot be sent
}

// maxWords is how much of an endpoint's answer is logged.
const maxWords = 512

// ExportSpans implements sdk.SpanExporter.
func (r *reporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err == nil && r.dropped > 0:
		r.log.Info("traces: spans can be sent again", "dropped", r.dropped)
		r.dropped = 0
	case err != nil:
		if r.dropped == 0 {
			words := err.Error()
			if len(words) > maxWords {
				words = words[:maxWords] + " ..."
			}
			r.log.Warn("traces: spans cannot be sent and are dropped; logs and metrics go on. Correct traces.url, or look at its store", "err", words)
		}
		r.dropped += len(spans)
	}
	return nil
}
