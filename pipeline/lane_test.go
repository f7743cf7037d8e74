package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestLoneLineGoesAtOnce(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.after(time.Second)
		b.in.add("a", "1")
		b.after(0)
		if got := b.sink.requests(true); got != "1s a:1" {
			t.Errorf("sent %q", got)
		}
		b.home("a[0:1] delivered")
	})
}

// TestStreamGoesInBatches: the first line of a stream goes at once, what follows within max_wait goes together.
func TestStreamGoesInBatches(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.after(time.Second)
		for i := range 10 {
			b.in.add("a", fmt.Sprint(i))
			b.after(60 * time.Millisecond)
		}
		b.after(time.Second)
		if got, want := b.sink.requests(true), "1s a:0\n1.2s a:1 a:2 a:3\n1.4s a:4 a:5 a:6\n1.6s a:7 a:8 a:9"; got != want {
			t.Errorf("sent\n%s\nwant\n%s", got, want)
		}
	})
}

// TestWakeUpAfterPass: a target that wakes while the reader holds no block is read at once, not when the reader's rest
// is over.
func TestWakeUpAfterPass(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.in.beQuiet()
		b.after(time.Second)
		b.sink.set(func(context.Context, string) Answer { time.Sleep(5 * time.Second); return accepted })
		b.in.add("a", "1")
		b.after(time.Second)
		b.in.add("a", "2")
		b.after(0)
		if got, want := b.lane.Rows(nil)[0].Read.Lines, int64(2); got != want {
			t.Errorf("%d lines were read, want %d", got, want)
		}
	})
}

// TestWakeUpJustBeforeSleep: a target that wakes when the reader has just looked, and does not sleep yet, is read at once.
func TestWakeUpJustBeforeSleep(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.in.beQuiet()
		b.sink.set(func(context.Context, string) Answer { time.Sleep(5 * time.Second); return accepted })
		b.after(1050 * time.Millisecond) // out of step with the keeper, which wakes the reader now and then
		then := func() { b.in.add("a", "2") }
		b.in.open[0].then.Store(&then)
		b.in.add("a", "1")
		b.after(0)
		if got := b.lane.Rows(nil)[0].Read.Lines; got != 2 {
			t.Errorf("%d lines were read, want 2", got)
		}
	})
}

// TestBlocksGather: while a request is out, blocks gather as long as one more fits into MaxBatch; a full batch waits for the sender.
func TestBlocksGather(t *testing.T) {
	onBench(t, func(o *Options) { o.Blocks = 20 }, func(b *bench) {
		b.sink.set(func(context.Context, string) Answer { time.Sleep(3 * time.Second); return accepted })
		b.in.add("a", "1")
		b.after(time.Second)
		b.in.add("a", fill(0, 72)...) // seven blocks and a bit
		b.after(time.Minute)
		var sizes []int
		for _, r := range strings.Split(b.sink.requests(false), "\n") {
			sizes = append(sizes, len(strings.Fields(r)))
		}
		if got, want := fmt.Sprint(sizes), "[1 20 20 20 12]"; got != want {
			t.Errorf("records in the requests %s, want %s", got, want)
		}
		if got := b.in.settled("a"); got != 73 {
			t.Errorf("%d lines settled", got)
		}
	})
}

// TestBodyStaysInBounds: a store's limit of a request's uncompressed bytes is kept, however long the records become.
func TestBodyStaysInBounds(t *testing.T) {
	const block = 100 + 100 + perRecord // one record for 100 bytes
	onBench(t, func(o *Options) { o.Blocks, o.MaxBatch, o.MaxBody = 20, 2000, block+100 }, func(b *bench) {
		b.sink.set(func(context.Context, string) Answer { time.Sleep(3 * time.Second); return accepted })
		b.in.add("a", "1")
		b.after(time.Second)
		b.in.add("a", fill(0, 72)...)
		b.after(time.Minute)
		for _, r := range strings.Split(b.sink.requests(false), "\n") {
			if len(r) > block+100 {
				t.Errorf("a body of %d bytes", len(r))
			}
		}
		if got := b.in.settled("a"); got != 73 {
			t.Errorf("%d lines settled", got)
		}
	})
}

// TestBackpressure: with all blocks out the reader reads no more and looks at the files now and then; memory is bounded.
func TestBackpressure(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.sink.set(func(ctx context.Context, _ string) Answer { <-ctx.Done(); return down })
		b.in.add("a", fill(0, 1000)...)
		b.after(21 * time.Second)
		if got := b.lane.Rows(nil)[0].Read.Lines; got != 80 {
			t.Errorf("%d lines were read; the lane has 8 blocks of 10", got)
		}
		if b.in.looks != 5 {
			t.Errorf("looked %d times in 21 s, want 5", b.in.looks)
		}
		b.beats.allWait(t)
	})
}

