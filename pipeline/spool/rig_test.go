package spool

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// aTarget is a container with everything set.
func aTarget(i int) *pipeline.Target {
	return &pipeline.Target{
		Key: fmt.Sprintf("ns_pod-%d_uid-%d/app", i, i), Namespace: "ns", Pod: fmt.Sprint("pod-", i), UID: fmt.Sprint("uid-", i),
		Container: "app", Node: "node-1", Labels: []pipeline.Label{{Name: "cluster", Value: "prod"}, {Name: "team", Value: fmt.Sprint("t", i%3)}},
	}
}

// body is the text of a target's line.
func body(key string, seq int64, pad int) string {
	return fmt.Sprintf("%s %d %0*d", key, seq, pad, seq*7919)
}

// addSegment puts lines from one number to before another into a block, as a tail reader would.
func addSegment(b *pipeline.Block, t *pipeline.LaneTarget, from, to int64, pad int) {
	s := pipeline.Segment{
		Target: t, Generation: pipeline.GenerationID{Restart: int(from % 5), Hash: 0xfeedface<<8 + uint64(from)},
		Start: from, End: to, First: len(b.Records), N: int(to - from), All: 0xff, CutBytes: from % 3,
	}
	for seq := from; seq < to; seq++ {
		head := "2026-01-02T03:04:05.000000001Z stdout F "
		text := body(t.Key, seq, pad)
		off := b.Data + copy(b.Buf[b.Data:], head)
		b.Data = off + copy(b.Buf[off:], text)
		flags := pipeline.Flags(seq % 4)
		b.Records = append(b.Records, pipeline.Record{Time: 1e18 + seq*1e6, Off: uint32(off), Len: uint32(len(text)), Pos: uint32(seq-from) * 100, Flags: flags})
		s.Bytes += int64(len(text))
		s.Any |= flags
		s.All &= flags
		s.Time = 1e18 + seq*1e6
	}
	if from%4 == 1 {
		s.Skip = true
		s.Parts = []pipeline.Part{{Stderr: true, ID: s.Generation, Offset: from, Length: 3}}
	}
	b.Segments = append(b.Segments, s)
}

func piecesOf(blocks ...*pipeline.Block) (out []pipeline.Piece) {
	for _, b := range blocks {
		for i := range b.Segments {
			out = append(out, pipeline.Piece{Block: b, Segment: &b.Segments[i]})
		}
	}
	return out
}

// A rig is a spool with its reader and the rows of the ledger.
type rig struct {
	*Spool
	reader *reader
	rows   []*pipeline.LaneTarget // guarded by Spool.mu, as track is called with it held
	ended  int
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.Dir == "" {
		o.Dir = "spool"
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{Spool: s}
	g.reader = s.Open(func(is *pipeline.Target) *pipeline.LaneTarget {
		lt := &pipeline.LaneTarget{Target: is}
		g.rows = append(g.rows, lt)
		return lt
	}, func(*pipeline.LaneTarget) { g.ended++ }, pipeline.NewBell(), nil).(*reader)
	return g
}

// fill reads into a new block; it is nil if there was nothing to read.
func (g *rig) fill(size int) *pipeline.Block {
	b := pipeline.NewBlock(size, size)
	g.reader.Fill(b)
	if len(b.Segments) == 0 {
		return nil
	}
	return b
}

// settleAll gives all segments one verdict.
func (g *rig) settleAll(b *pipeline.Block, v pipeline.Verdict) {
	for i := range b.Segments {
		b.Segments[i].Verdict = v
	}
	g.reader.Settle(b)
}

// sum is the ledger's, over all rows.
func (g *rig) sum() (f pipeline.Figures) {
	g.mu.Lock()
	rows := slices.Clone(g.rows)
	g.mu.Unlock()
	for _, row := range rows {
		x := row.Account.Snapshot()
		f.Read.Add(x.Read.Lines, x.Read.Bytes)
		f.Delivered.Add(x.Delivered.Lines, x.Delivered.Bytes)
		f.Pending.Add(x.Pending.Lines, x.Pending.Bytes)
		for r := range x.Dropped {
			f.Dropped[r].Add(x.Dropped[r].Lines, x.Dropped[r].Bytes)
		}
	}
	return f
}
