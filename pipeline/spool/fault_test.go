package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

// TestAppendFaults lets each call of the disk fail, half succeed, or be the process's last, in a life of appends, reads
// and saves; once, or from then on. Whatever happens, also a power cut afterwards, the next life gives out all that was
// acknowledged and not settled by a saved state, in order, and nothing that a cursor was saved past.
func TestAppendFaults(t *testing.T) {
	tried := 0
	calls := faultyLife(t, "no fault", nil, 0)
	for at := 1; at <= calls; at++ {
		for _, f := range []fault{errs, half, crashes} {
			for seed := range uint64(8) {
				tried++
				faultyLife(t, fmt.Sprintf("call %d of %d: fault %d, seed %d", at, calls, f, seed), func(n int, _ string) fault {
					if n == at {
						return f
					}
					return works
				}, seed)
			}
		}
		faultyLife(t, fmt.Sprintf("every call from %d of %d on", at, calls), func(n int, op string) fault {
			if n >= at {
				return errs
			}
			return works
		}, 0)
	}
	for at := 1; at <= calls; at++ { // what was written stays there
		tried++
		faultyLife(t, fmt.Sprintf("no sync from call %d of %d on", at, calls), func(n int, op string) fault {
			if n >= at && (op == "sync" || op == "truncate" || op == "remove") {
				return errs
			}
			return works
		}, 0)
	}
	if calls < 40 || tried < 300 {
		t.Errorf("%d calls, %d faults: the test has lost its teeth", calls, tried)
	}
}

func faultyLife(t *testing.T, name string, fail func(int, string) fault, seed uint64) (calls int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	d := newMemDisk()
	o := Options{disk: d, MaxBytes: 1 << 20, SegmentBytes: 2 << 10, jitter: func(d time.Duration) time.Duration { return d / 2 }}
	var acked, direct, settled, savedAt, savedSettled int64 // line numbers: all below
	var state []byte
	var spooled, savedSpooled uint64
	func() {
		defer func() {
			if r := recover(); r != nil && r != errCrash {
				panic(r)
			}
		}()
		g := newRig(t, o)
		tail := &pipeline.LaneTarget{Target: aTarget(0)}
		d.calls, d.fail = 0, fail
		save := func() {
			state, savedAt, savedSettled, savedSpooled = bytes.Clone(g.State()), max(acked, direct), settled, spooled
			g.Saved()
		}
		for round := range 8 {
			b := pipeline.NewBlock(4<<10, 4<<10)
			next := max(acked, direct)
			addSegment(b, tail, next, next+3, 60)
			addSegment(b, tail, next+3, next+5, 60)
			if err := g.Append(piecesOf(b)); err == nil {
				acked, spooled = next+5, b.Segments[0].Spooled
			} else if !errors.Is(err, errDisk) || !strings.HasPrefix(err.Error(), "spool: ") {
				t.Fatalf("%s: %v", name, err)
			} else if g.Empty() { // sent past the spool
				direct, settled = next+5, next+5
			}
			if round%2 == 1 {
				if b := g.fill(4 << 10); b != nil {
					settled = b.Segments[len(b.Segments)-1].End
					g.settleAll(b, pipeline.Delivered)
				}
			}
			if round%3 == 2 {
				save()
			}
		}
		save()
		g.Close()
	}()
	calls = d.calls
	for _, power := range []bool{false, true} {
		next := d.crash(power, rnd)
		o.disk, o.State, o.After = next, state, savedSpooled
		covered := savedAt
		o.Cover = func(_ string, s *pipeline.Segment) {
			if s.Spooled > savedSpooled {
				covered = s.End
			}
		}
		g := newRig(t, o)
		var got []int64
		for b := g.fill(64 << 10); b != nil; b = g.fill(64 << 10) {
			for i := range b.Segments {
				for n := b.Segments[i].Start; n < b.Segments[i].End; n++ {
					got = append(got, n)
				}
			}
			g.settleAll(b, pipeline.Delivered)
		}
		if !slices.IsSorted(got) || len(got) > 0 && got[0] < savedSettled {
			t.Fatalf("%s, power cut %v: got %v, and all below %d was settled and saved", name, power, got, savedSettled)
		}
		for n := savedSettled; n < min(max(acked, savedAt), covered); n++ {
			if _, ok := slices.BinarySearch(got, n); !ok && n >= settled {
				t.Fatalf("%s, power cut %v: got %v; line %d is missing: %d acknowledged, cursor at %d, saved at %d", name, power, got, n, acked, covered, savedAt)
			}
		}
		if covered < savedAt {
			t.Fatalf("%s, power cut %v: the cursor goes back from %d to %d", name, power, savedAt, covered)
		}
		if covered < acked {
			t.Fatalf("%s, power cut %v: the spool has lines to %d, and the cursor is told of %d", name, power, acked, covered)
		}
		if f := g.Figures(); f.Damaged > 0 || !g.Empty() {
			t.Fatalf("%s, power cut %v: %+v", name, power, f)
		}
	}
	return calls
}

