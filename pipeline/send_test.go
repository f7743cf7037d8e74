package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// answers gives one answer after the other; the last one stays.
func answers(list ...Answer) func(context.Context, string) Answer {
	n := 0
	return func(context.Context, string) Answer {
		n++
		return list[min(n, len(list))-1]
	}
}

// unless answers with bad if the body has the word, and accepts everything else.
func unless(word string, bad Answer) func(context.Context, string) Answer {
	return func(_ context.Context, body string) Answer {
		if strings.Contains(body, word) {
			return bad
		}
		return accepted
	}
}

// together lets lines "a:1 a:# b:1|a:2" of two blocks go in one request, behind one of the line "first:x".
func (b *bench) together(lines string, answer func(context.Context, string) Answer) {
	release := make(chan struct{})
	b.sink.set(func(context.Context, string) Answer { <-release; return accepted })
	b.in.add("first", "x")
	b.after(time.Second)
	for _, block := range strings.Split(lines, "|") {
		b.in.addAll(block)
		b.after(time.Second)
	}
	b.sink.requests(false)
	b.in.history()
	b.sink.set(answer)
	close(release)
}

// ruled waits until all verdicts of a target are there, and no further: what goes back comes again after a while.
func (b *bench) ruled(key string) {
	for range 500 {
		if b.in.underway(key) == 0 {
			return
		}
		b.after(10 * time.Millisecond)
	}
	b.t.Errorf("%s has no verdict after 5 s", key)
}

// settlesAll lets the store take everything from now on, and expects all lines to be settled in the end.
func (b *bench) settlesAll() {
	b.t.Helper()
	b.sink.set(nil)
	b.after(5 * time.Minute)
	for _, ft := range b.in.all {
		if ft.settled != len(ft.lines) {
			b.t.Errorf("%s: %d of %d lines are settled in the end", ft.Key, ft.settled, len(ft.lines))
		}
	}
}

// TestVerdicts: three targets in one request, one of them with two segments, and what becomes of them by the answers of
// the store. The request with "first" only makes sure that the others go together.
func TestVerdicts(t *testing.T) {
	tests := []struct {
		name       string
		lines      string // "a:1 a:# b:1|a:2" of two blocks
		answer     func(context.Context, string) Answer
		sent, home string
	}{
		{
			"all is well", "a:1 b:1 c:1 | a:2", nil,
			"a:1 b:1 c:1 a:2",
			"a[0:1] delivered, b[0:1] delivered, c[0:1] delivered, a[1:2] delivered",
		}, {
			"one target, one segment refused", "a:bad", unless("bad", refused),
			"a:bad",
			"a[0:1] refused",
		}, {
			"one target refused: only the guilty segment is dropped", "a:1 | a:bad | a:3", unless("bad", refused),
			"a:1 a:bad a:3, a:1, a:bad a:3, a:bad, a:3",
			"a[0:1] delivered, a[1:2] refused, a[2:3] delivered",
		}, {
			"several targets refused: only the guilty one's segment is dropped", "a:1 b:bad c:1 | b:2", unless("bad", refused),
			"a:1 b:bad c:1 b:2, a:1, b:bad b:2 c:1, b:bad b:2, c:1, b:bad, b:2",
			"a[0:1] delivered, b[0:1] refused, c[0:1] delivered, b[1:2] delivered",
		}, {
			"one target throttled goes back, and what follows of it", "a:1 b:fast c:1 | b:2 c:2", unless("b:", oneIsBad),
			"a:1 b:fast c:1 b:2 c:2, a:1, b:fast b:2, c:1 c:2",
			"a[0:1] delivered, b[0:1] back, c[0:1] delivered, b[1:2] stale, c[1:2] delivered",
		}, {
			"alone, too", "a:fast", unless("fast", oneIsBad),
			"a:fast",
			"a[0:1] back",
		}, {
			"the third 429 is resolved by target", "a:1 b:fast c:1", unless("fast", enough),
			"a:1 b:fast c:1, a:1 b:fast c:1, a:1 b:fast c:1, a:1, b:fast, c:1",
			"a[0:1] delivered, b[0:1] back, c[0:1] delivered",
		}, {
			"the third 429 of a single target", "a:1", answers(enough, enough, enough, accepted),
			"a:1, a:1, a:1",
			"a[0:1] back",
		}, {
			"two 429 are tried again", "a:1 b:1", answers(enough, enough, accepted),
			"a:1 b:1, a:1 b:1, a:1 b:1",
			"a[0:1] delivered, b[0:1] delivered",
		}, {
			"a failure is tried again", "a:1 b:1", answers(down, down, down, down, accepted),
			"a:1 b:1, a:1 b:1, a:1 b:1, a:1 b:1, a:1 b:1",
			"a[0:1] delivered, b[0:1] delivered",
		}, {
			"a failure while it is taken apart", "a:1 b:1 c:1", answers(refused, accepted, down, refused, refused, accepted),
			"a:1 b:1 c:1, a:1, b:1 c:1, b:1 c:1, b:1, c:1",
			"a[0:1] delivered, b[0:1] refused, c[0:1] delivered",
		}, {
			"a range without a record is never asked for", "a:# b:bad c:# | c:#", unless("bad", refused),
			"b:bad",
			"a[0:1] delivered, b[0:1] refused, c[0:1] delivered, c[1:2] delivered",
		}, {
			"throttled while it is taken apart by segment", "a:1 | a:bad | a:3 | a:#", answers(refused, accepted, enough),
			"a:1 a:bad a:3, a:1, a:bad a:3",
			"a[0:1] delivered, a[1:2] back, a[2:3] stale, a[3:4] stale",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, func(o *Options) { o.Blocks = 12; o.MaxBatch = 10_000; o.BlockSize = 1000 }, func(b *bench) {
				b.together(tt.lines, tt.answer)
				b.ruled("a")
				b.sent(strings.ReplaceAll(tt.sent, ", ", "\n"))
				b.home("first[0:1] delivered\n" + strings.ReplaceAll(tt.home, ", ", "\n"))
				b.settlesAll()
			})
		})
	}
}

