package pipeline

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAccountIsOneMoment: while a writer counts, every snapshot adds up, and none is older than the one before it.
func TestAccountIsOneMoment(t *testing.T) {
	var a Account
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var last Figures
			for n := 0; !done.Load() || n == 0; n++ {
				f := a.Snapshot()
				checkIdentity(t, "account", f)
				if f.Read.Lines < last.Read.Lines || f.Delivered.Lines < last.Delivered.Lines || f.Unparsed < last.Unparsed {
					t.Errorf("a snapshot went back from %+v to %+v", last, f)
				}
				if f.Oldest != -f.Read.Lines || f.Unread != 7*f.Read.Lines || f.Lost[LostTruncated] != f.Read.Lines || f.Gaps != f.Read.Lines || f.Truncated != f.Read.Lines {
					t.Errorf("torn: %+v", f)
				}
				if last = f; t.Failed() {
					return
				}
			}
		})
	}
	f := a.Own()
	for i := range int64(200_000) {
		f.Read.Add(1, i)
		switch i % 4 {
		case 0:
			f.Delivered.Add(1, i)
		case 1:
			f.Dropped[i%int64(NumReasons)].Add(1, i)
		default:
			f.Pending.Add(1, i)
		}
		f.Oldest, f.Unread = -f.Read.Lines, 7*f.Read.Lines
		f.Lost[LostTruncated], f.Gaps, f.Truncated, f.Unparsed = f.Read.Lines, f.Read.Lines, f.Read.Lines, f.Read.Lines
		a.Publish()
		for n := i % 64; n > 0; n-- { // so that snapshots begin between two writes and meet the second
			_ = a.seq.Load()
		}
	}
	done.Store(true)
	wg.Wait()
}

// TestAccountHasEveryFigure: what Publish puts, Snapshot gets, each in its place.
func TestAccountHasEveryFigure(t *testing.T) {
	var a Account
	want := Figures{
		Read: Count{1, 2}, Delivered: Count{3, 4}, Pending: Count{5, 6}, Unread: 7, Gaps: 8, Unparsed: 9, Truncated: 10, Oldest: 11,
	}
	for i := range want.Dropped {
		want.Dropped[i] = Count{int64(100 + i), int64(200 + i)}
	}
	for i := range want.Lost {
		want.Lost[i] = int64(300 + i)
	}
	a.Update(func(f *Figures) { *f = want })
	if got := a.Snapshot(); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { a.Publish(); _ = a.Snapshot() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSnapshotYields: on a single processor, a reader that met a writer in the middle must let it go on. Without that it
// spins until the scheduler takes the processor away from it.
func TestSnapshotYields(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var a Account
	a.seq.Store(1) // a writer is in the middle
	go func() { a.seq.Store(2) }()
	begin := time.Now()
	a.Snapshot()
	if d := time.Since(begin); d > 5*time.Millisecond {
		t.Errorf("waited %s for a writer that was ready to run", d)
	}
}

// TestRowsLive: a target's row stays five minutes after it is settled, an hour if it was hurt; the sums stay for ever.
func TestRowsLive(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.in.beQuiet()
		b.sink.set(unless("bad", refused))
		b.in.add("whole", "1")
		b.in.add("hurt", "bad")
		b.in.add("lives", "1")
		b.after(time.Second)
		for _, key := range []string{"whole", "hurt"} {
			b.lane.Forget(b.in.find(key).LaneTarget)
		}
		for _, c := range []struct {
			after time.Duration
			rows  int
		}{{0, 3}, {4 * time.Minute, 3}, {90 * time.Second, 2}, {53 * time.Minute, 2}, {2 * time.Minute, 1}, {10 * time.Hour, 1}} {
			b.after(c.after)
			if rows := b.lane.Rows(nil); len(rows) != c.rows {
				t.Errorf("%d rows after another %s, want %d", len(rows), c.after, c.rows)
			}
			if s := b.lane.Sums(); s.Dropped[BadRequest] != (Count{1, 3}) {
				t.Errorf("the sums are %+v after another %s", s, c.after)
			}
		}
	})
}

func TestHurt(t *testing.T) {
	for name, c := range map[string]struct {
		f    Figures
		want bool
	}{
		"whole":   {Figures{Read: Count{5, 5}, Delivered: Count{5, 5}, Unparsed: 1}, false},
		"dropped": {Figures{Dropped: [NumReasons]Count{TooLarge: {1, 0}}}, true},
		"cut":     {Figures{Dropped: [NumReasons]Count{MaxLine: {0, 1}}}, true},
		"lost":    {Figures{Lost: [NumLossReasons]int64{LostTruncated: 1}}, true},
		"gap":     {Figures{Gaps: 1}, true},
		"doubt":   {Figures{Doubtful: 1}, true},
	} {
		if got := c.f.hurt(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestBeat in a bubble, whose clock stands long before this process began.
func TestBeat(t *testing.T) {
	check := func(t *testing.T) {
		b := new(Beat)
		if _, busy := b.Since(); busy {
			t.Error("a new beat is busy")
		}
		b.Busy()
		if since, busy := b.Since(); !busy || time.Since(since) > time.Minute || time.Since(since) < 0 {
			t.Errorf("busy %t since %s", busy, since)
		}
		b.Waiting()
		if _, busy := b.Since(); busy {
			t.Error("a waiting beat is busy")
		}
		var none *Beat
		none.Busy()
		none.Waiting()
		if _, busy := none.Since(); busy {
			t.Error("no beat is busy")
		}
	}
	check(t)
	synctest.Test(t, check)
}

func BenchmarkPublish(b *testing.B) {
	var a Account
	b.ReportAllocs()
	for b.Loop() {
		a.Publish()
	}
}

func BenchmarkSnapshot(b *testing.B) {
	var a Account
	b.ReportAllocs()
	for b.Loop() {
		_ = a.Snapshot()
	}
}
