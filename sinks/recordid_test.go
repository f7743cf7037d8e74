package sinks

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// wantID is a record's id, made by the standard library.
func wantID(s *pipeline.Segment, r *pipeline.Record) string {
	h := fnv.New64a()
	t := s.Target.Target
	if t.Container != "" {
		fmt.Fprintf(h, "%s\xff%s\xff", t.UID, t.Container)
	} else {
		fmt.Fprintf(h, "%s\xff%s\xff", t.Node, t.Path)
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(s.Generation.Restart)))
	h.Write(binary.LittleEndian.AppendUint64(nil, s.Generation.Hash))
	return fmt.Sprintf("%016x-%x", h.Sum64(), uint64(s.Start)+uint64(r.Pos))
}

func TestRecordID(t *testing.T) {
	lane := func(t *pipeline.Target) *pipeline.LaneTarget { return &pipeline.LaneTarget{Target: t} }
	gen := pipeline.GenerationID{Restart: 3, Hash: 0x1234}
	elsewhere := *fileTarget
	elsewhere.Node = "node-2"
	renamed := *podTarget // the same pod, known by more
	renamed.Labels, renamed.Node = nil, "node-9"
	cases := []struct {
		segment pipeline.Segment
		pos     uint32
		want    string
	}{
		{pipeline.Segment{Target: lane(podTarget), Generation: gen}, 0, "6d14bf6e4edd7048-0"},
		{pipeline.Segment{Target: lane(&renamed), Generation: gen}, 0, "6d14bf6e4edd7048-0"},
		{pipeline.Segment{Target: lane(podTarget), Generation: gen, Start: 15}, 1, "6d14bf6e4edd7048-10"},
		{pipeline.Segment{Target: lane(podTarget), Generation: gen, Start: 1}, 15, "6d14bf6e4edd7048-10"},
		{pipeline.Segment{Target: lane(podTarget), Generation: gen, Start: math.MaxInt64}, 0, "6d14bf6e4edd7048-7fffffffffffffff"},
		{pipeline.Segment{Target: lane(podTarget), Generation: pipeline.GenerationID{Restart: 4, Hash: 0x1234}}, 0, "-"},
		{pipeline.Segment{Target: lane(podTarget), Generation: pipeline.GenerationID{Restart: 3, Hash: 0x1235}}, 0, "-"},
		{pipeline.Segment{Target: lane(otherTarget), Generation: gen}, 0, "-"},
		{pipeline.Segment{Target: lane(fileTarget), Generation: gen}, 0, "-"},
		{pipeline.Segment{Target: lane(&elsewhere), Generation: gen}, 0, "-"},
	}
	files := map[string]int{}
	for i, c := range cases {
		var m idMaker
		m.begin(&c.segment)
		r := &pipeline.Record{Pos: c.pos}
		have := string(m.append(nil, r))
		if len(have) != m.len(r) || len(have) > maxIDLen {
			t.Errorf("%s: length %d was foretold, at most %d", have, m.len(r), maxIDLen)
		}
		if c.want != "-" && have != c.want {
			t.Errorf("case %d: have %s, want %s", i, have, c.want)
		}
		if std := wantID(&c.segment, r); have != std {
			t.Errorf("case %d: have %s, hash/fnv says %s", i, have, std)
		}
		files[have[:16]]++
	}
	if len(files) != 6 {
		t.Errorf("%d files are told apart, want 6: %v", len(files), files)
	}
}
