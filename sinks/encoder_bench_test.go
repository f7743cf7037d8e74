package sinks

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
)

// Benchmarks encode requests of four blocks of 256 KiB of ordinary container logs. MB/s are of the bytes that the blocks
// have on disk; "ratio" is those bytes for each byte of the request.

const requestBlocks = 4

// discard is a compressor that costs nothing.
type discard struct{}

func (discard) begin()      {}
func (discard) add([]byte)  {}
func (discard) end() []byte { return nil }

// outOf is an encoder's way out, so that it can be given another compressor.
func outOf(e any) *pieces {
	switch e := e.(type) {
	case *lokiEncoder:
		return &e.out
	case *otlpEncoder:
		return &e.out
	case *ndjsonEncoder:
		return &e.out
	}
	panic("no encoder of ours")
}

func benchBlocks(f describer) (all []*testBlock, size int) {
	g := ordinary(f, requestBlocks*256<<10, false)
	lines := g.Records
	for len(lines) > 0 {
		b := newTestBlock(f)
		left := requestBlocks - len(all)
		n := (len(lines) + left - 1) / left
		var part []line
		for i := range lines[:n] {
			part = append(part, line{lines[i].Time, string(g.Body(&lines[i])), lines[i].Flags})
		}
		b.add(podTarget, g.Segments[0].Generation, 0, part...)
		all, lines, size = append(all, b), lines[n:], size+len(b.Buf)
	}
	return all, size
}

func encodeAll(e interface {
	Begin()
	End() []byte
}, add func(b *testBlock), blocks []*testBlock) []byte {
	e.Begin()
	for _, b := range blocks {
		add(b)
	}
	return e.End()
}

func benchEncoder(b *testing.B, f describer, to compressor) {
	blocks, size := benchBlocks(f)
	e := f.NewEncoder()
	if to != nil {
		outOf(e).to = to
	}
	add := func(b *testBlock) { e.Add(&b.Block, &b.Segments[0], b.Records) }
	n := len(encodeAll(e, add, blocks))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		encodeAll(e, add, blocks)
	}
	if n > 0 {
		b.ReportMetric(float64(size)/float64(n), "ratio")
	}
}

func benchCompressor(b *testing.B, f describer, c compressor) {
	blocks, size := benchBlocks(f)
	e := f.NewEncoder()
	out := new(plain)
	outOf(e).to = out
	encodeAll(e, func(b *testBlock) { e.Add(&b.Block, &b.Segments[0], b.Records) }, blocks)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		c.begin()
		for rest := out.out; len(rest) > 0; {
			n := min(len(rest), pieceSize)
			c.add(rest[:n])
			rest = rest[n:]
		}
		c.end()
	}
	b.ReportMetric(float64(size)/float64(len(c.end())), "ratio")
}

// benchCodecs are those that a lane can have, without the ones that differ only in what they leave out.
func benchCodecs(b *testing.B, some []string, run func(b *testing.B, c codec)) {
	for _, c := range codecs() {
		if slices.Contains(some, c.name) {
			b.Run(strings.Replace(c.name, "-none", "", 1), func(b *testing.B) { run(b, c) })
		}
	}
}

// BenchmarkEncode is an encoder without a compressor.
func BenchmarkEncode(b *testing.B) {
	benchCodecs(b, []string{"loki", "loki-ids", "otlp-none", "otlp-none-ids", "ndjson-none", "ndjson-none-ids"}, func(b *testing.B, c codec) {
		benchEncoder(b, c.format, discard{})
	})
}

// BenchmarkCompress is a compressor alone over what an encoder made.
func BenchmarkCompress(b *testing.B) {
	for _, bench := range []struct {
		name   string
		format describer
		make   func() compressor
	}{
		{"snappy/loki", &LokiFormat{}, func() compressor { return new(snappyBlock) }},
		{"gzip/otlp", &OTLPFormat{}, func() compressor { return newCompressor("gzip") }},
		{"zstd/otlp", &OTLPFormat{}, func() compressor { return newCompressor("zstd") }},
		{"gzip/ndjson", &NDJSONFormat{}, func() compressor { return newCompressor("gzip") }},
		{"zstd/ndjson", &NDJSONFormat{}, func() compressor { return newCompressor("zstd") }},
	} {
		b.Run(bench.name, func(b *testing.B) { benchCompressor(b, bench.format, bench.make()) })
	}
}

// BenchmarkRequest is what a lane does: the encoder and its compressor together.
func BenchmarkRequest(b *testing.B) {
	benchCodecs(b, []string{"loki", "loki-ids", "otlp-gzip", "otlp-zstd", "ndjson-gzip", "ndjson-zstd"}, func(b *testing.B, c codec) {
		benchEncoder(b, c.format, nil)
	})
}

// BenchmarkBareSnappy is the floor of the loki encoder: the library over a body that lies there already.
func BenchmarkBareSnappy(b *testing.B) {
	f := &LokiFormat{}
	blocks, size := benchBlocks(f)
	e := f.NewEncoder()
	out := new(plain)
	outOf(e).to = out
	encodeAll(e, func(b *testBlock) { e.Add(&b.Block, &b.Segments[0], b.Records) }, blocks)
	dst := make([]byte, s2.MaxEncodedLen(len(out.out)))
	for name, piece := range map[string]int{"whole": math.MaxInt, "64KiB": pieceSize} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				for rest := out.out; len(rest) > 0; {
					n := min(len(rest), piece)
					s2.EncodeSnappy(dst, rest[:n])
					rest = rest[n:]
				}
			}
		})
	}
}