// TestOrderOverBack: a target that goes back again and again arrives in order, all of it, whatever of it was under way;
// the others never wait for it. The fake reader watches that no cursor jumps.
func TestOrderOverBack(t *testing.T) {
	onBench(t, func(o *Options) { o.MaxBatch = 150 }, func(b *bench) {
		got := make(map[string][]string)
		n := 0
		b.sink.set(func(_ context.Context, body string) Answer {
			if n++; strings.Contains(body, "b:") && n%3 != 0 {
				return oneIsBad
			}
			for _, line := range strings.Fields(body) {
				key, text, _ := strings.Cut(line, ":")
				if list := got[key]; len(list) > 0 && list[len(list)-1] >= text && key == "b" {
					t.Errorf("%s came after %s", line, list[len(list)-1])
				}
				got[key] = append(got[key], text)
			}
			time.Sleep(30 * time.Millisecond)
			return accepted
		})
		for i := range 40 {
			b.in.add("a", fmt.Sprintf("%04d", i))
			b.in.add("b", fmt.Sprintf("%04d", i))
			b.after(100 * time.Millisecond)
		}
		b.after(time.Second)
		if b.in.settled("a") != 40 {
			t.Errorf("a waits for b: %d lines", b.in.settled("a"))
		}
		b.after(5 * time.Minute)
		if b.in.settled("b") != 40 || len(got["b"]) != 40 {
			t.Errorf("b: %d lines settled, %d arrived", b.in.settled("b"), len(got["b"]))
		}
	})
}

// TestStaleIsLeftOut: when a target goes back, its later lines that are encoded already are not sent.
func TestStaleIsLeftOut(t *testing.T) {
	onBench(t, func(o *Options) { o.BlockSize = 1000; o.MaxBatch = 1 }, func(b *bench) {
		release := make(chan Answer)
		b.sink.set(func(context.Context, string) Answer { return <-release })
		for i := range 3 { // one is sent, one is encoded, one waits in a block
			b.in.add("b", fmt.Sprint(i))
			b.in.add("c", fmt.Sprint(i))
			b.after(time.Second)
		}
		release <- oneIsBad
		b.after(0)
		b.sent("b:0 c:0\nb:0")
		release <- oneIsBad // b alone
		release <- accepted // c alone
		b.after(0)
		b.sent("c:0\nc:1")
		release <- accepted
		b.after(0)
		b.sent("c:2")
		release <- accepted
		b.after(0)
		b.home("b[0:1] back\nc[0:1] delivered\nb[1:2] stale\nc[1:2] delivered\nb[2:3] stale\nc[2:3] delivered")
		b.after(2 * time.Second)
		b.sent("b:0 b:1 b:2")
		release <- accepted
		b.after(0)
		b.home("b[0:3] delivered")
		close(release)
	})
}

