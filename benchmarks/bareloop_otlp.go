package benchmarks

import (
	"encoding/binary"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// otlpPiece is how much is compressed at once, alone: the library then looks into what it is given and keeps no history
// of its own. Medians of 25 turns of the whole loop, over logs of the six shapes of package load, on one core of a busy
// machine:
//
//	                                      CPU s/GiB  times smaller
//	a stream, window 128 KiB, checksum    2.80       6.08
//	a stream, window 64 KiB               2.62       6.11
//	a block of the log, window 64 KiB     2.64       6.10
//	a block of the log, window 128 KiB    2.72       6.08
//	a block of the log, window 512 KiB    2.73       6.07
//	… with a checksum                     2.82       6.07
//	pieces of 32 KiB                      2.64       5.65
//	pieces of 64 KiB                      2.48       5.88
//	… with the option for less memory     2.46       5.88
//	pieces of 128 KiB                     2.63       5.98
//
// From 40 to 64 KiB it makes no difference; 68 KiB cost 7 % more than 64.
const otlpPiece = 64 << 10

// otlpFront is room for what stands before the records and is known after them.
const otlpFront = 512

// bareOTLP makes an ExportLogsServiceRequest of one resource (opentelemetry/proto/logs/v1/logs.proto) in one zstd frame,
// with the fields that leatd writes: a record has its time, its text, its stream and when it was read.
type bareOTLP struct {
	resource, scope []byte // fields of ResourceLogs and of ScopeLogs
	ending          []byte // of a record: the fields that all of a request have alike

	zstd    *zstd.Encoder
	piece   []byte // records not yet compressed
	records int    // bytes of those that are
	request []byte
	last    int // where in the request its last zstd block begins
}

func newBareOTLP() *bareOTLP {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(otlpPiece), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		panic(err) // the options are constants
	}
	var attributes []byte
	for _, a := range [][2]string{
		{"k8s.namespace.name", "shop"}, {"k8s.pod.name", "cart-5d8f9c7b6-x2x9z"},
		{"k8s.pod.uid", "0b7e6a52-93c4-4d0f-8a51-6e1f2d3c4b5a"}, {"k8s.container.name", "cart"}, {"k8s.node.name", "node-1"},
	} {
		attributes = appendAttribute(attributes, 1, a[0], a[1])
	}
	return &bareOTLP{
		resource: appendField(nil, 1, attributes),
		scope:    appendField(nil, 1, appendField(nil, 1, []byte("leat"))),
		zstd:     z,
		piece:    make([]byte, 0, otlpPiece+bareBlock),
		request:  make([]byte, 0, 2*bareBlock),
	}
}

func (e *bareOTLP) begin(lines []byte) bool {
	e.piece, e.records, e.request = e.piece[:0], 0, e.request[:otlpFront]
	e.ending = append(appendAttribute(e.ending[:0], 6, "log.iostream", "stdout"), 11<<3|1)
	e.ending = binary.LittleEndian.AppendUint64(e.ending, uint64(time.Now().UnixNano()))
	return utf8.Valid(lines)
}

// add encodes one line as a LogRecord: time, body, attribute, observed time.
func (e *bareOTLP) add(seconds, nanos uint64, body []byte) {
	value := 1 + varintLen(uint64(len(body))) + len(body)
	record := 1 + 8 + 1 + varintLen(uint64(value)) + value + len(e.ending)
	if len(e.piece)+1+varintLen(uint64(record))+record > otlpPiece {
		e.flush()
	}
	b := append(e.piece, 2<<3|2)
	b = appendVarint(b, uint64(record))
	b = append(b, 1<<3|1)
	b = binary.LittleEndian.AppendUint64(b, seconds*1e9+nanos)
	b = append(b, 5<<3|2)
	b = appendVarint(b, uint64(value))
	b = append(b, 1<<3|2)
	b = appendVarint(b, uint64(len(body)))
	b = append(b, body...)
	e.piece = append(b, e.ending...)
}

// end closes the request: what stands before the records becomes a block that is not compressed, right before theirs,
// and before that stands the frame's header (RFC 8878, 3.1.1).
func (e *bareOTLP) end() []byte {
	e.flush()
	e.request[e.last] |= 1

	scopeLogs := len(e.scope) + e.records
	front := append(make([]byte, 0, otlpFront), 1<<3|2)
	front = appendVarint(front, uint64(len(e.resource)+1+varintLen(uint64(scopeLogs))+scopeLogs))
	front = append(front, e.resource...)
	front = appendVarint(append(front, 2<<3|2), uint64(scopeLogs))
	front = append(front, e.scope...)

	const window = 6 << 3 // 64 KiB: 2^(10+6)
	header := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, window, byte(len(front) << 3), byte(len(front) >> 5), 0}
	start := otlpFront - len(header) - len(front)
	copy(e.request[start:], header)
	copy(e.request[start+len(header):], front)
	return e.request[start:]
}

// flush appends the piece to the request as blocks that do not refer to each other: each has its own tables, and at this
// level the library repeats no offset before it has written three of the block's own.
func (e *bareOTLP) flush() {
	for rest := e.piece; len(rest) > 0; {
		n := min(len(rest), otlpPiece)
		e.block(rest[:n])
		rest = rest[n:]
	}
	e.records += len(e.piece)
	e.piece = e.piece[:0]
}

// block appends a block of p. The library makes a frame of it, whose header (magic number, descriptor, length of p)
// falls on bytes which are put back.
func (e *bareOTLP) block(p []byte) {
	var kept [4 + 1 + 2]byte
	n := len(kept)
	if len(p) < 256 {
		n--
	}
	e.last = len(e.request)
	copy(kept[:n], e.request[e.last-n:])
	e.request = e.zstd.EncodeAll(p, e.request[:e.last-n])
	copy(e.request[e.last-n:], kept[:n])
	e.request[e.last] &^= 1 // until it is known to be the last
}

func appendField(b []byte, number byte, content []byte) []byte {
	return append(appendVarint(append(b, number<<3|2), uint64(len(content))), content...)
}

// appendAttribute appends a field that is a KeyValue of two strings.
func appendAttribute(b []byte, number byte, key, value string) []byte {
	pair := appendField(nil, 1, []byte(key))
	return appendField(b, number, appendField(pair, 2, appendField(nil, 1, []byte(value))))
}
