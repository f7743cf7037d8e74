package sinks

import (
	"fmt"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// withoutValues turns an export request into one that says of each of its points that nothing was recorded at that time.
// Bounds and quantiles stay: with them Prometheus tells the series of a histogram and of a summary apart.
func withoutValues(request []byte, at time.Time) (body []byte, points int, err error) {
	var all metricspb.MetricsData // on the wire the same as an ExportMetricsServiceRequest
	if err := proto.Unmarshal(request, &all); err != nil {
		return nil, 0, fmt.Errorf("request: %w", err)
	}
	const none = uint32(metricspb.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)
	now, zero := uint64(at.UnixNano()), 0.0
	for _, r := range all.ResourceMetrics {
		for _, s := range r.ScopeMetrics {
			for _, m := range s.Metrics {
				for _, p := range m.GetGauge().GetDataPoints() {
					p.Value, p.Exemplars, p.TimeUnixNano, p.Flags = nil, nil, now, none
					points++
				}
				for _, p := range m.GetSum().GetDataPoints() {
					p.Value, p.Exemplars, p.TimeUnixNano, p.Flags = nil, nil, now, none
					points++
				}
				for _, p := range m.GetSummary().GetDataPoints() {
					p.Count, p.Sum, p.TimeUnixNano, p.Flags = 0, 0, now, none
					for _, q := range p.QuantileValues {
						q.Value = 0
					}
					points++
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					p.Count, p.Sum, p.Min, p.Max, p.Exemplars, p.TimeUnixNano, p.Flags = 0, &zero, nil, nil, nil, now, none
					clear(p.BucketCounts)
					points++
				}
				for _, p := range m.GetExponentialHistogram().GetDataPoints() {
					p.Count, p.Sum, p.Min, p.Max, p.Exemplars, p.TimeUnixNano, p.Flags = 0, &zero, nil, nil, nil, now, none
					p.ZeroCount, p.Positive, p.Negative = 0, nil, nil
					points++
				}
			}
		}
	}
	body, err = proto.Marshal(&all)
	return body, points, err
}
