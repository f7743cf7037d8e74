package tail

import (
	"bytes"
	"os"
	"testing"
	"time"
)

// TestLull: a file with few lines is read once in a lull, whenever they come, and its reader sleeps meanwhile; one with
// more is read in every round, and so is one that has just become busy.
func TestLull(t *testing.T) {
	const poll = 200 * time.Millisecond
	p := newPump(t)
	began := time.Now()
	now := began
	p.set.began, p.set.now = began, func() time.Time { return now }
	line := append(bytes.Clone(benchCRI(1)[0]), '\n')
	write := func(f *os.File, lines int) {
		t.Helper()
		if _, err := f.Write(bytes.Repeat(line, lines)); err != nil {
			t.Fatal(err)
		}
	}
	lull := p.set.times.lull
	f := p.log(t, 0, nil)
	p.round()
	now = began.Add(lull) // the first lull ends, and the file has had nothing
	p.round()
	if d := p.reader.Rest(poll); d != lull {
		t.Errorf("the reader of a slow file rests for %s, want %s", d, lull)
	}

	write(f, 1)
	now = began.Add(lull + poll)
	if p.round(); p.lines != 0 {
		t.Errorf("a slow file was read between two lulls")
	}
	if d := p.reader.Rest(poll); d != lull-poll {
		t.Errorf("the reader rests for %s, want %s", d, lull-poll)
	}
	now = began.Add(2 * lull)
	if p.round(); p.lines != 1 {
		t.Errorf("%d lines at the end of the lull, want 1", p.lines)
	}
	if d := p.reader.Rest(poll); d != lull {
		t.Errorf("the reader of a slow file that had a line rests for %s, want %s", d, lull)
	}

	write(f, fewLines+1) // it becomes busy
	now = began.Add(3 * lull)
	p.round()
	for i := range 3 {
		p.lines = 0
		write(f, 1)
		now = now.Add(poll)
		if p.round(); p.lines != 1 {
			t.Errorf("round %d: %d lines of a busy file, want 1", i, p.lines)
		}
		if d := p.reader.Rest(poll); i < 2 && d != poll {
			t.Errorf("round %d: the reader of a busy file rests for %s, want %s", i, d, poll)
		}
	}
	now = now.Add(lull)
	p.round()
	if d := p.reader.Rest(poll); d != lull {
		t.Errorf("a file that has had nothing in a lull is not slow again: the reader rests for %s, want %s", d, lull)
	}
	write(f, 1) // and news of its folder do not wait
	p.lines = 0
	p.log(t, 0, nil)
	now = now.Add(poll)
	if p.round(); p.lines != 1 {
		t.Errorf("%d lines of a file that has a successor, want 1 at once", p.lines)
	}
}
