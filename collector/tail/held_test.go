package tail

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A holding is a log whose files are deleted before one of two lanes has read them: the second has no blocks.
type holding struct {
	*rig
	dir    string
	target *pipeline.Target
	said   strings.Builder
	stall  bool // of the second lane
}

func newHolding(t *testing.T, most int64, age time.Duration) *holding {
	h := &holding{dir: t.TempDir(), target: &pipeline.Target{Key: "k"}, stall: true}
	h.rig = newRig(t, newRand(1), Options{MaxLine: 1 << 10, HoldMaxBytes: most, HoldMaxAge: age, Log: logTo(&h.said)}, 2)
	h.calm()
	h.start()
	t.Cleanup(h.exit)
	return h
}

func (h *holding) sync() { h.set.Sync(h.target, list(h.dir)) }

// turns lets the lanes work.
func (h *holding) turns(n int) {
	for range n {
		h.set.tick()
		for i, l := range h.lanes {
			for _, s := range l.shards {
				if i == 1 && h.stall {
					s.reader.Look()
					continue
				}
				l.fill(s)
				for len(s.underway) > 0 {
					l.home(s)
				}
			}
		}
		h.now = h.now.Add(300 * time.Millisecond)
		h.balanced()
	}
}

// write makes a file, and discovery see it.
func (h *holding) write(name, text string) int64 {
	h.t.Helper()
	appendTo(h.t, h.dir+"/"+name, text)
	h.sync()
	return int64(len(text))
}

func (h *holding) remove(names ...string) {
	h.t.Helper()
	for _, name := range names {
		if err := os.Remove(h.dir + "/" + name); err != nil {
			h.t.Fatal(err)
		}
		h.sync()
	}
}

func (h *holding) figures(lane int) pipeline.Figures {
	return h.lanes[lane].rows[0].Account.Snapshot()
}

// expect says what is held, and what each lane has lost by giving files up.
func (h *holding) expect(files int, bytes int64, lost ...int64) {
	h.t.Helper()
	if n, b := h.set.Held(); n != files || b != bytes {
		h.t.Errorf("%d files with %d bytes are held, want %d with %d", n, b, files, bytes)
	}
	for i, want := range lost {
		if f := h.figures(i); f.Lost[pipeline.LostGivenUp] != want || f.Lost[pipeline.LostDeleted] != 0 || f.Gaps != 0 {
			h.t.Errorf("lane %d: lost %v and %d gaps, want %d given up", i, f.Lost, f.Gaps, want)
		}
		for _, src := range h.lanes[i].lane.sources {
			if src.totals.LostBytes != want {
				h.t.Errorf("lane %d: %d bytes lost in its lifetime, want %d", i, src.totals.LostBytes, want)
			}
		}
	}
}

func TestGiveUpByBytes(t *testing.T) {
	h := newHolding(t, 100, time.Hour)
	one := h.write("0.log.1", out("one"))
	two := h.write("0.log.2", out(strings.Repeat("2", 30)))
	three := h.write("0.log.3", out("three"))
	h.write("0.log", out("four"))
	h.turns(5)
	h.expect(0, 0, 0, 0)
	h.remove("0.log.2")
	h.turns(5)
	h.expect(1, two, 0, 0)
	h.remove("0.log.1")
	h.turns(5)
	h.expect(1, one, 0, two) // which was deleted first
	h.remove("0.log.3")
	h.turns(5)
	h.expect(2, one+three, 0, two)
	files := *h.set.logs["k"].files.Load()
	h.stall = false
	h.turns(50)
	h.expect(0, 0, 0, two)
	if got := bodies(h.lanes[1].got["k"][0]); !slices.Equal(got, []string{"one", "three", "four"}) {
		t.Errorf("got %q", got)
	}
	for _, f := range files {
		if f.closed() != !f.listed.Load() {
			t.Errorf("%s: closed %v, listed %v", f.name(), f.closed(), f.listed.Load())
		}
	}
	if s := h.said.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, "given_up_files=1") {
		t.Errorf("said %s", s)
	}
}

func TestGiveUpByAge(t *testing.T) {
	h := newHolding(t, 1<<30, time.Minute)
	one := h.write("0.log.1", out("one"))
	h.write("0.log", out("two"))
	h.turns(5)
	h.remove("0.log.1")
	h.turns(3 * 60)
	h.expect(1, one, 0, 0)
	h.turns(30)
	h.expect(0, 0, 0, one)
}

func TestGiveUpAtOnce(t *testing.T) {
	h := newHolding(t, 0, time.Hour)
	one := h.write("0.log.1", out("one"))
	h.write("0.log", out("two"))
	h.turns(5)
	h.remove("0.log.1")
	h.turns(1)
	h.expect(0, 0, 0, one)
}

