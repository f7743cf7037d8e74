package sinks

import (
	"encoding/binary"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/leatd/leat/pipeline"
)

// An otlpEncoder writes ExportLogsServiceRequests: a ResourceLogs for each segment.
type otlpEncoder struct {
	out     pieces
	ids     idMaker
	withIDs bool
	now     func() time.Time

	scope   []byte      // the field of ScopeLogs
	restart []byte      // the attribute of the segment at hand
	flagged otlpFlagged // attributes by a record's flags, of targets that have streams
	raw     otlpFlagged // the same of targets that have none
}

// NewEncoder makes an encoder for the use of one goroutine. It implements part of pipeline.Sink.
func (f *OTLPFormat) NewEncoder() pipeline.Encoder {
	e := &otlpEncoder{
		out:     newPieces(newCompressor(f.Compression), pieceSize),
		withIDs: f.RecordID,
		now:     f.Now,
		scope:   appendField(nil, scopeLogsScope, appendField(nil, scopeNameField, scopeName)),
		flagged: newOTLPFlagged(true),
		raw:     newOTLPFlagged(false),
	}
	if e.now == nil {
		e.now = time.Now
	}
	return e
}

func (e *otlpEncoder) Begin()      { e.out.begin() }
func (e *otlpEncoder) End() []byte { return e.out.end() }
func (e *otlpEncoder) Size() int   { return e.out.size() }

// timeLen is the length of a record's time or observed time: a tag and eight bytes.
const timeLen = 1 + 8

// maxRecordHead is the most that comes before a record's text: tag and length of the record, the times, tag and length
// of the body and of the string in it.
const maxRecordHead = (1 + 5) + 2*timeLen + 2*(1+5)

// idKey is the attribute of a record's id.
const idKey = string(semconv.LogRecordUIDKey)

// maxIDAttribute is the longest that it becomes: heads of the attribute, its key, its value and the string in that.
const maxIDAttribute = 2 + 2 + len(idKey) + 2 + 2 + maxIDLen

// Add implements pipeline.Encoder.
func (e *otlpEncoder) Add(b *pipeline.Block, s *pipeline.Segment, records []pipeline.Record) {
	if len(records) == 0 {
		return
	}
	if e.withIDs {
		e.ids.begin(s)
	}
	flagged := &e.flagged
	if s.Target.Raw {
		flagged = &e.raw
	}
	e.restart = e.restart[:0]
	if s.Target.Container != "" {
		e.restart = e.appendRestart(e.restart, s.Generation.Restart)
	}
	observed := uint64(e.now().UnixNano())

	// OTLP's strings are UTF-8: one that is not makes a receiver refuse the whole request.
	size, valid := 0, true
	for i := range records {
		r := &records[i]
		text := int(r.Len)
		if n := validLen(b.Body(r)); n != text {
			text, valid = n, false
		}
		n, _ := e.recordLen(r, text, flagged)
		size += fieldLen(n)
	}

	static := s.Target.Described.Stdout
	resource := len(static) + len(e.restart)
	scopeLogs := len(e.scope) + size
	dst := e.out.room(e.out.open(size), 3*(1+binary.MaxVarintLen64))
	dst = appendHead(dst, requestResourceLogs, fieldLen(resource)+fieldLen(scopeLogs))
	dst = appendHead(dst, resourceLogsResource, resource)
	dst = e.out.write(dst, static)
	dst = e.out.write(dst, e.restart)
	dst = e.out.room(dst, 1+binary.MaxVarintLen64)
	dst = appendHead(dst, resourceLogsScopeLogs, scopeLogs)
	dst = e.out.write(dst, e.scope)
	for i := range records {
		r := &records[i]
		body := b.Body(r)
		text := len(body)
		if !valid {
			text = validLen(body)
		}
		n, value := e.recordLen(r, text, flagged)
		dst = e.out.room(dst, maxRecordHead)
		head := dst[len(dst) : len(dst)+maxRecordHead]
		head[0] = scopeLogsRecords<<3 | wireBytes
		at := 1 + putUvarint(head[1:], uint64(n))
		head[at] = recordTime<<3 | wireFixed64
		binary.LittleEndian.PutUint64(head[at+1:], uint64(r.Time))
		at += timeLen
		head[at] = recordBody<<3 | wireBytes
		at += 1 + putUvarint(head[at+1:], uint64(value))
		head[at] = anyString<<3 | wireBytes
		at += 1 + putUvarint(head[at+1:], uint64(text))
		dst = dst[:len(dst)+at]
		if text == len(body) {
			dst = e.out.write(dst, body)
		} else {
			dst = e.out.writeValid(dst, body)
		}
		if m := flagged[r.Flags&shownFlags]; len(m) > 0 {
			dst = e.out.write(dst, m)
		}
		if e.withIDs {
			dst = e.recordID(e.out.room(dst, maxIDAttribute), r)
		}
		dst = e.out.room(dst, timeLen)
		dst = append(dst, recordObservedTime<<3|wireFixed64)
		dst = binary.LittleEndian.AppendUint64(dst, observed)
	}
	e.out.keep(dst)
}

// recordLen is the length of a LogRecord with so many bytes of text, and of the AnyValue that is its body.
func (e *otlpEncoder) recordLen(r *pipeline.Record, text int, flagged *otlpFlagged) (record, value int) {
	value = fieldLen(text)
	record = 2*timeLen + fieldLen(value) + len(flagged[r.Flags&shownFlags])
	if e.withIDs {
		record += fieldLen(idAttributeLen(e.ids.len(r)))
	}
	return record, value
}

// idAttributeLen is the length of the KeyValue of an id of n bytes.
func idAttributeLen(n int) int { return fieldLen(len(idKey)) + fieldLen(fieldLen(n)) }

func (e *otlpEncoder) recordID(dst []byte, r *pipeline.Record) []byte {
	n := e.ids.len(r)
	dst = appendHead(dst, recordAttributes, idAttributeLen(n))
	dst = appendField(dst, keyValueKey, idKey)
	dst = appendHead(dst, keyValueValue, fieldLen(n))
	return e.ids.append(appendHead(dst, anyString, n), r)
}

func (e *otlpEncoder) appendRestart(dst []byte, restart int) []byte {
	const key = string(semconv.K8SContainerRestartCountKey)
	value := 1 + uvarintLen(uint64(restart))
	dst = appendHead(dst, resourceAttributes, fieldLen(len(key))+fieldLen(value))
	dst = appendField(dst, keyValueKey, key)
	dst = append(appendHead(dst, keyValueValue, value), anyInt<<3|wireVarint)
	return appendUvarint(dst, uint64(restart))
}
