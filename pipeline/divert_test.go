package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// onSpool runs a test on a bench whose lane has a spool.
func onSpool(t *testing.T, change func(o *Options, s *fakeSpool), test func(b *bench, s *fakeSpool)) {
	t.Helper()
	s := newFakeSpool()
	onBench(t, func(o *Options) {
		o.Spool = s
		if change != nil {
			change(o, s)
		}
	}, func(b *bench) { test(b, s) })
}

func always(a Answer) func(context.Context, string) Answer {
	return func(context.Context, string) Answer { return a }
}

// balance adds up a target's rows: the reader's and the spool's.
func (b *bench) balance(key string) (sum Figures) {
	b.t.Helper()
	for _, row := range b.lane.Rows(nil) {
		checkIdentity(b.t, key, row.Figures)
		if row.Target.Key == key {
			sum.Read.Add(row.Read.Lines, row.Read.Bytes)
			sum.Delivered.Add(row.Delivered.Lines, row.Delivered.Bytes)
			sum.Pending.Add(row.Pending.Lines, row.Pending.Bytes)
		}
	}
	return sum
}

// TestDivert: a failure of some seconds is no reason to go to the disk; a longer one is. What was under way goes first,
// the cursor moves, the lines stay pending. When the store is back everything arrives in order, once, and then the lines
// go straight again.
func TestDivert(t *testing.T) {
	onSpool(t, nil, func(b *bench, s *fakeSpool) {
		b.sink.set(always(down))
		b.in.add("a", "1", "2")
		b.after(2 * time.Second)
		b.in.add("a", "3")
		if got := s.took(); got != "" {
			t.Errorf("in the spool after 2 s: %s", got)
		}
		b.after(4 * time.Second)
		if got, want := s.took(), "a 1 2\na 3\n"; got != want {
			t.Errorf("in the spool are %q, want %q", got, want)
		}
		b.home("a[0:2] in_spool\na[2:3] in_spool")
		b.logged.take()
		b.in.add("b", "4")
		b.in.add("a", "5")
		b.after(time.Minute)
		b.home("a[3:4] in_spool\nb[0:1] in_spool")
		s.took()
		if f := b.balance("a"); f.Read.Lines != 4 || f.Pending.Lines != 4 || f.Delivered.Lines != 0 {
			t.Errorf("%+v", f)
		}
		if got := reopen(t, b.store); got["a"] != 4 {
			t.Errorf("saved %v", got)
		}
		again, err := OpenStore(b.store.dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(again.SpoolState()); got != `{"at":1,"next":5}` || s.saved == 0 || again.Spooled() != 4 {
			t.Errorf("saved %s with %d as the highest record, and the spool was told %d times", got, again.Spooled(), s.saved)
		}
		for _, line := range strings.Split(b.sink.requests(false), "\n") {
			if line != "a:1" && line != "a:1 a:2" && line != "a:1 a:2 a:3" { // the first by itself: is it the line's fault?
				t.Errorf("sent %q, which waits behind the first", line)
			}
		}
		b.sink.set(nil)
		b.after(time.Minute)
		if got := strings.Join(strings.Fields(b.sink.requests(false)), " "); got != "a:1 a:2 a:3 a:5 b:4" {
			t.Errorf("sent %s", got)
		}
		if f := b.balance("a"); f.Pending.Lines != 0 || f.Delivered.Lines != 4 || f.Pending.Bytes != 0 {
			t.Errorf("%+v", f)
		}
		if _, diverted, configured := b.lane.SpoolFigures(); diverted || !configured {
			t.Error("the lane is still diverted")
		}
		if got := b.logged.take(); !strings.Contains(got, `msg="the spool is empty: lines go straight to the sink again" sink=s after=1m`) {
			t.Errorf("logged %s", got)
		}
		b.in.add("a", "6")
		b.after(time.Second)
		b.sent("a:6")
		b.home("a[4:5] delivered")
		if got := s.took(); got != "" {
			t.Errorf("in the spool: %s", got)
		}
	})
}

// TestDivertOutOfARefusal: a request is being taken apart when the store goes.
func TestDivertOutOfARefusal(t *testing.T) {
	onSpool(t, nil, func(b *bench, s *fakeSpool) {
		b.sink.set(func(_ context.Context, body string) Answer {
			if strings.Contains(body, "bad") {
				return Answer{Outcome: Refused, Code: "400", Err: down.Err}
			}
			return down
		})
		b.in.add("a", "1", "bad", "2")
		b.in.add("b", "3")
		b.after(time.Minute)
		b.sink.set(func(_ context.Context, body string) Answer {
			if strings.Contains(body, "bad") {
				return Answer{Outcome: Refused, Code: "400", Err: down.Err}
			}
			return accepted
		})
		b.after(time.Minute)
		if a, bb := b.balance("a"), b.balance("b"); a.Pending.Lines != 0 || bb.Delivered.Lines != 1 {
			t.Errorf("%+v %+v", a, bb)
		}
		b.sink.requests(false)
		b.in.add("b", "4")
		b.after(time.Second)
		b.sent("b:4")
	})
}

// TestDivertedStart: what an earlier life left in the spool goes before all else.
func TestDivertedStart(t *testing.T) {
	onSpool(t, func(_ *Options, s *fakeSpool) {
		s.records = []*fakeRecord{{number: 1, key: "a", lines: []string{"old"}, segment: Segment{N: 1}}}
		s.next = 2
	}, func(b *bench, s *fakeSpool) {
		b.in.add("a", "new")
		b.after(time.Minute)
		if got := b.sink.requests(false); !strings.HasPrefix(got, "a:old") || !strings.HasSuffix(got, "a:new") {
			t.Errorf("sent %s", got)
		}
	})
}

// TestSpoolFull: the sender waits with its blocks, the files wait, nobody spins; when there is room it goes on.
func TestSpoolFull(t *testing.T) {
	onSpool(t, func(_ *Options, s *fakeSpool) { s.max = 3 }, func(b *bench, s *fakeSpool) {
		b.sink.set(always(down))
		b.in.add("a", fill(0, 500)...)
		b.after(time.Hour)
		f := b.balance("a")
		if f.Read.Lines == 500 || f.Pending != f.Read {
			t.Errorf("%+v, and the spool is full", f)
		}
		b.beats.allWait(t)
		var asked int
		s.set(func() { asked = s.asked })
		if asked > 5*3600+100 {
			t.Errorf("asked %d times in an hour", asked)
		}
		if got := b.logged.take(); strings.Count(got, "the spool is full") != 1 {
			t.Errorf("logged %s", got)
		}
		b.sink.set(nil)
		b.after(2 * time.Minute)
		if f := b.balance("a"); f.Delivered.Lines != 500 || f.Pending.Lines != 0 {
			t.Errorf("%+v", f)
		}
		if got := strings.Fields(b.sink.requests(false)); got[len(got)-1] != "a:"+fill(499, 500)[0] {
			t.Errorf("the last was %s", got[len(got)-1])
		}
	})
}

// TestSpoolDiskFails: with nothing in it the lane does without its spool; with something in it the senders wait.
func TestSpoolDiskFails(t *testing.T) {
	onSpool(t, func(_ *Options, s *fakeSpool) { s.fail = errSpoolDisk }, func(b *bench, s *fakeSpool) {
		b.sink.set(always(down))
		b.in.add("a", "1")
		b.after(10 * time.Second)
		if _, diverted, _ := b.lane.SpoolFigures(); diverted {
			t.Error("diverted to a spool that takes nothing")
		}
		if got := b.logged.take(); !strings.Contains(got, "the spool cannot be written: lines wait in their files") {
			t.Errorf("logged %s", got)
		}
		b.after(20 * time.Minute)
		var asked int
		s.set(func() { asked = s.asked })
		if asked < 10 || asked > 45 {
			t.Errorf("the spool was asked %d times in 20 minutes", asked)
		}
		s.set(func() { s.fail = nil })
		b.after(2 * time.Minute)
		b.home("a[0:1] in_spool")
		s.set(func() { s.fail = errSpoolDisk })
		b.in.add("a", "2")
		b.after(time.Minute)
		if f := b.balance("a"); f.Pending.Lines != 2 {
			t.Errorf("%+v", f)
		}
		b.home("")
		s.set(func() { s.fail = nil })
		b.after(time.Second)
		b.home("a[1:2] in_spool")
		b.sink.set(nil)
		b.after(time.Minute)
		if f := b.balance("a"); f.Delivered.Lines != 2 {
			t.Errorf("%+v", f)
		}
	})
}

// TestDivertEndsUnderLoad: a log that never rests doesn't keep the lane diverted for ever.
func TestDivertEndsUnderLoad(t *testing.T) {
	onSpool(t, nil, func(b *bench, s *fakeSpool) {
		b.sink.set(always(down))
		b.in.add("a", fill(0, 100)...)
		b.after(10 * time.Second)
		b.sink.set(func(context.Context, string) Answer { time.Sleep(20 * time.Millisecond); return accepted })
		n := 100
		for range 18000 { // three minutes, at nearly all that the store can take
			b.in.add("a", fill(n, n+6)...)
			n += 6
			b.after(10 * time.Millisecond)
		}
		if _, diverted, _ := b.lane.SpoolFigures(); diverted {
			t.Error("still diverted")
		}
		b.after(10 * time.Second)
		if f := b.balance("a"); f.Delivered.Lines != int64(n) {
			t.Errorf("%+v, want %d delivered", f, n)
		}
		next := 0
		for _, line := range strings.Fields(b.sink.requests(false)) {
			if line == fmt.Sprintf("a:line%06d", next) {
				next++
			}
		}
		if next != n {
			t.Errorf("%d came in order, want %d", next, n)
		}
	})
}

// TestSpoolThrottled: a container that the store throttles stays in the spool; the others don't wait for it.
func TestSpoolThrottled(t *testing.T) {
	onSpool(t, nil, func(b *bench, s *fakeSpool) {
		b.sink.set(always(down))
		b.in.add("hot", "1")
		b.in.add("a", "2")
		b.after(10 * time.Second)
		b.sink.set(func(_ context.Context, body string) Answer {
			if strings.Contains(body, "hot") {
				return Answer{Outcome: OneTarget, Code: "429", Err: down.Err}
			}
			return accepted
		})
		b.after(time.Minute)
		if f := b.balance("a"); f.Delivered.Lines != 1 {
			t.Errorf("%+v", f)
		}
		b.in.add("hot", "3")
		late := 0
		for i := range 60 {
			b.in.add("a", fmt.Sprint("x", i))
			b.after(time.Second)
			if f := b.balance("a"); f.Delivered != f.Read {
				late++
			}
		}
		if late > 6 {
			t.Errorf("%d of 60 lines took more than a second", late)
		}
		b.sink.requests(false)
		b.sink.set(nil)
		b.after(time.Minute)
		if got := b.sink.requests(false); !strings.Contains(got, "hot:1") || strings.Index(got, "hot:1") > strings.Index(got, "hot:3") {
			t.Errorf("sent %s", got)
		}
		if _, diverted, _ := b.lane.SpoolFigures(); diverted {
			t.Error("still diverted")
		}
	})
}

// TestDivertSavesFirst: what was delivered before a diversion is in the saved cursors before the spool has its first line,
// however slow the disk is: what the spool tells at the next start is about what it holds.
func TestDivertSavesFirst(t *testing.T) {
	d := new(slowDisk)
	d.takes.Store(int64(5 * time.Second)) // so that the keeper rests for 20 s after each save
	onSpool(t, func(o *Options, _ *fakeSpool) { o.Store.disk = d }, func(b *bench, s *fakeSpool) {
		b.in.add("a", "1")
		b.after(saveLazy + 6*time.Second)
		b.in.add("a", "2")
		b.after(time.Second)
		b.sink.set(always(down))
		b.in.add("a", "3")
		for s.took() == "" {
			if got := reopen(t, b.store); got["a"] != 1 {
				break
			}
			b.after(100 * time.Millisecond)
		}
		if got := reopen(t, b.store); got["a"] != 2 {
			t.Errorf("saved is %v when the spool has its first line", got)
		}
	})
}
