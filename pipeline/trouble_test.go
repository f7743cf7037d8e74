package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// wide is for tests in which all goes in one request.
func wide(dead DeadLetters) func(o *Options) {
	return func(o *Options) {
		o.Blocks, o.MaxBatch, o.BlockSize, o.DeadLetters = 12, 40_000, 10_000, dead
	}
}

// TestRecordThatGetsA5xx: a store that answers 500 to a record, for ever, loses the lane that record and nothing else.
func TestRecordThatGetsA5xx(t *testing.T) {
	tests := []struct{ name, lines, lost string }{
		{"in the middle of one target", numbered("a", 50, 20), "a:020bad"},
		{"the last", numbered("a", 50, 49), "a:049bad"},
		{"the first", numbered("a", 50, 0), "a:000bad"},
		{"alone", "a:bad", "a:bad"},
		{"in one of several targets", numbered("a", 20) + " " + numbered("b", 20, 3) + "|" + numbered("c", 20), "b:003bad"},
		{"in both halves", numbered("a", 20, 19) + " " + numbered("b", 20, 0), "a:019bad b:000bad"},
		{"two of one target", numbered("a", 64, 10, 50), "a:010bad a:050bad"},
	}
	for _, tt := range tests {
		for _, fresh := range []bool{false, true} { // fresh: the store has never taken anything
			if fresh && tt.name == "alone" {
				continue
			}
			t.Run(fmt.Sprint(tt.name, ", fresh ", fresh), func(t *testing.T) {
				dead := &box{}
				onBench(t, wide(dead), func(b *bench) {
					store := &taking{answer: unless("bad", broken)}
					if fresh {
						b.sink.set(func(context.Context, string) Answer { return down })
						for _, block := range strings.Split(tt.lines, "|") {
							for _, line := range strings.Fields(block) {
								key, text, _ := strings.Cut(line, ":")
								b.in.add(key, text)
							}
						}
						b.after(time.Second)
						b.sink.set(store.take)
					} else {
						b.together(tt.lines, store.take)
					}
					b.after(time.Minute)
					if b.in.check(); !fresh && b.in.settled("a") != len(b.in.find("a").lines) {
						t.Error("the lane still waits after a minute")
					}
					b.after(30 * time.Minute)
					lost := dead.letters()
					if got := strings.Join(lost, " "); got != tt.lost {
						t.Fatalf("lost %q, want %q", got, tt.lost)
					}
					if n := b.lane.Sums().Dropped[ServerError].Lines; n != int64(len(lost)) {
						t.Errorf("%d lines are dropped for server_error", n)
					}
					again := len(store.got) - len(firstOf(store.got))
					if most := (proofs + 1) * (len(lost) + 1); again > most {
						t.Errorf("%d lines were sent again, want %d at most", again, most)
					}
					got := firstOf(store.got)
					if fresh { // a line was sent ahead, if nothing had been accepted by then
						got = inTurn(tt.lines, store.got)
					}
					account(t, b, tt.lines, slices.DeleteFunc(got, func(l string) bool { return l == "first:x" }), lost)
				})
			})
		}
	}
}

// inTurn puts lines that came more than once to their place, if those that came once are in order in each target.
func inTurn(written string, got []string) (sorted []string) {
	times, place := map[string]int{}, map[string]int{}
	for _, line := range got {
		times[line]++
	}
	all := strings.Fields(strings.ReplaceAll(written, "|", " "))
	for i, line := range all {
		place[line] = i
	}
	last := map[string]int{}
	for _, line := range got {
		key, _, _ := strings.Cut(line, ":")
		switch {
		case times[line] > 1:
		case place[line] < last[key]:
			return got
		default:
			last[key] = place[line]
		}
	}
	for _, line := range all {
		if times[line] > 0 {
			sorted = append(sorted, line)
		}
	}
	return sorted
}