// TestDamage flips a bit of every byte of a small spool in turn: what is lost is one record at the most.
func TestDamage(t *testing.T) {
	d := newMemDisk()
	g := newRig(t, Options{disk: d, SegmentBytes: 1 << 10})
	tail := &pipeline.LaneTarget{Target: aTarget(0)}
	other := &pipeline.LaneTarget{Target: aTarget(1)}
	for i := range int64(8) {
		b := pipeline.NewBlock(2<<10, 2<<10)
		addSegment(b, tail, i*5, i*5+5, 20)
		addSegment(b, other, i*3, i*3+3, 20)
		if err := g.Append(piecesOf(b)); err != nil {
			t.Fatal(err)
		}
	}
	state := bytes.Clone(g.State())
	g.Close()
	tried, lost, counted := 0, 0, 0
	for path, n := range d.names {
		for at := range n.data {
			tried++
			next := d.crash(false, nil)
			next.names[path].data[at] ^= 0x10
			late := at%2 == 0 // while it is open: then the lines are known, and all are counted
			if late {
				next.names[path].data[at] ^= 0x10
			}
			g := newRig(t, Options{disk: next, State: state, SegmentBytes: 1 << 10})
			if late {
				next.names[path].data[at] ^= 0x10
			}
			read := g.sum().Read.Lines
			if late && read != 64 {
				t.Fatalf("%d lines were found", read)
			}
			got := int64(0)
			last := map[string]int64{tail.Key: -1, other.Key: -1}
			for b := g.fill(4 << 10); b != nil; b = g.fill(4 << 10) {
				for i := range b.Segments {
					s := &b.Segments[i]
					if s.N == 0 {
						continue
					}
					got += int64(s.N)
					for j := range b.Of(s) {
						if text := string(b.Body(&b.Of(s)[j])); text != body(s.Target.Key, s.Start+int64(j), 20) {
							t.Fatalf("%s %d: %q", path, at, text)
						}
					}
					if s.Start <= last[s.Target.Key] {
						t.Fatalf("%s %d: out of order", path, at)
					}
					last[s.Target.Key] = s.Start
				}
				g.settleAll(b, pipeline.Delivered)
			}
			sum := g.sum()
			dropped := sum.Dropped[pipeline.SpoolDamaged].Lines
			if got < 7*8 || got+dropped != read || sum.Pending != (pipeline.Count{}) {
				t.Fatalf("%s %d: %d lines of 64 arrived: %+v", path, at, got, sum)
			}
			if damaged := g.Figures().Damaged; damaged > 1 || damaged == 0 != (got == 64) || !g.Empty() {
				t.Fatalf("%s %d: %d lines, %d damaged records", path, at, got, damaged)
			}
			if got < 64 {
				lost++
			}
			if dropped > 0 {
				counted++
			}
			g.Close()
		}
	}
	if tried < 2000 || lost < tried/2 || counted < tried/2 {
		t.Errorf("%d bytes, %d of them lost a record, %d counted it by container", tried, lost, counted)
	}
	t.Logf("%d bytes, %d of them cost a record, %d counted its lines by container", tried, lost, counted)
}

