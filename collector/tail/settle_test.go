package tail

import (
	"testing"
	"time"

	"github.com/leatd/leat/pipeline"
)

// TestBackWaits: a target that the store sends back again and again waits twice as long each time, and no less than the
// store asks for. One that the lane itself held waits as long as it says, whatever came before, and no failure is counted.
func TestBackWaits(t *testing.T) {
	h := newHolding(t, 1<<30, time.Hour)
	h.set.jitter = func(time.Duration) time.Duration { return 0 }
	h.write("0.log", out("one"))
	h.turns(5)
	l := h.lanes[1]
	s := l.shards[0]
	src := l.lane.sources[h.set.logs["k"]]
	b := pipeline.NewBlock(h.size, h.opts.MaxLine)
	first := h.set.times.back
	for _, tt := range []struct {
		name        string
		paced       bool
		after, want time.Duration
	}{
		{"a first failure", false, 0, first / 2},
		{"a second", false, 0, first},
		{"held", true, 10 * time.Millisecond, 10 * time.Millisecond},
		{"held for no time", true, 0, 0},
		{"held for long", true, time.Hour, time.Hour},
		{"a third failure", false, 0, 2 * first},
		{"asked to wait longer", false, time.Hour, time.Hour},
		{"held again", true, time.Second, time.Second},
	} {
		h.now = src.wait.Add(-time.Nanosecond)
		if s.reader.Fill(b); len(b.Segments) > 0 {
			t.Fatalf("%s: read too early", tt.name)
		}
		h.now = src.wait
		if s.reader.Fill(b); len(b.Segments) != 1 {
			t.Fatalf("%s: nothing is read when the wait is over", tt.name)
		}
		seg := &b.Segments[0]
		seg.Verdict, seg.Paced, seg.RetryAfter = pipeline.Back, tt.paced, tt.after
		s.reader.Settle(b)
		b.Reset()
		if wait := src.wait.Sub(h.now); wait != tt.want {
			t.Errorf("%s: waits %s, want %s", tt.name, wait, tt.want)
		}
	}
	l.floor[l.rows[0]] = src.epoch
	h.stall = false
	h.turns(10)
	if got := l.got["k"]; got == nil || len(got[0]) != 1 || got[0][0].body != "one" {
		t.Errorf("got %v in the end", got)
	}
}
