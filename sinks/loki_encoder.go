package sinks

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/leatd/leat/pipeline"
)

// A lokiEncoder writes PushRequests: a stream per segment, two where a segment holds lines of stdout and of stderr and
// the streams have labels of their own.
type lokiEncoder struct {
	out     pieces
	times   splitter
	ids     idMaker
	withIDs bool

	restart bool        // restart_count is wanted
	shared  []byte      // structured metadata of all entries of the segment at hand
	flagged lokiFlagged // structured metadata by an entry's flags, of targets that have streams
	raw     lokiFlagged // the same of targets that have none
}

// lokiFlagged is the structured metadata that goes with each value of a record's flags.
type lokiFlagged [flagCombinations][]byte

// shownFlags are the flags that readers of a log are told.
const (
	shownFlags       = pipeline.Stderr | pipeline.Truncated | pipeline.Unfinished
	flagCombinations = shownFlags + 1
)

// NewEncoder makes an encoder for the use of one goroutine. It implements part of pipeline.Sink.
func (f *LokiFormat) NewEncoder() pipeline.Encoder {
	return &lokiEncoder{
		out:     newPieces(new(snappyBlock), widePiece),
		withIDs: f.RecordID,
		restart: slices.Contains(f.Metadata, lokiRestart),
		flagged: newLokiFlagged(slices.Contains(f.Metadata, lokiStream)),
		raw:     newLokiFlagged(false),
	}
}

func newLokiFlagged(withStream bool) (all lokiFlagged) {
	for flags := range all {
		var b []byte
		if withStream {
			stream := "stdout"
			if pipeline.Flags(flags)&pipeline.Stderr != 0 {
				stream = "stderr"
			}
			b = appendPair(b, 3, lokiStream, stream)
		}
		if pipeline.Flags(flags)&pipeline.Truncated != 0 {
			b = appendPair(b, 3, lokiTruncated, "true")
		}
		if pipeline.Flags(flags)&pipeline.Unfinished != 0 {
			b = appendPair(b, 3, lokiUnfinished, "true")
		}
		all[flags] = b
	}
	return all
}

func (e *lokiEncoder) Begin()      { e.out.begin() }
func (e *lokiEncoder) End() []byte { return e.out.end() }
func (e *lokiEncoder) Size() int   { return e.out.size() }

// Add implements pipeline.Encoder.
func (e *lokiEncoder) Add(b *pipeline.Block, s *pipeline.Segment, records []pipeline.Record) {
	if e.withIDs {
		e.ids.begin(s)
	}
	d := &s.Target.Described
	switch {
	case d.Stderr == nil:
		e.stream(b, s, records, d.Stdout, 0, 0)
	case s.Any&pipeline.Stderr == 0:
		e.stream(b, s, records, d.Stdout, 0, 0)
	case s.All&pipeline.Stderr != 0:
		e.stream(b, s, records, d.Stderr, 0, 0)
	default:
		e.stream(b, s, records, d.Stdout, pipeline.Stderr, 0)
		e.stream(b, s, records, d.Stderr, pipeline.Stderr, pipeline.Stderr)
	}
}

// Of an entry's fields, the longest that comes before the line: tag and length of the entry, tag and length and content
// of the time, tag and length of the line.
const maxEntryHead = (1 + 5) + (1 + 1 + maxTimestamp) + (1 + 5)

// maxTimestamp is the length of a Timestamp whose seconds are negative and so take ten bytes.
const maxTimestamp = (1 + binary.MaxVarintLen64) + (1 + binary.MaxVarintLen32)

// maxIDPair is the longest that a record's id becomes: heads of the pair, its name and its value.
const maxIDPair = 2 + 2 + len(lokiRecordID) + 2 + maxIDLen

// stream writes a stream of the records whose flags are want where mask is set. A stream without records is not written.
func (e *lokiEncoder) stream(b *pipeline.Block, s *pipeline.Segment, records []pipeline.Record, described []byte,
	mask, want pipeline.Flags) {
	labels, metadata := splitField(described)
	e.shared = append(e.shared[:0], metadata...)
	if e.restart && s.Target.Container != "" {
		var digits [20]byte
		n := strconv.AppendInt(digits[:0], int64(s.Generation.Restart), 10)
		e.shared = appendHead(e.shared, 3, fieldLen(len(lokiRestart))+fieldLen(len(n)))
		e.shared = appendField(appendField(e.shared, 1, lokiRestart), 2, n)
	}
	flagged := &e.flagged
	if s.Target.Raw {
		flagged = &e.raw
	}

	size := 0
	for i := range records {
		if r := &records[i]; r.Flags&mask == want {
			n, _ := e.entryLen(r, flagged)
			size += fieldLen(n)
		}
	}
	if size == 0 {
		return
	}

	dst := e.out.room(e.out.open(size), maxEntryHead)
	dst = appendHead(dst, 1, len(labels)+size)
	dst = e.out.write(dst, labels)
	for i := range records {
		r := &records[i]
		if r.Flags&mask != want {
			continue
		}
		n, timeLen := e.entryLen(r, flagged)
		sec, nanos := e.times.split(r.Time)
		dst = e.out.room(dst, maxEntryHead)
		head := dst[len(dst) : len(dst)+maxEntryHead]
		head[0] = 2<<3 | wireBytes
		at := 1 + putUvarint(head[1:], uint64(n))
		head[at], head[at+1], head[at+2] = 1<<3|wireBytes, byte(timeLen), 1<<3|wireVarint
		at += 3
		at += putUvarint(head[at:], uint64(sec))
		head[at] = 2<<3 | wireVarint
		at += 1 + putUvarint(head[at+1:], nanos)
		head[at] = 2<<3 | wireBytes
		at += 1 + putUvarint(head[at+1:], uint64(r.Len))
		dst = e.out.write(dst[:len(dst)+at], b.Body(r))
		if len(e.shared) > 0 {
			dst = e.out.write(dst, e.shared)
		}
		if m := flagged[r.Flags&shownFlags]; len(m) > 0 {
			dst = e.out.write(dst, m)
		}
		if e.withIDs {
			dst = e.recordID(e.out.room(dst, maxIDPair), r)
		}
	}
	e.out.keep(dst)
}

// entryLen is the length of a record's entry, and of the time in it.
func (e *lokiEncoder) entryLen(r *pipeline.Record, flagged *lokiFlagged) (entry, timestamp int) {
	sec, nanos := e.times.split(r.Time)
	timestamp = 1 + uvarintLen(uint64(sec)) + 1 + uvarintLen(nanos)
	entry = 2 + timestamp + fieldLen(int(r.Len)) + len(e.shared) + len(flagged[r.Flags&shownFlags])
	if e.withIDs {
		entry += fieldLen(fieldLen(len(lokiRecordID)) + fieldLen(e.ids.len(r)))
	}
	return entry, timestamp
}

func (e *lokiEncoder) recordID(dst []byte, r *pipeline.Record) []byte {
	n := e.ids.len(r)
	dst = appendHead(dst, 3, fieldLen(len(lokiRecordID))+fieldLen(n))
	dst = appendField(dst, 1, lokiRecordID)
	return e.ids.append(appendHead(dst, 2, n), r)
}

// splitField splits a description after its first field.
func splitField(b []byte) (field, rest []byte) {
	n, size := binary.Uvarint(b[1:])
	end := 1 + size + int(n)
	return b[:end], b[end:]
}