// TestOpenErrors: an operator can read what to do.
func TestOpenErrors(t *testing.T) {
	for _, op := range []string{"mkdir", "list", "open", "size"} {
		d := newMemDisk()
		g := newRig(t, Options{disk: d})
		b := pipeline.NewBlock(2<<10, 2<<10)
		addSegment(b, &pipeline.LaneTarget{Target: aTarget(0)}, 0, 5, 20)
		if err := g.Append(piecesOf(b)); err != nil {
			t.Fatal(err)
		}
		d.fail = func(_ int, now string) fault {
			if now == op {
				return errs
			}
			return works
		}
		_, err := New(Options{Dir: "spool", disk: d, MaxBytes: 1 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if !errors.Is(err, errDisk) || !strings.HasSuffix(err.Error(), "check the folder's owner and mode") {
			t.Errorf("%s fails, and New says %v", op, err)
		}
	}
}

// TestCreateHalf: a file that could not be made, and is there all the same, is not in the way of the next.
func TestCreateHalf(t *testing.T) {
	d := newMemDisk()
	g := newRig(t, Options{disk: d})
	tail := &pipeline.LaneTarget{Target: aTarget(0)}
	b := pipeline.NewBlock(2<<10, 2<<10)
	addSegment(b, tail, 0, 5, 20)
	d.fail = func(_ int, op string) fault { return map[string]fault{"create": half, "remove": errs}[op] }
	if err := g.Append(piecesOf(b)); !errors.Is(err, errDisk) || len(d.names) != 1 {
		t.Fatalf("%v, %v", err, d.names)
	}
	d.fail = nil
	if err := g.Append(piecesOf(b)); err != nil {
		t.Fatal(err)
	}
	state := g.State()
	g.Close()
	g = newRig(t, Options{disk: d, State: state})
	if b := g.fill(4 << 10); b == nil || len(b.Records) != 5 || len(d.names) != 1 || g.Figures().Damaged > 0 {
		t.Errorf("%v, %+v", d.names, g.Figures())
	}
}

// TestRepeated: a record that a file holds twice is given out once.
func TestRepeated(t *testing.T) {
	d := newMemDisk()
	g := newRig(t, Options{disk: d})
	load(t, g, 0, 3, &pipeline.LaneTarget{Target: aTarget(0)})
	n := d.names[g.files[0].path]
	n.data = append(n.data, n.data[headSize:]...)
	g.Close()
	g = newRig(t, Options{disk: d})
	if b := g.fill(16 << 10); len(b.Records) != 30 || g.fill(16<<10) != nil || g.Figures().Damaged > 0 {
		t.Errorf("%d records, %+v", len(b.Records), g.Figures())
	}
}

// TestUnreadable: what the disk does not give when leatd starts, and gives later, is given out and counted then; what it
// does not give for long is damaged, and all of a disk that gives nothing waits.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemDisk()
		g := newRig(t, Options{disk: d})
		load(t, g, 0, 4, &pipeline.LaneTarget{Target: aTarget(0)})
		state := g.State()
		g.Close()
		d.fail = func(_ int, op string) fault { return map[string]fault{"read": errs}[op] }
		g = newRig(t, Options{disk: d, State: state})
		if g.Empty() || g.sum() != (pipeline.Figures{}) {
			t.Fatalf("nothing can be read, and the spool is empty: %v, %+v", g.Empty(), g.sum())
		}
		begin := time.Now()
		for time.Since(begin) < time.Hour {
			if b := g.fill(1 << 10); b != nil || g.Empty() || g.Figures().Damaged > 0 {
				t.Fatalf("after %v: %v, %+v", time.Since(begin), b, g.Figures())
			}
			time.Sleep(g.reader.Rest(time.Millisecond))
		}
		d.fail = nil
		time.Sleep(retryMost)
		if b := g.fill(1 << 10); b == nil || b.Segments[0].Start != 0 || g.sum().Pending.Lines < 10 {
			t.Fatalf("%+v", g.sum())
		} else {
			g.settleAll(b, pipeline.Delivered)
		}
		bodies := 0
		d.fail = func(_ int, op string) fault { // the body of the second record lies on bad ground
			if bodies++; op == "read" && g.main.number == 2 {
				return errs
			}
			return works
		}
		begin = time.Now()
		var got []int64
		for !g.Empty() {
			if b := g.fill(1 << 10); b != nil {
				for i := range b.Segments {
					if b.Segments[i].N > 0 {
						got = append(got, b.Segments[i].Start)
					}
				}
				g.settleAll(b, pipeline.Delivered)
				continue
			}
			time.Sleep(g.reader.Rest(time.Second))
		}
		if took := time.Since(begin); took < failsFor || took > failsFor+time.Minute || len(got) != 2 || got[0] != 20 || g.Figures().Damaged != 1 {
			t.Errorf("after %v: got %v, %+v", took, got, g.Figures())
		}
		if sum := g.sum(); sum.Dropped[pipeline.SpoolDamaged].Lines != 10 && sum.Read.Lines != 30 || sum.Pending != (pipeline.Count{}) {
			t.Errorf("%+v", sum)
		}
	})
}
