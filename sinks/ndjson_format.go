package sinks

import (
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/leatd/leat/pipeline"
)

// NDJSONFormat says how lines become newline-delimited JSON, one object a line:
//
//	{"time":"2026-01-02T03:04:05.000000006Z","msg":"…","log.iostream":"stdout","k8s.namespace.name":"…",…}
//
// Its zero value is usable.
type NDJSONFormat struct {
	// Compression is "gzip", "zstd" or "none"; empty means gzip.
	Compression string

	// RecordID adds the record's stable id to every object, as log.record.uid.
	RecordID bool
}

// What comes before a line's time and before its text, and the keys of the two.
const (
	ndjsonTime = `{"time":"`
	ndjsonText = `","msg":"`

	keyTime = "time"
	keyText = "msg"
)

// Validate refuses a compression that is none of the three.
func (f *NDJSONFormat) Validate() error { return checkCompression(f.Compression) }

// ContentEncoding is the value of the request's Content-Encoding header, empty for none.
func (f *NDJSONFormat) ContentEncoding() string { return contentEncoding(f.Compression) }

// Describe encodes what comes behind a line's text: the quote that closes it and the members that are the same in all
// lines of a target and stream. Stderr is empty where a target has no streams.
func (f *NDJSONFormat) Describe(t *pipeline.Target) pipeline.Description {
	labels := attributes(t, keyTime, keyText, string(semconv.LogIostreamKey), string(semconv.LogRecordUIDKey),
		string(semconv.K8SContainerRestartCountKey), attrTruncated, attrUnfinished)
	describe := func(stream string) []byte {
		b := []byte{'"'}
		if stream != "" {
			b = appendMember(b, string(semconv.LogIostreamKey), stream)
		}
		for _, l := range labels {
			b = appendMember(b, l.Name, l.Value)
		}
		return b
	}
	if t.Raw {
		return pipeline.Description{Stdout: describe("")}
	}
	return pipeline.Description{Stdout: describe("stdout"), Stderr: describe("stderr")}
}

// appendMember appends a further member of an object, a string.
func appendMember(dst []byte, key, value string) []byte {
	dst = appendQuoted(append(dst, ','), key)
	return appendQuoted(append(dst, ':'), value)
}

func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	e := escaper{src: []byte(s)}
	for !e.done() {
		room := make([]byte, escapeRoom)
		dst = append(dst, e.escape(room[:0])...)
	}
	return append(dst, '"')
}
