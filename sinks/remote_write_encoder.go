package sinks

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// Fields of io.prometheus.write.v2.Request, by their numbers. The start time stands with the sample, as the final
// specification has it; drafts had it with the series.
const (
	writeSymbols = 4
	writeSeries  = 5

	seriesLabels   = 1
	seriesSamples  = 2
	seriesMetadata = 5

	sampleValue = 1
	sampleTime  = 2
	sampleStart = 3

	metadataType = 1
	metadataHelp = 3
	metadataUnit = 4
)

const (
	maxPushSamples = 2000    // in a body
	maxPushBytes   = 1 << 20 // of a body before compression, unless one series alone is larger
)

// A writeEncoder makes bodies of remote write 2.0, each with a table of its own for the strings in it. Its buffers stay
// for the next gathering, and hold a body at most.
type writeEncoder struct {
	put func(body []byte, samples int) error

	symbols map[string]uint32
	table   []byte // the fields of the symbols
	series  []byte // the fields of the series
	refs    []byte // of the series in hand
	n       int    // samples so far
	snappy  snappyBlock
}

// begin starts a gathering.
func (e *writeEncoder) begin(put func(body []byte, samples int) error) {
	if e.symbols == nil {
		e.symbols = map[string]uint32{}
	}
	e.put = put
	e.clear()
}

// end lets go of all that belongs to the gathering.
func (e *writeEncoder) end() {
	e.put = nil
	e.clear()
}

func (e *writeEncoder) clear() {
	clear(e.symbols)
	e.table, e.series, e.n = e.table[:0], e.series[:0], 0
	e.symbol("") // the specification wants it first
}

// add appends a series; a body that is full is put first.
func (e *writeEncoder) add(s *series) error {
	if e.n > 0 && (e.n == maxPushSamples || len(e.table)+len(e.series)+atMost(s) > maxPushBytes) {
		if err := e.flush(); err != nil {
			return err
		}
	}
	e.refs = e.refs[:0]
	for i := range s.labels {
		e.refs = appendUvarint(e.refs, uint64(e.symbol(s.labels[i].Name)))
		e.refs = appendUvarint(e.refs, uint64(e.symbol(s.labels[i].Value)))
	}

	var room [2 * maxScalars]byte
	sample := appendDouble(room[:0], sampleValue, s.value)
	sample = appendNumber(sample, sampleTime, uint64(s.time))
	sample = appendNumber(sample, sampleStart, uint64(s.start))
	metadata := appendNumber(sample[len(sample):], metadataType, s.kind)
	metadata = appendNumber(metadata, metadataHelp, uint64(e.symbol(s.help)))
	metadata = appendNumber(metadata, metadataUnit, uint64(e.symbol(s.unit)))

	e.series = appendHead(e.series, writeSeries, fieldLen(len(e.refs))+fieldLen(len(sample))+fieldLen(len(metadata)))
	e.series = appendField(e.series, seriesLabels, e.refs)
	e.series = appendField(e.series, seriesSamples, sample)
	e.series = appendField(e.series, seriesMetadata, metadata)
	e.n++
	return nil
}

// maxScalars is the room that three numbers with their tags need at most.
const maxScalars = 3 * (1 + binary.MaxVarintLen64)

// atMost is what a series may add to a body.
func atMost(s *series) int {
	const reference = binary.MaxVarintLen32
	n := 3*(1+maxPreamble) + 2*maxScalars + len(s.help) + len(s.unit) + 2*(1+maxPreamble)
	for i := range s.labels {
		n += len(s.labels[i].Name) + len(s.labels[i].Value) + 2*(1+maxPreamble+reference)
	}
	return n
}

func (e *writeEncoder) symbol(s string) uint32 {
	if ref, ok := e.symbols[s]; ok {
		return ref
	}
	ref := uint32(len(e.symbols))
	e.symbols[s] = ref
	e.table = appendField(e.table, writeSymbols, s)
	return ref
}

// flush puts the body, if there is anything in it.
func (e *writeEncoder) flush() error {
	if e.n == 0 {
		return nil
	}
	e.snappy.begin()
	for _, part := range [][]byte{e.table, e.series} {
		for piece := range slices.Chunk(part, pieceSize) {
			e.snappy.add(piece)
		}
	}
	body, n := bytes.Clone(e.snappy.end()), e.n
	e.clear()
	return e.put(body, n)
}

// appendDouble appends a field that is a double. One that is zero may be left out, and is: idle counters are many.
func appendDouble(dst []byte, number byte, v float64) []byte {
	bits := math.Float64bits(v)
	if bits == 0 {
		return dst
	}
	return binary.LittleEndian.AppendUint64(append(dst, number<<3|wireFixed64), bits)
}

// appendNumber appends a field that is a varint, unless it is zero.
func appendNumber(dst []byte, number byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return appendUvarint(append(dst, number<<3|wireVarint), v)
}