// TestStoreThatIsDown loses nothing, whatever 5xx it answers and for how long, and is not asked more than a store would be
// asked anyway.
func TestStoreThatIsDown(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		dead := &box{}
		onBench(t, wide(dead), func(b *bench) {
			lines := numbered("a", 50) + " " + numbered("b", 50) + "|" + numbered("c", 3)
			store := &taking{answer: unless("", down)}
			if fresh {
				b.sink.set(store.take)
				for _, line := range strings.Fields(strings.ReplaceAll(lines, "|", " ")) {
					key, text, _ := strings.Cut(line, ":")
					b.in.add(key, text)
				}
			} else {
				b.together(lines, store.take)
			}
			b.after(2 * time.Hour)
			if n := strings.Count(b.sink.requests(false), "\n"); n > 2*3600/15*8/5+20 { // a backoff is 15 s at least, of five tries one is a probe
				t.Errorf("%d requests in two hours", n)
			}
			store.now(always(accepted))
			b.after(5 * time.Minute)
			if len(dead.letters()) > 0 || b.lane.Sums().Dropped != [NumReasons]Count{} {
				t.Errorf("dropped %+v", b.lane.Sums().Dropped)
			}
			if len(store.got) != 103 {
				t.Errorf("%d lines arrived", len(store.got))
			}
			account(t, b, lines, store.got, nil)
		})
	}
}

// TestStoreGoesAtTheWorstMoment: a store that is back for just one half of what it did not take, and down again, says
// nothing about the other half.
func TestStoreGoesAtTheWorstMoment(t *testing.T) {
	for _, lines := range []string{"a:1 a:2", "a:1 b:1", numbered("a", 20), numbered("a", 10) + " " + numbered("b", 11)} {
		for _, a := range []Answer{broken, down} {
			dead := &box{}
			onBench(t, wide(dead), func(b *bench) {
				all := len(strings.Fields(lines))
				var taken atomic.Bool
				store := &taking{answer: func(_ context.Context, body string) Answer {
					if taken.Load() || strings.Count(body, "\n") == all {
						return a
					}
					taken.Store(true)
					return accepted
				}}
				b.together(lines, store.take)
				b.after(time.Hour)
				if l := dead.letters(); len(l) > 0 || !taken.Load() {
					t.Errorf("refused %q", l)
				}
				store.now(always(accepted))
				b.after(5 * time.Minute)
				account(t, b, lines, store.got, nil)
			})
		}
	}
}

// TestStoreThatComesAndGoes: outages that begin and end at any moment, and requests that fail at random, cost no line.
func TestStoreThatComesAndGoes(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd, own := rand.New(rand.NewPCG(seed, 2)), rand.New(rand.NewPCG(seed, 3)) // the store's, and the test's own
			dead := &box{}
			onBench(t, func(o *Options) { wide(dead)(o); o.MaxBatch, o.BlockSize = 2000, 700 }, func(b *bench) {
				store := &taking{}
				until, up := time.Time{}, true
				at := time.Now()
				store.answer = func(context.Context, string) Answer {
					time.Sleep(time.Duration(rnd.Int64N(int64(100 * time.Millisecond))))
					switch {
					case seed%2 == 0: // at random
						if rnd.IntN(100) < 2*int(seed) {
							return broken
						}
						return accepted
					case time.Now().After(until):
						up = !up
						until = time.Now().Add(time.Duration(rnd.Int64N(int64(time.Second) << rnd.IntN(7))))
					}
					if up {
						return accepted
					}
					return []Answer{down, broken}[int(time.Since(at)/time.Minute)%2]
				}
				b.sink.set(store.take)
				written := map[string]int{}
				for range 150 {
					key := fmt.Sprintf("t%d", own.IntN(4))
					for range 1 + own.IntN(12) {
						b.in.add(key, fmt.Sprintf("%05d", written[key]))
						written[key]++
					}
					b.after(time.Duration(own.Int64N(int64(time.Second))))
				}
				store.now(always(accepted))
				b.after(10 * time.Minute)
				var all []string
				for key, n := range written {
					for i := range n {
						all = append(all, fmt.Sprintf("%s:%05d", key, i))
					}
				}
				if l := dead.letters(); len(l) > 0 {
					t.Fatalf("refused %q", l)
				}
				account(t, b, strings.Join(all, " "), inTurn(strings.Join(all, " "), store.got), nil)
			})
		})
	}
}

// TestWhatIsNo5xx: connection errors and 429 say nothing about a body, however often they come.
func TestWhatIsNo5xx(t *testing.T) {
	for _, a := range []Answer{
		{Outcome: Failed, Code: "error", Err: errors.New("connection refused")},
		{Outcome: Failed, Code: "404", Err: errors.New("404")},
	} {
		onBench(t, wide(nil), func(b *bench) {
			b.together("a:1 a:2 b:1", func(context.Context, string) Answer { return a })
			b.after(10 * time.Minute)
			for _, r := range strings.Split(b.sink.requests(false), "\n") {
				if r != "a:1 a:2 b:1" {
					t.Errorf("%s: sent %q", a.Code, r)
				}
			}
		})
	}
}