// TestDrain: when ctx ends, what is in hand is still delivered, and no more is read.
func TestDrain(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second} { // the store's second answer comes before, or a second after
		onBench(t, nil, func(b *bench) {
			first := true
			b.sink.set(func(context.Context, string) Answer {
				if !first {
					time.Sleep(after)
				}
				first = false
				return accepted
			})
			b.in.add("a", "1")
			b.after(0)
			b.in.add("a", "2") // read, and waits in a block for the end of max_wait
			b.after(0)
			b.stop()
			b.in.add("a", "3")
			<-b.ended
			b.sent("a:1\na:2")
			b.home("a[0:1] delivered\na[1:2] delivered")
			if c := reopen(t, b.store); c["a"] != 2 {
				t.Errorf("saved %v", c)
			}
		})
	}
}

// TestDrainEnds: when the time to drain is up, what is not sent goes home unsent and its cursor stays where it is; also
// that of a later range without a record, which needs no request.
func TestDrainEnds(t *testing.T) {
	onBench(t, func(o *Options) { o.MaxBatch = 1 }, func(b *bench) {
		b.in.add("a", "1")
		b.after(time.Second)
		b.sink.set(func(context.Context, string) Answer { return down })
		b.in.add("a", "2")
		b.after(time.Second)
		b.in.add("a", "#range")
		b.in.add("b", "#range")
		b.after(time.Second)
		b.stop()
		b.after(time.Minute)
		b.giveUp()
		<-b.ended
		b.home("a[0:1] delivered\na[1:2] unsent\na[2:3] unsent\nb[0:1] unsent")
		if got := b.in.settled("a"); got != 1 {
			t.Errorf("the cursor is at %d, and line 1 was never sent", got)
		}
		if c := reopen(t, b.store); c["a"] != 1 {
			t.Errorf("saved %v", c)
		}
	})
}

// TestAcceptedAtTheEnd: an answer that comes when the time to drain is up counts all the same.
func TestAcceptedAtTheEnd(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.sink.set(func(ctx context.Context, _ string) Answer { <-ctx.Done(); return accepted })
		b.in.add("a", "1")
		b.after(time.Second)
		b.stop()
		b.giveUp()
		<-b.ended
		b.home("a[0:1] delivered")
		if c := reopen(t, b.store); c["a"] != 1 {
			t.Errorf("saved %v", c)
		}
	})
}

// TestStopInEveryState: with the store down, the lane ends when it is told to, keeps still until then, and leaves nothing
// running.
func TestStopInEveryState(t *testing.T) {
	for name, lines := range map[string]int{"idle": 0, "retrying": 1, "both batches full": 60, "starving": 1000} {
		t.Run(name, func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				b.sink.set(func(context.Context, string) Answer { return down })
				b.in.add("a", fill(0, lines)...)
				b.after(time.Minute)
				b.stop()
				b.in.add("a", "more") // wakes a reader that will not read it
				b.after(time.Minute)  // a reader that spins would never let the bubble's clock go on
				b.beats.allWait(t)
				if lines > 0 {
					select {
					case <-b.ended:
						t.Error("the lane has ended with lines in hand")
					default:
					}
				}
				b.giveUp()
				<-b.ended
				if lines > 0 && b.in.settled("a") != 0 {
					t.Error("the cursor has moved")
				}
			})
		})
	}
}

// TestRangesWithoutRecords move the cursor and are nothing to send.
func TestRangesWithoutRecords(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.in.add("a", "#1", "#2")
		b.after(time.Second)
		b.sent("")
		b.home("a[0:2] delivered")
		b.in.add("a", "#3", "4")
		b.after(time.Second)
		b.sent("a:4")
		b.home("a[2:4] delivered")
	})
}

func TestMaxRate(t *testing.T) {
	onBench(t, func(o *Options) { o.MaxRate = 100; o.MaxBatch = 1 }, func(b *bench) {
		b.in.add("a", fill(0, 60)...) // six blocks of 100 bytes
		b.after(time.Minute)
		b.after(10 * time.Minute) // in which no right to a burst is earned
		b.in.add("a", fill(0, 30)...)
		b.after(time.Minute)
		times := ""
		for _, r := range strings.Split(b.sink.requests(true), "\n") {
			at, _, _ := strings.Cut(r, " ")
			times += at + " "
		}
		if want := "0s 1s 2s 3s 4s 5s 11m0s 11m1s 11m2s "; times != want {
			t.Errorf("sent at %s, want %s", times, want)
		}
	})
}

// reopen is what the store's folder holds, as a new process would find it: offsets by key.
func reopen(t *testing.T, s *Store) map[string]int64 {
	t.Helper()
	again, err := OpenStore(s.dir, s.log)
	if err != nil {
		t.Fatal(err)
	}
	offsets := make(map[string]int64)
	for key, c := range again.found {
		offsets[key] = c.Generations[0].Offset
	}
	return offsets
}
