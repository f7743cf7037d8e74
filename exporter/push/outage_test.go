package push

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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
		if f := r.figures(); f.pending != 0 || f.disk != 0 || f.down || f.oldest != 0 {
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

// TestSpoolFull: the oldest go, and are counted; the bound holds at every moment, also one that has become smaller.
func TestSpoolFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{pad: 5000}
		s.always(away)
		const most = 10 * 8192
		r := newRig(t, newMemDisk(), most, s).run()
		for i := range 40 {
			r.at(time.Duration(i)*interval + time.Second)
			if used := r.disk.used(); used > most {
				t.Fatalf("after %d gatherings %d bytes are in use", i+1, used)
			}
		}
		f := r.figures()
		if f.disk != most || f.pending != 100 || f.dropped[pipeline.SpoolFull] != 300 {
			t.Errorf("%+v", f)
		}
		if n := strings.Count(r.logged.String(), "the spool is full: its oldest metrics are dropped"); n < 1 || n > 3 {
			t.Errorf("log:\n%s", r.logged.String())
		}
		next := r.kill(false, nil)
		s.always(ok)
		r = newRig(t, next, 4*8192, s).run()
		r.at(40 * interval)
		if f := r.figures(); f.dropped[pipeline.SpoolFull]+f.delivered != f.samples || f.samples < 100 || f.dropped[pipeline.SpoolFull] > 70 {
			t.Errorf("%+v", f)
		}
		r.end(time.Minute)
	})
}

// TestDiskFails: bodies wait in memory, as many as there is room for, and go to the disk when that works again.
func TestDiskFails(t *testing.T) {
	for _, op := range []string{"mkdir", "create", "write", "sync", "close", "rename", "sync folder"} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeSink{pad: 300 << 10}
			s.always(away)
			d := newMemDisk()
			d.fail = func(_ int, now string) error {
				if now == op {
					return errDisk
				}
				return nil
			}
			r := newRig(t, d, 1<<30, s).run()
			for i := range 12 {
				r.at(time.Duration(i)*interval + time.Second)
			}
			f := r.figures() // six fit, and the newest beside them
			if f.pending != 60 && f.pending != 70 || f.pending+f.dropped[pipeline.SpoolFull] != 120 || f.disk != 0 {
				t.Errorf("%s: %+v", op, f)
			}
			for _, want := range []string{"metrics cannot be kept on disk: they wait in memory", "metrics wait in memory and there is no more room"} {
				if n := strings.Count(r.logged.String(), want); n != 1 {
					t.Errorf("%s: %q is there %d times", op, want, n)
				}
			}
			d.mu.Lock()
			d.fail = nil
			d.mu.Unlock()
			pending := f.pending
			r.at(12*interval - time.Second)
			if f := r.figures(); f.disk == 0 || f.pending != pending || !strings.Contains(r.logged.String(), "metrics can be kept on disk again") {
				t.Errorf("%s: %+v\n%s", op, f, r.logged.String())
			}
			s.always(ok)
			r.at(15 * interval)
			r.end(time.Minute)
			if f := r.figures(); f.pending != 0 || f.disk != 0 || r.files() != "" {
				t.Errorf("%s: %+v, %s", op, f, r.files())
			}
		})
	}
}

// TestTooLarge: a request that is larger than the spool costs itself at the most.
func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{pad: 5000}
		s.always(away)
		r := newRig(t, newMemDisk(), 4096, s).run()
		r.at(31 * time.Second)
		if f := r.figures(); f.pending != 30 || f.disk != 0 || !strings.Contains(r.logged.String(), "spool.max_bytes (4096) is less than one request takes (8192): give it more") {
			t.Errorf("%+v\n%s", f, r.logged.String())
		}
		s.always(ok)
		r.at(75 * time.Second)
		r.end(time.Minute)
		if f := r.figures(); f.delivered != f.samples {
			t.Errorf("%+v", f)
		}
	})
}

// TestSpoolOff: what an earlier life has left is sent, and nothing is written.
func TestSpoolOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{}
		s.always(down)
		r := newRig(t, newMemDisk(), 1<<20, s).run()
		r.at(20 * time.Second)
		d := r.kill(false, nil)
		r = newRig(t, d, 0, s).run()
		r.at(40 * time.Second)
		expect(t, "files", r.files(), "1-946684800000-10.push 2-946684815000-10.push")
		s.always(ok)
		r.at(80 * time.Second)
		expect(t, "files", r.files(), "")
		r.end(time.Minute)
		expect(t, "sent", s.got()[:9], "1@0 2@15 ")
	})
}
