package sinks

import "fmt"

// HTTP posts newline-delimited JSON to whatever takes it: VictoriaLogs' /insert/jsonline, Vector, Fluent Bit and
// others. Any 2xx but a web page means that the lines are stored. The protocol has no path of its own: requests go to
// the URL as it is written, with its query.
type HTTP struct {
	NDJSONFormat
	*sender
}

// NewHTTP makes the sink. It connects to nothing yet.
func NewHTTP(r Remote, f NDJSONFormat) (*HTTP, error) {
	if err := f.Validate(); err != nil {
		return nil, prefixed(r.Name, err)
	}
	s, err := newSender(r, "/", "application/x-ndjson", f.ContentEncoding(), anyBody)
	if err != nil {
		return nil, err
	}
	return &HTTP{f, s}, nil
}

func prefixed(name string, err error) error { return fmt.Errorf("%s: %w", name, err) }
