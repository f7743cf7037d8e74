package spool

import (
	"reflect"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// TestRoundTrip: what comes out is what went in, in every field, in this life and the next.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	g := newRig(t, Options{Dir: dir})
	host := &pipeline.LaneTarget{Target: &pipeline.Target{Key: "/var/log/\xff.log", Path: "/var/log/\xff.log", Node: "n", Raw: true}}
	pod := &pipeline.LaneTarget{Target: aTarget(1)}
	b := pipeline.NewBlock(8<<10, 8<<10)
	addSegment(b, pod, 0, 10, 5)
	addSegment(b, host, 1, 7, 0)
	addSegment(b, pod, 10, 10, 0) // a range of the file without a line
	addSegment(b, pod, 13, 20, 200)
	if err := g.Append(piecesOf(b)); err != nil {
		t.Fatal(err)
	}
	for i := range b.Segments {
		if b.Segments[i].Spooled != 1 {
			t.Errorf("segment %d: record %d", i, b.Segments[i].Spooled)
		}
	}
	covered := 0
	check := func(g *rig) {
		t.Helper()
		got := g.fill(16 << 10)
		if got == nil || len(got.Segments) != len(b.Segments) {
			t.Fatalf("got %+v", got)
		}
		for i := range b.Segments {
			want, have := b.Segments[i], got.Segments[i]
			if !reflect.DeepEqual(have.Target.Target, want.Target.Target) {
				t.Errorf("target %+v, want %+v", have.Target.Target, want.Target.Target)
			}
			for j := range b.Of(&want) {
				w, h := b.Of(&want)[j], got.Of(&have)[j]
				if string(got.Body(&h)) != string(b.Body(&w)) {
					t.Errorf("segment %d line %d: %q, want %q", i, j, got.Body(&h), b.Body(&w))
				}
				if w.Off, h.Off = 0, 0; w != h {
					t.Errorf("segment %d line %d: %+v, want %+v", i, j, h, w)
				}
			}
			want.Target, have.Target, have.Mark, want.Spooled = nil, nil, nil, 0
			want.First = have.First
			if !reflect.DeepEqual(want, have) {
				t.Errorf("segment %d: %+v\nwant %+v", i, have, want)
			}
		}
	}
	check(g)
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	g = newRig(t, Options{Dir: dir, State: nil, Cover: func(key string, s *pipeline.Segment) {
		want := b.Segments[covered]
		covered++
		if key != want.Target.Key || s.Generation != want.Generation || s.End != want.End || s.Skip != want.Skip ||
			s.Time != want.Time || s.Spooled != 1 || !reflect.DeepEqual(s.Parts, want.Parts) {
			t.Errorf("covered %s %+v, want %+v", key, s, want)
		}
	}})
	if covered != len(b.Segments) {
		t.Errorf("%d segments were covered", covered)
	}
	check(g)
	if f := g.Figures(); f.Left != 0 || f.Oldest != 1e18 || f.Bytes == 0 || f.Records != 0 {
		t.Errorf("%+v", f)
	}
	if sum := g.sum(); sum.Read.Lines != 23 || sum.Pending != sum.Read {
		t.Errorf("%+v", sum)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}
