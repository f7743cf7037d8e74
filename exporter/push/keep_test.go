package push

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/pipeline"
)

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
		if r.disk.peak != most || f.disk != most || f.pending != 100 || f.dropped[pipeline.SpoolFull] != 300 {
			t.Errorf("%+v", f)
		}
		if n := strings.Count(r.logged.String(), "the spool is full: its oldest metrics are dropped"); n < 1 || n > 3 {
			t.Errorf("log:\n%s", r.logged.String())
		}
		next := r.kill(false, nil)
		s.answers(func(context.Context, string) pipeline.Answer { time.Sleep(2 * time.Second); return ok })
		r = newRig(t, next, 4*8192, s)
		r.Gatherer = gatherer(func() ([]*dto.MetricFamily, error) { time.Sleep(10 * time.Second); return nil, nil })
		r.run()
		r.at(39*interval + 2*time.Second)
		if used := next.used(); used != 4*8192 {
			t.Errorf("the bound is smaller now, and %d bytes are in use", used)
		}
		r.at(40 * interval)
		if f := r.figures(); f.dropped[pipeline.SpoolFull]+f.delivered != f.samples || f.samples < 100 || f.dropped[pipeline.SpoolFull] > 70 {
			t.Errorf("%+v", f)
		}
		r.end(time.Minute)
	})
}

// TestSettledWhileWritten: the file of a body that the store took while it was written goes before the next is written.
func TestSettledWhileWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{pad: 5000}
		s.always(away)
		const most = 2 * 8192
		r := newRig(t, newMemDisk(), most, s)
		r.disk.stop = make(chan struct{})
		r.run()
		r.at(time.Second)
		s.answers(func(ctx context.Context, n string) pipeline.Answer {
			if strings.HasPrefix(n, "1@") {
				return ok
			}
			return hang(ctx, n)
		})
		r.at(31 * time.Second)
		expect(t, "taken", s.got(), "1@0")
		close(r.disk.stop)
		r.at(32 * time.Second)
		expect(t, "files", r.files(), "2-946684815000-10.push 3-946684830000-10.push")
		r.end(0)
		if r.disk.peak != most {
			t.Errorf("once %d bytes were in use", r.disk.peak)
		}
	})
}

// TestSettledBeforeWritten: a body that the store takes while the keeper makes room for it leaves no file.
func TestSettledBeforeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{pad: 5000}
		s.always(away)
		d := newMemDisk()
		r := newRig(t, d, 8192, s).run()
		r.at(14 * time.Second)
		expect(t, "files", r.files(), "1-946684800000-10.push")
		stop := make(chan struct{})
		d.mu.Lock()
		d.stop = stop // at the removal of the first
		d.mu.Unlock()
		r.at(16 * time.Second)
		s.always(ok)
		r.at(50 * time.Second)
		expect(t, "taken", s.got(), "2@15 3@30 4@45")
		close(stop)
		r.at(51 * time.Second)
		expect(t, "files", r.files(), "")
		r.end(time.Minute)
	})
}

// TestRoomOfLitter: no body is dropped for the room that settled ones still take.
func TestRoomOfLitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{pad: 5000}
		s.always(away)
		d := newMemDisk()
		r := newRig(t, d, 3*8192, s).run()
		r.at(29 * time.Second)
		stop := make(chan struct{})
		d.mu.Lock()
		d.stop = stop // in the middle of the third
		d.mu.Unlock()
		r.at(31 * time.Second)
		s.answers(func(ctx context.Context, n string) pipeline.Answer {
			if strings.HasPrefix(n, "1@") {
				return ok
			}
			return away
		})
		d.mu.Lock()
		d.stop = nil // the sender may read
		d.mu.Unlock()
		r.at(58 * time.Second)
		expect(t, "taken", s.got(), "1@0")
		close(stop)
		r.at(59 * time.Second)
		expect(t, "files", r.files(), "2-946684815000-10.push 3-946684830000-10.push 4-946684845000-10.push")
		r.end(0)
	})
}

// TestDiskFails: bodies wait in memory, as many as there is room for, and go to the disk when that works again.
func TestDiskFails(t *testing.T) {
	for _, op := range []string{"mkdir", "create", "write", "sync", "close", "rename", "sync folder"} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeSink{pad: 300 << 10}
			s.always(away)
			d := newMemDisk()
			d.breaks(op)
			r := newRig(t, d, 1<<30, s).run()
			for i := range 12 {
				r.at(time.Duration(i)*interval + time.Second)
			}
			f := r.figures() // six fit, and the newest beside them
			if f.pending != 60 && f.pending != 70 || f.pending+f.dropped[pipeline.SpoolFull] != 120 || f.disk != 0 || r.files() != "" {
				t.Errorf("%s: %+v, %s", op, f, r.files())
			}
			for _, want := range []string{"metrics cannot be kept on disk: they wait in memory", "metrics wait in memory and there is no more room"} {
				if n := strings.Count(r.logged.String(), want); n != 1 {
					t.Errorf("%s: %q is there %d times", op, want, n)
				}
			}
			d.breaks()
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

// TestLitter: what a failed write has left is removed when the body is settled, as soon as the disk allows it.
func TestLitter(t *testing.T) {
	for _, c := range []struct {
		name  string
		ops   []string
		files string
	}{
		{"not all of it is there", []string{"write", "remove"}, "1-946684800000-10.push.tmp"},
		{"it has its name, and nobody knows for how long", []string{"sync folder"}, "1-946684800000-10.push"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeSink{}
			s.always(away)
			d := newMemDisk()
			r := newRig(t, d, 1<<20, s)
			r.targets[0].made = true // else it is the making of the folder that fails
			d.breaks(c.ops...)
			r.run()
			r.at(time.Second)
			expect(t, c.name, r.files(), c.files)
			s.always(ok)
			r.at(4 * time.Second)
			expect(t, c.name, s.got(), "1@0")
			d.breaks()
			r.at(14 * time.Second)
			expect(t, c.name, r.files(), "")
			r.end(time.Minute)
		})
	}
}

// TestRemoveFails: files that cannot be removed count, and keep no others from being written while there is room.
func TestRemoveFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{}
		s.always(away)
		d := newMemDisk()
		r := newRig(t, d, 2*4096, s).run()
		d.breaks("remove")
		r.at(time.Second)
		s.always(ok)
		r.at(29 * time.Second)
		expect(t, "taken", s.got(), "1@0 2@15")
		s.always(away)
		r.at(59 * time.Second)
		expect(t, "files", r.files(), "1-946684800000-10.push 3-946684830000-10.push")
		if f := r.figures(); f.pending != 20 || f.disk != 2*4096 {
			t.Errorf("%+v", f)
		}
		d.breaks()
		r.at(74 * time.Second)
		expect(t, "files when they can be", r.files(), "4-946684845000-10.push 5-946684860000-10.push")
		r.end(0)
	})
}

// TestFolderRemoved: a folder that somebody removed is made again.
func TestFolderRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{}
		s.always(away)
		d := newMemDisk()
		r := newRig(t, d, 1<<20, s).run()
		r.at(14 * time.Second)
		d.mu.Lock()
		removed := true
		d.fail = func(_ int, op string) error {
			if removed = removed && op != "mkdir"; removed {
				return fs.ErrNotExist
			}
			return nil
		}
		d.mu.Unlock()
		r.at(29 * time.Second)
		if f := r.figures(); f.disk != 2*4096 {
			t.Errorf("%+v", f)
		}
		r.end(0)
	})
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
