package sinks

import (
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/leatd/leat/pipeline"
)

// An ndjsonEncoder writes a JSON object for each line.
type ndjsonEncoder struct {
	out     pieces
	times   rfc3339
	ids     idMaker
	withIDs bool

	stdout, stderr []byte // what comes behind a line's text in the segment at hand, to the end of the line
}

// NewEncoder makes an encoder for the use of one goroutine. It implements part of pipeline.Sink.
func (f *NDJSONFormat) NewEncoder() pipeline.Encoder {
	return &ndjsonEncoder{out: newPieces(newCompressor(f.Compression), pieceSize), withIDs: f.RecordID}
}

func (e *ndjsonEncoder) Begin()      { e.out.begin() }
func (e *ndjsonEncoder) End() []byte { return e.out.end() }
func (e *ndjsonEncoder) Size() int   { return e.out.size() }

const (
	ndjsonEnd        = "}\n"
	ndjsonRestart    = `,"` + string(semconv.K8SContainerRestartCountKey) + `":`
	ndjsonTruncated  = `,"` + attrTruncated + `":true`
	ndjsonUnfinished = `,"` + attrUnfinished + `":true`
	ndjsonID         = `,"` + string(semconv.LogRecordUIDKey) + `":"`

	// maxObjectHead is the most that comes before a line's text.
	maxObjectHead = len(ndjsonTime) + rfc3339Len + len(ndjsonText)
	// maxExtra is the most that comes behind what the segment's lines have in common.
	maxExtra = len(ndjsonTruncated) + len(ndjsonUnfinished) + len(ndjsonID) + maxIDLen + 1 + len(ndjsonEnd)
)

// Add implements pipeline.Encoder.
func (e *ndjsonEncoder) Add(b *pipeline.Block, s *pipeline.Segment, records []pipeline.Record) {
	if e.withIDs {
		e.ids.begin(s)
	}
	d := &s.Target.Described
	e.stdout = appendTail(e.stdout[:0], d.Stdout, s)
	stdout, stderr := e.stdout, e.stdout
	if d.Stderr != nil {
		e.stderr = appendTail(e.stderr[:0], d.Stderr, s)
		stderr = e.stderr
	}
	const extra = pipeline.Truncated | pipeline.Unfinished
	dst := e.out.open(int(s.Bytes))
	for i := range records {
		r := &records[i]
		dst = e.out.room(dst, maxObjectHead)
		dst = append(dst, ndjsonTime...)
		dst = e.times.append(dst, r.Time)
		dst = append(dst, ndjsonText...)
		for text := (escaper{src: b.Body(r)}); !text.done(); {
			dst = text.escape(e.out.room(dst, escapeRoom))
		}
		tail := stdout
		if r.Flags&pipeline.Stderr != 0 {
			tail = stderr
		}
		if r.Flags&extra == 0 && !e.withIDs {
			dst = e.out.write(dst, tail)
		} else {
			dst = e.out.write(dst, tail[:len(tail)-len(ndjsonEnd)])
			dst = e.extra(e.out.room(dst, maxExtra), r)
		}
	}
	e.out.keep(dst)
}

// extra appends what only some lines have, and the end of the line.
func (e *ndjsonEncoder) extra(dst []byte, r *pipeline.Record) []byte {
	if r.Flags&pipeline.Truncated != 0 {
		dst = append(dst, ndjsonTruncated...)
	}
	if r.Flags&pipeline.Unfinished != 0 {
		dst = append(dst, ndjsonUnfinished...)
	}
	if e.withIDs {
		dst = append(e.ids.append(append(dst, ndjsonID...), r), '"')
	}
	return append(dst, ndjsonEnd...)
}

func appendTail(dst, described []byte, s *pipeline.Segment) []byte {
	dst = append(dst, described...)
	if s.Target.Container != "" {
		dst = append(dst, ndjsonRestart...)
		dst = strconv.AppendInt(dst, int64(s.Generation.Restart), 10)
	}
	return append(dst, ndjsonEnd...)
}
