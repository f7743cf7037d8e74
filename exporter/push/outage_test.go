package push

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/pipeline"
)

// TestOutage: from the first failure on, what waits is on disk; when the store is back all of it arrives in order, and the
// disk is empty.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{}
		r := newRig(t, newMemDisk(), 1<<20, s).run()
		r.at(10 * time.Second)
		s.always(away)
		r.at(16 * time.Second)
		expect(t, "files after a second", r.files(), "2-946684815000-10.push")
		r.at(10 * time.Minute)
		if f := r.figures(); f.pending != 400 || f.disk != 40*4096 || !f.down || f.requests["error"] < 20 || f.retries != f.requests["error"]-1 {
			t.Errorf("%+v", f)
		}
		s.always(ok)
		r.at(10*time.Minute + 40*time.Second)
		if f := r.figures(); f.pending != 0 || f.disk != 0 || f.down || f.oldest != 0 || f.retries != f.requests["error"] {
			t.Errorf("%+v", f)
		}
		expect(t, "files", r.files(), "")
		var want []string
		for i := range 43 {
			want = append(want, fmt.Sprintf("%d@%d", i+1, 15*i))
		}
		expect(t, "sent", s.got(), strings.Join(want, " "))
		r.end(time.Minute)
		log := r.logged.String()
		if n := strings.Count(log, `msg="sink does not take metrics; they wait and are tried again" sink=s0 error="central: connection refused" failures=`); n < 2 || n > 3 ||
			strings.Count(log, `msg="sink takes metrics again" sink=s0 after=`) != 1 || strings.Count(log, "\n") != n+1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

// TestSlowStore: what the store has not taken by the next gathering is put on disk.
func TestSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{answer: hang}
		r := newRig(t, newMemDisk(), 1<<20, s).run()
		r.at(14 * time.Second)
		expect(t, "files before the next gathering", r.files(), "")
		r.at(15 * time.Second)
		expect(t, "files", r.files(), "1-946684800000-10.push 2-946684815000-10.push")
		r.end(0)
		expect(t, "files at the end", r.files(), "1-946684800000-10.push 2-946684815000-10.push 3-946684815001-10.push 4-946684815002-10.push")
	})
}

// TestLateGathering: a last gathering that comes when the time to drain is up is kept all the same.
func TestLateGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemDisk(), 1<<20, &fakeSink{answer: hang})
		r.Gatherer = gatherer(func() ([]*dto.MetricFamily, error) { time.Sleep(time.Second); return nil, nil })
		r.run()
		r.at(14 * time.Second)
		r.end(0)
		expect(t, "files", r.files(), "1-946684800000-10.push 2-946684814000-10.push 3-946684815000-10.push")
		expect(t, "log", r.logged.String(), "")
	})
}

// TestBacklogAtEnd: a store that is well gets what waits on disk for it until the time to drain is up.
func TestBacklogAtEnd(t *testing.T) {
	for _, c := range []struct {
		drain, took time.Duration // 0: what it needs
		left        bool
	}{{10 * time.Minute, 0, false}, {25 * time.Second, 25 * time.Second, true}} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeSink{}
			s.always(away)
			r := newRig(t, newMemDisk(), 1<<20, s).run()
			r.at(5 * time.Minute)
			s.answers(func(ctx context.Context, _ string) pipeline.Answer {
				select {
				case <-ctx.Done():
					return away
				case <-time.After(10 * time.Second):
					return ok
				}
			})
			r.at(5*time.Minute + 50*time.Second) // at least one is taken by now
			before := r.figures()
			if before.delivered == 0 || before.pending < 150 {
				t.Fatalf("%+v", before)
			}
			took := r.end(c.drain)
			if f := r.figures(); (f.pending > 0) != c.left || f.delivered < before.delivered+20 || c.took > 0 && took != c.took {
				t.Errorf("%v: %v, %+v", c.drain, took, f)
			}
		})
	}
}

// TestRestart: what an earlier life has left goes first, with its own times, and is in the account from the start.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{}
		s.always(down)
		r := newRig(t, newMemDisk(), 1<<20, s).run()
		r.at(31 * time.Second)
		next := r.kill(false, nil)
		s.always(ok)
		r = newRig(t, next, 1<<20, s)
		if f := r.figures(); f.samples != 30 || f.pending != 30 || f.disk != 3*4096 || f.oldest != start.UnixMilli() {
			t.Errorf("%+v", f)
		}
		r.run()
		r.at(46 * time.Second)
		expect(t, "sent", s.got(), "1@0 2@15 3@30 5@31 6@46") // the fourth was in the memory of who was killed
		expect(t, "files", r.files(), "")
		r.end(time.Minute)
		if f := r.figures(); f.samples != 70 || f.delivered != 70 {
			t.Errorf("%+v", f)
		}
	})
}

// TestEnd: what becomes of what is left when leatd is told to stop, and how long that takes.
func TestEnd(t *testing.T) {
	const all = "1-946684800000-10.push 2-946684815000-10.push 3-946684820000-10.push 4-946684820001-10.push"
	slow := func(context.Context, string) pipeline.Answer { time.Sleep(4 * time.Second); return ok }
	for _, c := range []struct {
		name            string
		maxBytes        int64
		answer          func(context.Context, string) pipeline.Answer
		took            time.Duration
		delivered, kept int64
		files           string
	}{
		{"a store that takes all", 1 << 20, nil, 0, 40, 0, ""},
		{"one that is slow, and done in time", 1 << 20, slow, 8*time.Second - time.Second, 40, 0, ""},
		{"one that fails", 1 << 20, func(context.Context, string) pipeline.Answer { return down }, 0, 0, 40, all},
		{"one that hangs", 1 << 20, hang, 9 * time.Second, 0, 40, all},
		{"one that answers as the time is up", 1 << 20, func(ctx context.Context, _ string) pipeline.Answer { <-ctx.Done(); return ok }, 9 * time.Second, 10, 30,
			strings.SplitN(all, " ", 2)[1]},
		{"one that fails, without a spool", 0, func(context.Context, string) pipeline.Answer { return down }, 9 * time.Second, 0, 40, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeSink{answer: c.answer}
			r := newRig(t, newMemDisk(), c.maxBytes, s).run()
			r.at(20 * time.Second)
			took := r.end(9 * time.Second)
			if f := r.figures(); f.delivered != c.delivered || f.pending != c.kept || took > c.took+time.Second || took < c.took {
				t.Errorf("%s: %v, %+v", c.name, took, f)
			}
			expect(t, c.name, r.files(), c.files)
			if loss := strings.Contains(r.logged.String(), `msg="leatd stops with metrics that it could neither deliver nor keep" sink=s0 samples=40`); loss != (c.files == "" && c.kept > 0) {
				t.Errorf("%s: log:\n%s", c.name, r.logged.String())
			}
		})
	}
}
