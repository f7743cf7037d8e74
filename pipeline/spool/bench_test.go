package spool

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// logBlock is a block as a tail reader fills it: 256 KiB of ordinary lines of ten targets.
func logBlock(seed uint64) *pipeline.Block {
	rnd := rand.New(rand.NewPCG(seed, 0))
	words := []string{"connection", "from", "closed", "GET", "/api/v1/items", "status=200", "user", "timeout", "level=info", "retry"}
	b := pipeline.NewBlock(256<<10, 260<<10)
	for i := range 10 {
		s := pipeline.Segment{Target: &pipeline.LaneTarget{Target: aTarget(i)}, First: len(b.Records), End: 1 << 20, Time: 1e18}
		for b.Data < (i+1)*25<<10 {
			text := fmt.Sprintf("ts=%d", rnd.IntN(1e9))
			for range 12 {
				text += " " + words[rnd.IntN(len(words))]
			}
			off := b.Data + copy(b.Buf[b.Data:], "2026-01-02T03:04:05.000000001Z stdout F ")
			b.Records = append(b.Records, pipeline.Record{Time: 1e18 + int64(b.Data), Off: uint32(off), Len: uint32(len(text)), Pos: uint32(b.Data)})
			b.Data = off + copy(b.Buf[off:], text) + 1
			s.Bytes += int64(len(text))
		}
		s.N = len(b.Records) - s.First
		b.Segments = append(b.Segments, s)
	}
	return b
}

func bodies(blocks ...*pipeline.Block) (n int64) {
	for _, b := range blocks {
		for i := range b.Segments {
			n += b.Segments[i].Bytes
		}
	}
	return n
}

// BenchmarkAppend writes requests of four blocks to a real folder, synced.
func BenchmarkAppend(b *testing.B) {
	blocks := []*pipeline.Block{logBlock(1), logBlock(2), logBlock(3), logBlock(4)}
	pieces := piecesOf(blocks...)
	g := newRig(b, Options{Dir: b.TempDir(), MaxBytes: 256 << 20, DropOldest: true})
	b.SetBytes(bodies(blocks...))
	b.ReportAllocs()
	for b.Loop() {
		if err := g.Append(pieces); err != nil {
			b.Fatal(err)
		}
	}
	f := g.Figures()
	b.ReportMetric(float64(bodies(blocks...))*float64(b.N)/float64(f.Bytes), "log-bytes/disk-byte")
	g.Close()
}

// BenchmarkPack is all of an Append but the disk.
func BenchmarkPack(b *testing.B) {
	blocks := []*pipeline.Block{logBlock(1), logBlock(2), logBlock(3), logBlock(4)}
	pieces := piecesOf(blocks...)
	var p parcel
	b.SetBytes(bodies(blocks...))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.pack(pieces, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(bodies(blocks...))/float64(p.size()), "log-bytes/disk-byte")
}

// BenchmarkFill reads whole records into blocks and settles them.
func BenchmarkFill(b *testing.B) {
	block := logBlock(1)
	pieces := piecesOf(block)
	g := newRig(b, Options{Dir: b.TempDir()})
	for range 256 {
		if err := g.Append(pieces); err != nil {
			b.Fatal(err)
		}
	}
	begin := g.main
	into := pipeline.NewBlock(256<<10, 260<<10)
	b.SetBytes(bodies(block))
	b.ReportAllocs()
	for b.Loop() {
		into.Reset()
		g.reader.Fill(into)
		if len(into.Records) != len(block.Records) {
			b.Fatalf("%d records, want %d", len(into.Records), len(block.Records))
		}
		g.settleAll(into, pipeline.Unsent)
		for _, t := range g.targets { // all over again
			t.aside, t.attempts = false, 0
		}
		if g.aside = nil; g.through() {
			g.main = begin
		}
	}
	g.Close()
}