// A file that somebody writes to stays on the disk, whoever else closes it.
func TestWrittenFileIsNotGivenUp(t *testing.T) {
	h := newHolding(t, 0, time.Second)
	w, err := os.Create(h.dir + "/0.log")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	h.sync()
	_, _ = w.WriteString(out("one"))
	h.remove("0.log")
	h.turns(100)
	h.expect(0, 0, 0, 0)
	_, _ = w.WriteString(out("two"))
	h.stall = false
	h.turns(10)
	for i, l := range h.lanes {
		if got := bodies(l.got["k"][0]); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("lane %d got %q", i, got)
		}
	}
}

// Where the compressed form of a file is there, it is read instead, and nothing is lost.
func TestGiveUpForTheCompressedForm(t *testing.T) {
	h := newHolding(t, 0, time.Hour)
	want := numbered("g", 0, 300)
	h.write("0.log.1", out(want...))
	h.write("0.log", out("last"))
	h.stall = false
	for h.lanes[1].got["k"] == nil { // the second lane has begun
		h.turns(1)
	}
	h.stall = true
	pack(t, h.dir+"/0.log.1")
	h.sync()
	h.turns(5)
	h.expect(0, 0, 0, 0)
	h.stall = false
	h.turns(50)
	for i, l := range h.lanes {
		if got := bodies(l.got["k"][0]); !slices.Equal(got, append(slices.Clone(want), "last")) {
			t.Errorf("lane %d got %d lines", i, len(got))
		}
	}
	h.expect(0, 0, 0, 0)
}

// What the store has sent back, and pieces of a line without an end, go with the file and are counted: as lines that
// vanished, and as bytes.
func TestGiveUpWhatIsPending(t *testing.T) {
	h := newHolding(t, 0, time.Hour)
	text := out("one", "two") + cri("stdout", "P", "piece")
	h.write("0.log.1", text)
	h.write("0.log", out("last"))
	h.turns(5)
	l := h.lanes[1]
	s := l.shards[0]
	l.fill(s)
	if len(s.underway) == 0 {
		s.underway, s.block = append(s.underway, s.block), nil
	}
	for i := range s.underway[0].Segments {
		s.underway[0].Segments[i].Verdict = pipeline.Back
	}
	s.reader.Settle(s.underway[0])
	s.underway = nil
	if f := h.figures(1); f.Pending.Lines != 2 {
		t.Fatalf("%+v", f)
	}
	three := out("three")
	appendTo(t, h.dir+"/0.log.1", three) // never read by this lane
	h.turns(10)
	h.remove("0.log.1")
	h.turns(1)
	h.expect(0, 0, 0, int64(len(three)+len("piece")))
	f := h.figures(1)
	if want := (pipeline.Count{Lines: 2, Bytes: 6}); f.Dropped[pipeline.Vanished] != want || f.Pending.Lines != 0 {
		t.Errorf("%+v", f)
	}
	for range 3 { // until the set, too, has forgotten the file
		if c := l.lane.sources[h.set.logs["k"]].cursor(); len(c.Generations) < 1 || !c.Generations[0].Done {
			t.Errorf("a file that was given up will be a gap for the next life: %+v", c)
		}
		h.set.logs["k"].found = nil
		h.sync()
		h.turns(1)
	}
	l.floor[l.rows[0]] = 1
	h.stall = false
	h.turns(300)
	if got := bodies(l.got["k"][0]); !slices.Equal(got, []string{"last"}) {
		t.Errorf("got %q", got)
	}
}

// A file that this life has not come to stands where an earlier one left it.
func TestGiveUpWhatWasBegunEarlier(t *testing.T) {
	h := newHolding(t, 0, time.Hour)
	h.stall = false
	h.write("0.log", out("one"))
	h.turns(5)
	h.rig.stop(false)
	h.rig.start()
	h.stall = true
	more := out("two")
	appendTo(t, h.dir+"/0.log", more)
	h.sync()
	h.remove("0.log")
	h.turns(1)
	h.expect(0, 0, int64(len(more)), int64(len(more)))
}

// What was read before a file was truncated is pending, or dropped as vanished, and not lost as well.
func TestTruncatedAfterARewind(t *testing.T) {
	h := newHolding(t, 1<<30, time.Hour)
	h.write("0.log", out("one", "two"))
	h.turns(5)
	l := h.lanes[1]
	s := l.shards[0]
	l.fill(s)
	b := s.block
	if b == nil {
		b, s.underway = s.underway[0], nil
	}
	s.block = nil
	b.Segments[0].Verdict = pipeline.Back
	s.reader.Settle(b)
	l.floor[l.rows[0]] = 1
	if err := os.Truncate(h.dir+"/0.log", 0); err != nil {
		t.Fatal(err)
	}
	appendTo(t, h.dir+"/0.log", out("three"))
	h.stall = false
	h.turns(50)
	if f := h.figures(1); f.Lost != [pipeline.NumLossReasons]int64{} || f.Dropped[pipeline.Vanished].Lines != 2 || f.Delivered.Lines != 1 {
		t.Errorf("%+v", f)
	}
}
