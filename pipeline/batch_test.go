package pipeline

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// told collects what Options.Batch is told, one line a batch.
type told struct {
	mu    sync.Mutex
	lines []string
	wrong string
}

func (t *told) batch(b Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b.Sink != "s" || !b.End.Equal(time.Now()) || b.Start.After(b.End) {
		t.wrong = fmt.Sprintf("%+v", b)
	}
	t.lines = append(t.lines, fmt.Sprintf("%v: %d lines (%d B) delivered, %d (%d B) dropped; %d requests of %d B, the last %s",
		b.End.Sub(b.Start), b.Delivered.Lines, b.Delivered.Bytes, b.Dropped.Lines, b.Dropped.Bytes, b.Requests, b.SentBytes, b.Code))
}

func (t *told) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() { t.lines = nil }()
	return strings.Join(t.lines, "\n")
}

// TestBatch: what is told of a batch that is taken at once, after failures, in part, and not yet.
func TestBatch(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		answers     []Answer
		want        string
	}{
		{"at once", "a:1 b:22|a:333", []Answer{accepted},
			"0s: 3 lines (6 B) delivered, 0 (0 B) dropped; 1 requests of 15 B, the last 204"},
		{"file ranges without a record", "a:#1", []Answer{accepted}, ""},
		{"throttled, so that it goes back", "a:1", []Answer{{Outcome: Throttled, Code: "429", RetryAfter: 2 * time.Second}, accepted},
			""},
		{"a line that is refused", "a:1 b:22", []Answer{refused, accepted, refused},
			"0s: 1 lines (1 B) delivered, 1 (2 B) dropped; 3 requests of 18 B, the last 400"},
		{"a target that goes back", "a:1 b:22", []Answer{oneIsBad, oneIsBad, accepted},
			"0s: 1 lines (2 B) delivered, 0 (0 B) dropped; 3 requests of 18 B, the last 204"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all told
			onBench(t, func(o *Options) { o.Batch = all.batch }, func(b *bench) {
				b.together(c.lines, answers(c.answers...))
				b.after(100 * time.Millisecond)
				first, rest, _ := strings.Cut(all.take(), "\n")
				if want := "1 lines (1 B) delivered, 0 (0 B) dropped; 1 requests of 8 B, the last 204"; !strings.HasSuffix(first, "s: "+want) || first[0] == '0' {
					t.Errorf("of the first batch, whose answer took seconds: %s", first)
				}
				if rest != c.want || all.wrong != "" {
					t.Errorf("%s\nwant %s\n%s", rest, c.want, all.wrong)
				}
			})
		})
	}
}

// TestBatchTakesTime: a batch lasts as long as the store fails, with all of its requests.
func TestBatchTakesTime(t *testing.T) {
	var all told
	onBench(t, func(o *Options) { o.Batch = all.batch }, func(b *bench) {
		b.sink.set(answers(down, down, accepted))
		b.in.add("a", "1")
		b.after(10 * time.Second)
		got := all.take()
		if !strings.HasSuffix(got, "s: 1 lines (1 B) delivered, 0 (0 B) dropped; 3 requests of 12 B, the last 204") || got[0] == '0' {
			t.Error(got)
		}
	})
}

// TestBatchOfASpool: what goes to the spool is no delivery; what comes out of it is.
func TestBatchOfASpool(t *testing.T) {
	var all told
	onSpool(t, func(o *Options, _ *fakeSpool) { o.Batch = all.batch }, func(b *bench, s *fakeSpool) {
		b.sink.set(always(down))
		b.in.add("a", "1", "2")
		b.after(time.Minute)
		if got := s.took(); got == "" {
			t.Error("nothing is in the spool")
		}
		if got := all.take(); got != "" {
			t.Errorf("told %s", got)
		}
		b.sink.set(nil)
		b.after(time.Minute)
		if got := all.take(); !strings.Contains(got, "2 lines (2 B) delivered") || strings.Contains(got, "\n") {
			t.Errorf("told %s", got)
		}
	})
}

// TestNobodyWantsBatches: without somebody to tell, notes are not taken and cost nothing; with him they do not allocate.
func TestNobodyWantsBatches(t *testing.T) {
	block := &Block{Segments: []Segment{{N: 1, Bytes: 10, Verdict: Delivered}}}
	body := make([]byte, 10)
	for _, wanted := range []bool{false, true} {
		lane := &Lane{}
		heard := 0
		if wanted {
			lane.Batch = func(Batch) { heard++ }
		}
		s := &sending{shard: &shard{lane: lane}}
		b := &batch{blocks: []*Block{block}}
		if n := testing.AllocsPerRun(100, func() { s.open(); s.note(body, "204"); s.report(b) }); n != 0 {
			t.Errorf("wanted %v: %v allocations", wanted, n)
		}
		if (s.notes != Batch{}) != wanted || (heard > 0) != wanted {
			t.Errorf("wanted %v: %+v, heard %d times", wanted, s.notes, heard)
		}
	}
}
