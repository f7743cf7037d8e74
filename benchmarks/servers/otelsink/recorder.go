package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"unicode/utf8"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// A record is one line of the file. Times are nanoseconds since the Unix epoch, 0 where the sender left them out.
type record struct {
	Resource     map[string]any `json:"resource"`
	Scope        scope          `json:"scope"`
	Time         int64          `json:"time"`
	Observed     int64          `json:"observed"`
	Severity     int32          `json:"severity"`
	SeverityText string         `json:"severity_text,omitempty"`
	BodyType     string         `json:"body_type"` // pdata's name: Str, Bytes, Empty, Map, ...
	Body         string         `json:"body"`
	BodyBase64   []byte         `json:"body_base64,omitempty"` // in place of Body where that is not valid UTF-8
	Attributes   map[string]any `json:"attributes"`
}

type scope struct {
	Name       string         `json:"name"`
	Version    string         `json:"version,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// A recorder writes what the receiver decoded. Requests come at the same time, so each is written whole under a lock.
type recorder struct {
	mu   sync.Mutex
	file *os.File
}

func (*recorder) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (r *recorder) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false)
	for _, ofResource := range logs.ResourceLogs().All() {
		resource := ofResource.Resource().Attributes().AsRaw()
		for _, ofScope := range ofResource.ScopeLogs().All() {
			s := scope{ofScope.Scope().Name(), ofScope.Scope().Version(), ofScope.Scope().Attributes().AsRaw()}
			for _, lr := range ofScope.LogRecords().All() {
				if err := enc.Encode(newRecord(resource, s, lr)); err != nil {
					return fmt.Errorf("otelsink: encode record: %w", err)
				}
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.file.Write(lines.Bytes()); err != nil {
		return fmt.Errorf("otelsink: write records: %w", err)
	}
	return nil
}

func newRecord(resource map[string]any, s scope, lr plog.LogRecord) record {
	rec := record{
		Resource:     resource,
		Scope:        s,
		Time:         int64(lr.Timestamp()),
		Observed:     int64(lr.ObservedTimestamp()),
		Severity:     int32(lr.SeverityNumber()),
		SeverityText: lr.SeverityText(),
		BodyType:     lr.Body().Type().String(),
		Attributes:   lr.Attributes().AsRaw(),
	}
	// JSON would quietly mend a body that is not UTF-8, and a test could not see what was sent.
	switch body := lr.Body(); {
	case body.Type() == pcommon.ValueTypeBytes:
		rec.BodyBase64 = body.Bytes().AsRaw()
	case utf8.ValidString(body.AsString()):
		rec.Body = body.AsString()
	default:
		rec.BodyBase64 = []byte(body.AsString())
	}
	return rec
}
