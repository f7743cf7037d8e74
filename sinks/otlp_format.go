package sinks

import (
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/leatd/leat/pipeline"
)

// OTLPFormat says how lines become OTLP/HTTP requests: protobuf (ExportLogsServiceRequest). Its zero value is usable.
type OTLPFormat struct {
	// Compression is "gzip", "zstd" or "none"; empty means gzip.
	Compression string

	// RecordID adds the record's stable id to every record, as attribute log.record.uid.
	RecordID bool

	// Now is the clock of observed_time_unix_nano. It is read once for each segment; nil means time.Now.
	Now func() time.Time
}

// scopeName is the instrumentation scope of all records.
const scopeName = "github.com/leatd/leat"

// Fields of OTLP's messages, by their numbers.
const (
	requestResourceLogs = 1

	resourceLogsResource  = 1
	resourceLogsScopeLogs = 2

	resourceAttributes = 1

	scopeLogsScope   = 1
	scopeLogsRecords = 2

	scopeNameField = 1

	recordTime         = 1
	recordBody         = 5
	recordAttributes   = 6
	recordObservedTime = 11

	keyValueKey   = 1
	keyValueValue = 2

	anyString = 1
	anyBool   = 2
	anyInt    = 3
)

// Validate refuses a compression that is none of the three.
func (f *OTLPFormat) Validate() error { return checkCompression(f.Compression) }

// ContentEncoding is the value of the request's Content-Encoding header, empty for none.
func (f *OTLPFormat) ContentEncoding() string { return contentEncoding(f.Compression) }

// Describe encodes the attributes of a target's resource, but for the restart count, which belongs to the segment.
// The two streams of a container are one resource.
func (f *OTLPFormat) Describe(t *pipeline.Target) pipeline.Description {
	var b []byte
	for _, l := range attributes(t, string(semconv.K8SContainerRestartCountKey)) {
		b = appendAttribute(b, resourceAttributes, l.Name, appendField(nil, anyString, l.Value))
	}
	return pipeline.Description{Stdout: b}
}

// appendAttribute appends a field that is a KeyValue; value is an AnyValue already encoded.
func appendAttribute(dst []byte, number byte, key string, value []byte) []byte {
	dst = appendHead(dst, number, fieldLen(len(key))+fieldLen(len(value)))
	return appendField(appendField(dst, keyValueKey, key), keyValueValue, value)
}

// otlpFlagged is the attributes of a record that go with each value of its flags.
type otlpFlagged [flagCombinations][]byte

func newOTLPFlagged(withStream bool) (all otlpFlagged) {
	yes := []byte{anyBool<<3 | wireVarint, 1}
	for flags := range all {
		var b []byte
		if withStream {
			stream := semconv.LogIostreamStdout
			if pipeline.Flags(flags)&pipeline.Stderr != 0 {
				stream = semconv.LogIostreamStderr
			}
			b = appendAttribute(b, recordAttributes, string(stream.Key), appendField(nil, anyString, stream.Value.AsString()))
		}
		if pipeline.Flags(flags)&pipeline.Truncated != 0 {
			b = appendAttribute(b, recordAttributes, attrTruncated, yes)
		}
		if pipeline.Flags(flags)&pipeline.Unfinished != 0 {
			b = appendAttribute(b, recordAttributes, attrUnfinished, yes)
		}
		all[flags] = b
	}
	return all
}
