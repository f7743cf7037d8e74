package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A Series is what Prometheus answers for one set of labels.
type Series struct {
	Labels  map[string]string // the name is __name__
	Samples []Sample          // in order of time
}

// A Sample is one value.
type Sample struct {
	Time  int64 // milliseconds since the Unix epoch
	Value float64
}

// Query evaluates an expression at a time. A range selector, `up[1m]`, gives the samples as they were stored, with their
// own times; all else gives each series one sample.
func (s *Prometheus) Query(ctx context.Context, expr string, at time.Time) ([]Series, error) {
	return s.query(ctx, "/api/v1/query", url.Values{"query": {expr}, "time": {seconds(at)}})
}

// QueryRange evaluates an expression at start and every step after it until end.
func (s *Prometheus) QueryRange(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]Series, error) {
	return s.query(ctx, "/api/v1/query_range", url.Values{
		"query": {expr}, "start": {seconds(start)}, "end": {seconds(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

func (s *Prometheus) query(ctx context.Context, path string, form url.Values) ([]Series, error) {
	body, err := s.get(ctx, path+"?"+form.Encode())
	if err != nil {
		return nil, fmt.Errorf("prometheus: query %s: %w", form.Get("query"), err)
	}
	var answer struct {
		Data struct {
			ResultType string `json:"resultType"`
			Result     []struct {
				Metric     map[string]string `json:"metric"`
				Value      *sample           `json:"value"`  // of a vector
				Values     []sample          `json:"values"` // of a matrix
				Histogram  json.RawMessage   `json:"histogram"`
				Histograms json.RawMessage   `json:"histograms"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("prometheus: query %s: %w", form.Get("query"), err)
	}
	series := make([]Series, len(answer.Data.Result))
	for i, r := range answer.Data.Result {
		if r.Histogram != nil || r.Histograms != nil {
			return nil, fmt.Errorf("prometheus: query %s: the result holds native histograms, which are not read here", form.Get("query"))
		}
		if r.Value != nil {
			r.Values = []sample{*r.Value}
		}
		series[i] = Series{Labels: r.Metric, Samples: make([]Sample, len(r.Values))}
		for k, v := range r.Values {
			series[i].Samples[k] = Sample(v)
		}
	}
	return series, nil
}

func (s *Prometheus) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return nil, err
	}
	return answerTo(s.client, req)
}

// seconds writes a time as Prometheus reads it, with the milliseconds that it keeps.
func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1e3, 'f', 3, 64) }

// A sample is a Sample as Prometheus writes it: [SECONDS, "VALUE"].
type sample Sample

func (s *sample) UnmarshalJSON(text []byte) error {
	var at float64
	var value string
	if err := json.Unmarshal(text, &[]any{&at, &value}); err != nil {
		return err
	}
	s.Time = int64(math.Round(at * 1e3))
	var err error
	s.Value, err = strconv.ParseFloat(value, 64)
	return err
}
