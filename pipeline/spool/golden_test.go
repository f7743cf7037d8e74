package spool

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/leatd/leat/pipeline"
)

var updateFlag = flag.Bool("update", false, "write testdata anew")

const golden = "testdata/version1.spool"

// goldenBlock is what is in the golden file, as one record of two that one Append has written.
func goldenBlock(i int64) *pipeline.Block {
	b := pipeline.NewBlock(4<<10, 4<<10)
	addSegment(b, &pipeline.LaneTarget{Target: aTarget(int(i))}, 10*i, 10*i+7, 10)
	addSegment(b, &pipeline.LaneTarget{Target: &pipeline.Target{Key: "/var/log/a", Path: "/var/log/a", Raw: true}}, 10*i, 10*i+3, 10)
	return b
}

// TestGolden: what a released version has written can be read for ever.
func TestGolden(t *testing.T) {
	if *updateFlag {
		var p parcel
		if err := p.pack(piecesOf(goldenBlock(0), goldenBlock(1)), 1); err != nil {
			t.Fatal(err)
		}
		text := p.finish(&file{fileHead: fileHead{mark([]byte("leatmark")), 1}}, true)
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	d := newMemDisk()
	d.names["spool/0000000000000001.spool"] = &inode{text, text}
	g := newRig(t, Options{disk: d})
	b := g.fill(16 << 10)
	if b == nil || len(b.Segments) != 4 || g.Figures().Damaged > 0 {
		t.Fatalf("%+v, %+v", b, g.Figures())
	}
	for i := range b.Segments {
		s, want := &b.Segments[i], goldenBlock(int64(i/2))
		from := &want.Segments[i%2]
		if fmt.Sprintf("%+v", s.Target.Target) != fmt.Sprintf("%+v", from.Target.Target) || s.Generation != from.Generation ||
			s.Start != from.Start || s.End != from.End || s.N != from.N || s.Any != from.Any || s.Time != from.Time {
			t.Errorf("segment %d: %+v, want %+v", i, s, from)
		}
		for j := range b.Of(s) {
			if got, want := b.Body(&b.Of(s)[j]), want.Body(&want.Of(from)[j]); !bytes.Equal(got, want) {
				t.Errorf("segment %d line %d: %q, want %q", i, j, got, want)
			}
		}
	}
}

// TestNoAllocations: appending and reading back settle into their buffers.
func TestNoAllocations(t *testing.T) {
	g := newRig(t, Options{Dir: t.TempDir()})
	pieces := piecesOf(logBlock(1))
	add := func() {
		if err := g.Append(pieces); err != nil {
			t.Fatal(err)
		}
	}
	into := pipeline.NewBlock(256<<10, 260<<10)
	read := func() {
		into.Reset()
		g.reader.Fill(into)
		if len(into.Segments) == 0 {
			t.Fatal("nothing to read")
		}
		g.settleAll(into, pipeline.Delivered)
	}
	add()
	if n := testing.AllocsPerRun(60, add); n > 0 {
		t.Errorf("an append makes %v allocations", n)
	}
	read()
	if n := testing.AllocsPerRun(40, read); n > 0 {
		t.Errorf("a block that is read and settled makes %v allocations", n)
	}
	g.Close()
}
