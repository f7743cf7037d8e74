package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	tooLarge = Answer{Outcome: Refused, Code: "413", Reason: TooLarge, Err: errors.New("413: too large")}
	broken   = Answer{Outcome: Failed, Code: "500", Err: errors.New("500: it hurts")}
)

// A box keeps dead letters as text.
type box struct {
	mu   sync.Mutex
	kept []string // "a:bad bad_request 400: a bad line"
	fail error
}

func (b *box) Keep(letters []Letter) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	for _, l := range letters {
		for i := range l.Records {
			b.kept = append(b.kept, fmt.Sprintf("%s:%s %s %s", l.Segment.Target.Key, l.Block.Body(&l.Records[i]), l.Reason, l.Words))
		}
	}
	return nil
}

// letters is what was kept since the last call, without the words.
func (b *box) letters() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.kept {
		line, _, _ := strings.Cut(l, " ")
		all = append(all, line)
	}
	b.kept = nil
	return all
}

// numbered is n lines of a target, as together wants them. Those in bad say so.
func numbered(key string, n int, bad ...int) string {
	var lines []string
	for i := range n {
		line := fmt.Sprintf("%s:%03d", key, i)
		if slices.Contains(bad, i) {
			line += "bad"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, " ")
}

// taking answers with a store's word on a body, and keeps the lines of what was accepted.
type taking struct {
	mu     sync.Mutex
	got    []string
	answer func(ctx context.Context, body string) Answer
}

// now says how the store answers from now on.
func (s *taking) now(answer func(context.Context, string) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *taking) take(ctx context.Context, body string) Answer {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	a := answer(ctx, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Outcome == Accepted && a.LeftOut == 0 {
		s.got = append(s.got, strings.Fields(body)...)
	}
	return a
}

// TestRefusedAreSingledOut: of many lines just the guilty ones are refused, in a bounded number of requests, the others
// arrive once and in order.
func TestRefusedAreSingledOut(t *testing.T) {
	tests := []struct {
		name    string
		lines   string
		answer  func(context.Context, string) Answer
		most    int    // requests
		lost    string // dead letters
		dropped map[string]int64
	}{
		{"one of a hundred", numbered("a", 100, 37), unless("bad", refused), 2*7 + 1, "a:037bad", map[string]int64{"a": 1}},
		{"the first", numbered("a", 100, 0), unless("bad", refused), 2*7 + 1, "a:000bad", map[string]int64{"a": 1}},
		{"the last", numbered("a", 100, 99), unless("bad", refused), 2*7 + 1, "a:099bad", map[string]int64{"a": 1}},
		{"two neighbours", numbered("a", 100, 49, 50), unless("bad", refused), 2*13 + 1, "a:049bad a:050bad", map[string]int64{"a": 2}},
		{
			"of several targets and blocks", numbered("a", 40) + "|" + numbered("b", 40, 7) + "|" + numbered("c", 40, 39) + "|" + numbered("a", 40),
			unless("bad", refused), 31, "b:007bad c:039bad", map[string]int64{"b": 1, "c": 1},
		},
		{"with ranges that have no record", "a:# a:1 a:# a:bad a:# | a:# b:# c:1 a:2", unless("bad", refused), 7, "a:bad", map[string]int64{"a": 1}},
		{"too large a line", numbered("a", 64, 10), unless("bad", tooLarge), 2*6 + 1, "a:010bad", map[string]int64{"a": 1}},
		{
			"all of one target: the budget ends, the others lose nothing", numbered("a", 60) + " " + numbered("b", 60),
			unless("a:", refused), perBlock, numbered("a", 60), map[string]int64{"a": 60},
		},
		{
			"one target is all bad, another has one", numbered("a", 60) + " " + strings.Replace(numbered("b", 60, 11), "bad", "a:", 1),
			unless("a:", refused), perBlock, numbered("a", 60) + " b:011a:", map[string]int64{"a": 60, "b": 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dead := &box{}
			onBench(t, func(o *Options) { o.Blocks, o.MaxBatch, o.BlockSize, o.DeadLetters = 12, 10_000, 1000, dead }, func(b *bench) {
				store := &taking{answer: tt.answer}
				b.together(tt.lines, store.take)
				b.after(time.Minute)
				requests := strings.Split(b.sink.requests(false), "\n")
				if len(requests) > tt.most {
					t.Errorf("%d requests, want %d at most", len(requests), tt.most)
				}
				lost := dead.letters()
				slices.Sort(lost)
				if got := strings.Join(lost, " "); got != tt.lost {
					t.Errorf("dead letters %s\nwant %s", got, tt.lost)
				}
				account(t, b, tt.lines, store.got, lost)
				for key, want := range tt.dropped {
					f := b.in.find(key).Account.Snapshot()
					if n := lines(f.Dropped[:]); n != want {
						t.Errorf("%s: %d lines are dropped, want %d", key, n, want)
					}
				}
			})
		})
	}
}

func lines(counts []Count) (n int64) {
	for _, c := range counts {
		n += c.Lines
	}
	return n
}

// account wants each line to have arrived once and in the order of its target, or to be among the lost; and the ledger
// to say the same.
func account(t *testing.T, b *bench, written string, got, lost []string) {
	t.Helper()
	want := map[string][]string{}
	for _, line := range strings.Fields(strings.ReplaceAll(written, "|", " ")) {
		if key, text, _ := strings.Cut(line, ":"); text != "#" && !slices.Contains(lost, line) {
			want[key] = append(want[key], line)
		}
	}
	found := map[string][]string{}
	for _, line := range got {
		if key, _, _ := strings.Cut(line, ":"); !slices.Contains(lost, line) { // it may have arrived before it was sent again
			found[key] = append(found[key], line)
		}
	}
	b.in.check()
	for _, ft := range b.in.all {
		if ft.Key == "first" {
			continue
		}
		if g, w := strings.Join(found[ft.Key], " "), strings.Join(want[ft.Key], " "); g != w {
			t.Errorf("%s: arrived\n%s\nwant\n%s", ft.Key, g, w)
		}
		f := ft.Account.Snapshot()
		if f.Delivered.Lines != int64(len(want[ft.Key])) || f.Pending != (Count{}) || ft.settled != len(ft.lines) {
			t.Errorf("%s: delivered %d, pending %d, settled %d; want %d, 0, %d", ft.Key, f.Delivered.Lines, f.Pending.Lines, ft.settled,
				len(want[ft.Key]), len(ft.lines))
		}
	}
}

// TestLastRoundByTarget: with more targets than the budget is enough for, each is asked for by itself before any line of
// it is refused.
func TestLastRoundByTarget(t *testing.T) {
	var all []string
	for i := range 100 {
		all = append(all, fmt.Sprintf("t%02d:%d", i, i%2))
	}
	dead := &box{}
	onBench(t, func(o *Options) { o.Blocks, o.MaxBatch, o.BlockSize, o.DeadLetters = 12, 10_000, 1000, dead }, func(b *bench) {
		store := &taking{answer: unless(":1", refused)}
		b.together(strings.Join(all, " "), store.take)
		b.after(time.Minute)
		if n := len(strings.Split(b.sink.requests(false), "\n")); n > perBlock+100 {
			t.Errorf("%d requests", n)
		}
		if len(store.got) != 50 || len(dead.letters()) != 50 {
			t.Errorf("%d of 50 good lines arrived", len(store.got))
		}
	})
}

// TestRefusalIsNotCountedTwice: a target goes back in the middle of its being singled out. What was refused by then is
// refused again when it comes again, and counted and kept once.
func TestRefusalIsNotCountedTwice(t *testing.T) {
	dead := &box{}
	onBench(t, func(o *Options) { o.Blocks, o.MaxBatch, o.BlockSize, o.DeadLetters = 12, 10_000, 1000, dead }, func(b *bench) {
		throttle := true
		b.together("a:bad a:2 a:3 a:4", func(_ context.Context, body string) Answer {
			switch {
			case strings.Contains(body, "bad"):
				return refused
			case strings.Contains(body, "a:3") && throttle:
				throttle = false
				return oneIsBad
			}
			return accepted
		})
		b.after(500 * time.Millisecond)
		b.home("first[0:1] delivered\na[0:4] back")
		if l := dead.letters(); len(l) > 0 {
			t.Errorf("%q are dead letters before the verdict", l)
		}
		b.after(time.Minute)
		if f := b.in.find("a").Account.Snapshot(); f.Dropped[BadRequest] != (Count{1, 3}) || f.Delivered != (Count{3, 3}) {
			t.Errorf("dropped %+v, delivered %+v", f.Dropped[BadRequest], f.Delivered)
		}
		if l := dead.letters(); len(l) != 1 {
			t.Errorf("dead letters %q", l)
		}
	})
}

// TestStopWhileSinglingOut: the time to drain ends with half of a segment settled: nothing of it is counted.
func TestStopWhileSinglingOut(t *testing.T) {
	dead := &box{}
	onBench(t, func(o *Options) { o.Blocks, o.MaxBatch, o.BlockSize, o.DeadLetters = 12, 10_000, 1000, dead }, func(b *bench) {
		b.together("a:bad a:2 | a:3", func(ctx context.Context, body string) Answer {
			if strings.Contains(body, "bad") {
				return refused
			}
			<-ctx.Done()
			return down
		})
		b.after(time.Second)
		b.stop()
		b.giveUp()
		<-b.ended
		b.home("first[0:1] delivered\na[0:2] unsent\na[2:3] unsent")
		if f := b.in.find("a").Account.Snapshot(); lines(f.Dropped[:]) > 0 || len(dead.letters()) > 0 {
			t.Errorf("dropped %v", f.Dropped)
		}
	})
}

// TestDeadLettersCannotBeKept: it is said once, counted, and stops nothing.
func TestDeadLettersCannotBeKept(t *testing.T) {
	dead := &box{fail: errors.New("no space")}
	onBench(t, func(o *Options) { o.DeadLetters = dead }, func(b *bench) {
		b.sink.set(unless("bad", refused))
		for i := range 3 {
			b.in.add("a", fmt.Sprint("bad", i))
			b.after(time.Second)
		}
		if n := strings.Count(b.logged.take(), "refused lines cannot be kept"); n != 1 || b.lane.Stats().Unkept() != 3 {
			t.Errorf("said %d times, %d lines not kept", n, b.lane.Stats().Unkept())
		}
		dead.mu.Lock()
		dead.fail = nil
		dead.mu.Unlock()
		b.in.add("a", "bad4")
		b.after(time.Second)
		if got := b.logged.take(); strings.Count(got, "refused lines are kept again") != 1 {
			t.Errorf("logged %s", got)
		}
		if l := dead.letters(); len(l) != 1 || b.in.settled("a") != 4 {
			t.Errorf("dead letters %q, %d settled", l, b.in.settled("a"))
		}
	})
}

// TestRandomPoison: whatever is bad, whatever fails in between, a line arrives once in order or is refused and counted;
// no good one is refused unless the budget was used up.
func TestRandomPoison(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		targets, size, one := 1+rnd.IntN(8), 1+rnd.IntN(60), rnd.IntN(4) == 0
		var blocks []string
		poison := 0
		for range 1 + rnd.IntN(3) {
			var block []string
			for k := range targets {
				for i := range rnd.IntN(size) {
					line := fmt.Sprintf("t%d:%s%d-%d", k, []string{"", "!"}[rnd.IntN(2)], len(blocks), i)
					if rnd.IntN(100) == 0 {
						line += "bad"
						poison++
					}
					block = append(block, line)
				}
				if rnd.IntN(5) == 0 {
					block = append(block, fmt.Sprintf("t%d:#", k))
				}
			}
			blocks = append(blocks, strings.Join(block, " "))
		}
		written := strings.Join(blocks, "|")
		dead := &box{}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			onBench(t, func(o *Options) {
				o.Blocks, o.MaxBatch, o.BlockSize, o.DeadLetters, o.OneStream = 12, 40_000, 10_000, dead, one
				o.Sink.(*fakeSink).apart = one
			}, func(b *bench) {
				store := &taking{}
				asked := 0
				store.answer = func(_ context.Context, body string) Answer {
					if rnd.IntN(12) == 0 {
						return []Answer{down, down, enough, oneIsBad}[rnd.IntN(4)]
					}
					if asked++; strings.Contains(body, "bad") {
						return refused
					}
					if one && strings.Contains(body, ":!") && strings.Contains(strings.ReplaceAll(body, ":!", ""), ":") {
						t.Errorf("two streams in %s", body)
					}
					return accepted
				}
				b.together(written, store.take)
				b.after(10 * time.Minute)
				lost := dead.letters()
				good := 0
				for _, line := range lost {
					if !strings.Contains(line, "bad") {
						good++
					}
				}
				if good > 0 && (poison < 2 || asked < perBlock-2) { // a batch has one block at least
					t.Errorf("%d good lines are refused for %d bad ones after %d requests", good, poison, asked)
				}
				if got := strings.Join(lost, " "); strings.Count(got, "bad") != poison {
					t.Errorf("%d bad lines, refused %s", poison, got)
				}
				sums := b.lane.Sums()
				if n := sums.Dropped[BadRequest].Lines; n != int64(len(lost)) {
					t.Errorf("%d lines are dropped, %d are dead letters", n, len(lost))
				}
				arrived := slices.Compact(store.got)
				if one { // the two streams of a target are in no order between them, and what goes back is sent again
					arrived = inStreams(written, store.got)
				}
				account(t, b, written, firstOf(arrived), lost)
			})
		})
	}
}

// firstOf leaves out what has come before.
func firstOf(got []string) (first []string) {
	seen := map[string]bool{}
	for _, line := range got {
		if !seen[line] {
			first = append(first, line)
		}
		seen[line] = true
	}
	return first
}

// inStreams puts lines of which each stream is in order into the order of what was written, if they are.
func inStreams(written string, got []string) (sorted []string) {
	next := map[bool][]string{}
	for _, line := range firstOf(got) {
		err := strings.Contains(line, ":!")
		next[err] = append(next[err], line)
	}
	for _, line := range strings.Fields(strings.ReplaceAll(written, "|", " ")) {
		err := strings.Contains(line, ":!")
		key, _, _ := strings.Cut(line, ":")
		if i := slices.IndexFunc(next[err], func(l string) bool { return strings.HasPrefix(l, key+":") }); i >= 0 && next[err][i] == line {
			sorted = append(sorted, line)
			next[err] = slices.Delete(next[err], i, i+1)
		}
	}
	return sorted
}