// TestLoneRecordWithoutAWitness: a store that has never taken anything can't be told from one that is down.
func TestLoneRecordWithoutAWitness(t *testing.T) {
	dead := &box{}
	onBench(t, wide(dead), func(b *bench) {
		b.sink.set(unless("bad", broken))
		b.in.add("a", "bad")
		b.after(time.Hour)
		if f := b.in.find("a").Account.Snapshot(); f.Pending.Lines != 1 || len(dead.letters()) > 0 {
			t.Errorf("pending %+v", f.Pending)
		}
	})
}

// Test413Teaches: after requests were refused for their size, they are made smaller: none is refused any more. It is
// said once.
func Test413Teaches(t *testing.T) {
	const most = 80 << 10
	onBench(t, func(o *Options) { o.BlockSize, o.MaxBatch, o.MaxLine, o.Blocks = 256<<10, 1<<20, 1000, 12 }, func(b *bench) {
		var got []string
		large := 0
		b.sink.set(func(_ context.Context, body string) Answer {
			if len(body) > most {
				large++
				return tooLarge
			}
			got = append(got, strings.Fields(body)...)
			return accepted
		})
		next := 0
		write := func() {
			for range 10_000 {
				b.in.add("ab"[next%2:next%2+1], fmt.Sprintf("%0100d", next))
				next++
			}
			b.after(time.Minute)
		}
		write()
		if large == 0 || b.lane.limit.Load() < leastLimit || b.lane.limit.Load() > most {
			t.Errorf("%d requests were refused, the limit is %d", large, b.lane.limit.Load())
		}
		large = 0
		for range 3 {
			write()
		}
		if large > 0 {
			t.Errorf("%d requests were too large afterwards", large)
		}
		if len(got) != next || b.lane.Sums().Dropped != [NumReasons]Count{} {
			t.Errorf("%d of %d lines arrived", len(got), next)
		}
		last := map[string]string{}
		for _, line := range got {
			key, text, _ := strings.Cut(line, ":")
			if text <= last[key] {
				t.Fatalf("%s came after %s", line, last[key])
			}
			last[key] = text
		}
		if n := strings.Count(b.logged.take(), "refuses requests for their size"); n != 1 {
			t.Errorf("said %d times", n)
		}
	})
}

// TestLeftOut: what a store says that it left out of a request which it took is booked to a target where that is certain.
func TestLeftOut(t *testing.T) {
	left := func(n int64) func(context.Context, string) Answer {
		return func(context.Context, string) Answer {
			return Answer{Code: "200", LeftOut: n, Reason: Rejected, Err: errors.New("some are too old")}
		}
	}
	tests := []struct {
		name, lines string
		out         int64
		dropped     string // of a and b
		lane        int64
		doubtful    int64
		letters     int
	}{
		{"one target", "a:1 a:22 a:333 | a:4444", 2, "a 2", 0, 0, 0},
		{"more than its first segment", "a:1 a:22 | a:333 a:4444", 3, "a 3", 0, 0, 0},
		{"all of it", "a:1 a:2", 2, "a 2", 0, 0, 2},
		{"more than there is", "a:1 b:2", 5, "a 1 b 1", 0, 0, 2},
		{"a single record", "a:1", SomeLeftOut, "a 1", 0, 0, 1},
		{"several targets", "a:1 a:2 b:1", 2, "", 2, 3, 0},
		{"some", "a:1 a:2", SomeLeftOut, "", 1, 2, 0},
		{"two streams of a target", "a:1 a:!2 a:3", 1, "a 1", 0, 2, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dead := &box{}
			onBench(t, func(o *Options) { wide(dead)(o); o.Sink.(*fakeSink).apart = true }, func(b *bench) {
				b.together(tt.lines, left(tt.out))
				b.after(time.Second)
				if n := strings.Count(b.sink.requests(false), "\n"); n > 0 {
					t.Errorf("%d requests too many", n)
				}
				var dropped []string
				var doubtful int64
				for _, ft := range b.in.all[1:] {
					f := ft.Account.Snapshot()
					if n := f.Dropped[Rejected].Lines; n > 0 {
						dropped = append(dropped, fmt.Sprint(ft.Key, " ", n))
					}
					doubtful += f.Doubtful
				}
				if got := strings.Join(dropped, " "); got != tt.dropped {
					t.Errorf("dropped %q, want %q", got, tt.dropped)
				}
				if n := b.lane.Stats().LeftOut()[Rejected]; n != tt.lane || doubtful != tt.doubtful {
					t.Errorf("the lane has %d, want %d; %d are doubtful, want %d", n, tt.lane, doubtful, tt.doubtful)
				}
				if n := b.lane.Sums().Dropped[Rejected].Lines; n == 0 {
					t.Error("the sums don't have it")
				}
				if l := dead.letters(); len(l) != tt.letters {
					t.Errorf("dead letters %q, want %d", l, tt.letters)
				}
				b.in.check()
			})
		})
	}
}

