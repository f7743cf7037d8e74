package pipeline

import (
	"strings"
	"testing"
	"time"
)

// TestRecordThatGetsA5xxInTheSpool: a lane that is diverted because of one record gets rid of it, and goes straight again.
func TestRecordThatGetsA5xxInTheSpool(t *testing.T) {
	dead := &box{}
	onSpool(t, func(o *Options, _ *fakeSpool) { wide(dead)(o) }, func(b *bench, s *fakeSpool) {
		store := &taking{answer: unless("bad", broken)}
		lines := numbered("a", 50, 20) + " " + numbered("b", 50)
		b.together(lines, store.take)
		b.after(2 * time.Minute)
		t.Log(b.sink.requests(true))
		t.Log(b.logged.take())
		if got := strings.Join(dead.letters(), " "); got != "a:020bad" {
			t.Errorf("lost %q", got)
		}
		if _, diverted, _ := b.lane.SpoolFigures(); diverted {
			t.Error("the lane is still diverted")
		}
	})
}
