package servers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// OtelSinkOptions say what a test wants to be different.
type OtelSinkOptions struct {
	// Dir is where the records and the log are kept. Empty takes a temporary folder, which Stop removes.
	Dir string
}

// An OtelSink is one running receiver.
type OtelSink struct {
	// URL is where it listens, "http://127.0.0.1:PORT". It takes OTLP at /v1/logs.
	URL string

	process *process
}

// An OtelRecord is a log record as the Collector decoded it. Times are nanoseconds since the Unix epoch. Numbers among
// the attributes are of type json.Number.
type OtelRecord struct {
	Resource     map[string]any `json:"resource"`
	Scope        OtelScope      `json:"scope"`
	Time         int64          `json:"time"`
	Observed     int64          `json:"observed"`
	Severity     int32          `json:"severity"`
	SeverityText string         `json:"severity_text"`
	BodyType     string         `json:"body_type"` // Str, Bytes, Empty, Map, ...
	Body         string         `json:"body"`      // byte for byte what was sent, valid UTF-8 or not
	Attributes   map[string]any `json:"attributes"`
}

// An OtelScope is the instrumentation scope that a record came with.
type OtelScope struct {
	Name       string         `json:"name"`
	Version    string         `json:"version"`
	Attributes map[string]any `json:"attributes"`
}

// StartOtelSink starts a receiver with no records, and returns when it listens.
func StartOtelSink(ctx context.Context, options OtelSinkOptions) (*OtelSink, error) {
	path, err := otelsink.binary(ctx)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("otelsink", options.Dir)
	if err != nil {
		return nil, err
	}
	s := &OtelSink{process: p}
	listens := func(context.Context) bool {
		said, err := os.ReadFile(p.outPath())
		address, _, whole := strings.Cut(string(said), "\n")
		s.URL = "http://" + address
		return err == nil && whole
	}
	if err := p.run(ctx, path, []string{"--listen=127.0.0.1:0", "--out=" + s.records()}, listens); err != nil {
		if p.ownDir {
			err = errors.Join(err, os.RemoveAll(p.dir))
		}
		return nil, err
	}
	return s, nil
}

func (s *OtelSink) records() string { return filepath.Join(s.process.dir, "records.ndjson") }

// Records are all that were received so far, in order of arrival. A record whose request was answered is among them.
func (s *OtelSink) Records() ([]OtelRecord, error) {
	file, err := os.Open(s.records())
	if err != nil {
		return nil, fmt.Errorf("otelsink: records: %w", err)
	}
	defer file.Close()
	var records []OtelRecord
	in := bufio.NewReaderSize(file, 1<<20)
	for {
		text, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return records, nil // a line without an end is still being written
		}
		if err != nil {
			return nil, fmt.Errorf("otelsink: records: %w", err)
		}
		var line struct {
			OtelRecord
			BodyBase64 []byte `json:"body_base64"`
		}
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&line); err != nil {
			return nil, fmt.Errorf("otelsink: record %d: %w", len(records)+1, err)
		}
		if line.BodyBase64 != nil {
			line.Body = string(line.BodyBase64)
		}
		records = append(records, line.OtelRecord)
	}
}

// Stop ends the receiver and waits for it. It is an error if it had ended by itself. Calling it again does nothing.
func (s *OtelSink) Stop() error { return s.process.stop() }