// TestRetryAfterOfATarget: what the store asks a target to wait goes home with it, and the others don't wait.
func TestRetryAfterOfATarget(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		later := oneIsBad
		later.RetryAfter = 10 * time.Minute
		b.sink.set(unless("b:", later))
		b.in.add("a", "1")
		b.in.add("b", "1")
		b.in.add("c", "1")
		b.after(time.Second)
		b.sink.requests(false)
		wait := time.Until(b.in.find("b").wait)
		if wait < 9*time.Minute || wait > 12*time.Minute {
			t.Errorf("b waits %s", wait)
		}
		b.in.add("a", "2")
		b.after(time.Second)
		b.sent("a:2")
		b.sink.set(nil)
		b.after(13 * time.Minute)
		b.sent("b:1")
	})
}

// TestStoreThrottlesEverybody: when a request is taken apart and target after target is throttled, the store is asked
// slower and slower, and obeyed; not a thousand times at once.
func TestStoreThrottlesEverybody(t *testing.T) {
	onBench(t, func(o *Options) { o.BlockSize = 1000; o.MaxBatch = 10_000 }, func(b *bench) {
		later := enough
		later.RetryAfter = 10 * time.Second
		b.sink.set(func(context.Context, string) Answer { return later })
		lines := ""
		for i := range 20 {
			lines += fmt.Sprintf(" t%02d:1", i)
		}
		b.in.addAll(lines)
		b.after(2 * time.Minute)
		if n := len(strings.Split(b.sink.requests(false), "\n")); n < 9 || n > 14 {
			t.Errorf("%d requests in two minutes to a store that asks for ten seconds of peace", n)
		}
		b.sink.set(nil)
		b.after(time.Minute)
		for _, ft := range b.in.all {
			if ft.settled != 1 {
				t.Errorf("%s has not arrived", ft.Key)
			}
		}
	})
}

// TestThirdThrottleIsObeyed: before a request is taken apart, the store is given the time that it asked for.
func TestThirdThrottleIsObeyed(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		later := enough
		later.RetryAfter = 100 * time.Second
		b.sink.set(answers(later, later, later, accepted))
		b.in.add("a", "1")
		b.in.add("b", "1")
		b.after(100 * 3 * time.Second)
		b.sent("a:1 b:1\na:1 b:1\na:1 b:1")
		b.after(70 * time.Second)
		b.sent("a:1\nb:1")
	})
}

// TestByTargetOfMany: a batch of a thousand targets is taken apart in the order of the batch, and without a square of work.
func TestByTargetOfMany(t *testing.T) {
	const targets = 1000
	onBench(t, func(o *Options) { o.BlockSize = 1 << 20; o.MaxBatch = 1 << 21 }, func(b *bench) {
		var sent []string
		apart := func(_ context.Context, body string) Answer {
			if n := strings.Count(body, "\n"); n > 2 {
				return refused
			}
			sent = append(sent, body)
			return accepted
		}
		release := make(chan struct{})
		b.sink.set(func(context.Context, string) Answer { <-release; return accepted })
		b.in.add("first", "x")
		b.after(time.Second)
		for round := range 2 {
			for i := range targets {
				b.in.add(fmt.Sprintf("t%04d", i), fmt.Sprint(round))
			}
			b.after(time.Second)
		}
		b.sink.set(apart)
		close(release)
		b.after(time.Second)
		if len(sent) != targets {
			t.Fatalf("%d requests", len(sent))
		}
		for i, body := range sent {
			if want := fmt.Sprintf("t%04d:0\nt%04d:1\n", i, i); body != want {
				t.Fatalf("request %d is %q, want %q", i, body, want)
			}
		}
	})
}

// TestStopWhileApart: the time to drain ends in the middle of a request that is taken apart. What was delivered is; the
// rest stays.
func TestStopWhileApart(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		n := 0
		b.sink.set(func(ctx context.Context, _ string) Answer {
			switch n++; n {
			case 1:
				return refused
			case 2:
				return accepted
			}
			<-ctx.Done()
			return down
		})
		for _, key := range []string{"a", "b", "c"} {
			b.in.add(key, "1")
		}
		b.in.add("d", "#")
		b.after(time.Second)
		b.stop()
		b.giveUp()
		<-b.ended
		b.home("a[0:1] delivered\nb[0:1] unsent\nc[0:1] unsent\nd[0:1] delivered")
	})
}