// TestOneStream: each request holds one stream of one target, and a segment is settled when both of its streams are.
func TestOneStream(t *testing.T) {
	tests := []struct {
		name       string
		lines      string
		answer     func(context.Context, string) Answer
		sent, home string
	}{
		{
			"all is well", "a:1 a:!2 b:1 a:3 | b:!2 a:!4", nil,
			"a:1 a:3, a:!2 a:!4, b:1, b:!2",
			"a[0:3] delivered, b[0:1] delivered, a[3:4] delivered, b[1:2] delivered",
		}, {
			"one stream is throttled: its segments go back, those before don't", "a:1 | a:2 a:!3 | a:4 b:1", unless("!", oneIsBad),
			"a:1 a:2 a:4, a:!3, b:1",
			"a[0:1] delivered, a[1:3] back, a[3:4] stale, b[0:1] delivered",
		}, {
			"the first stream is throttled: the other one waits with it", "a:!1 a:2 | a:3", unless("3", oneIsBad),
			"a:2 a:3",
			"a[0:2] back, a[2:3] stale",
		}, {
			"a record is refused", "a:1 a:!2 a:!bad | a:3", unless("bad", refused),
			"a:1 a:3, a:!2 a:!bad, a:!2, a:!bad",
			"a[0:3] delivered, a[3:4] delivered",
		}, {
			"a range without a record behind a stream that goes back", "a:!1 a:2 | a:#", unless("!", oneIsBad),
			"a:2, a:!1",
			"a[0:2] back, a[2:3] stale",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, func(o *Options) { wide(nil)(o); o.OneStream = true; o.Sink.(*fakeSink).apart = true }, func(b *bench) {
				b.together(tt.lines, tt.answer)
				b.ruled("a")
				sorted := strings.Split(b.sink.requests(false), "\n")
				slices.Sort(sorted)
				want := strings.Split(tt.sent, ", ")
				slices.Sort(want)
				if got := strings.Join(sorted, ", "); got != strings.Join(want, ", ") {
					t.Errorf("sent %s, want %s", got, strings.Join(want, ", "))
				}
				b.home("first[0:1] delivered\n" + strings.ReplaceAll(tt.home, ", ", "\n"))
				b.settlesAll()
			})
		})
	}
}

// TestOneStreamStaysBelowMaxBody: what is one stream is cut before it is asked for, where it could be too large; and what
// is refused in a part of it is singled out before the next part is sent.
func TestOneStreamStaysBelowMaxBody(t *testing.T) {
	for _, lines := range []string{numbered("a", 100) + " " + numbered("b", 5), numbered("a", 100, 3, 60)} {
		dead := &box{}
		onBench(t, func(o *Options) { wide(dead)(o); o.OneStream, o.MaxBody = true, 3000 }, func(b *bench) {
			store := &taking{answer: func(_ context.Context, body string) Answer {
				if strings.Count(body, "\n")*perRecord > 3000 {
					t.Errorf("%d lines in a request", strings.Count(body, "\n"))
				}
				return unless("bad", refused)(context.Background(), body)
			}}
			b.together(lines, store.take)
			b.after(time.Second)
			lost := dead.letters()
			if len(lost) != strings.Count(lines, "bad") {
				t.Errorf("refused %q", lost)
			}
			account(t, b, lines, store.got, lost)
		})
	}
}
