package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// stamped makes lines of n bytes that say when they were written.
func stamped(n, from, to int) (lines []string) {
	for i := from; i < to; i++ {
		line := fmt.Sprintf("@%s %06d ", time.Now().UTC().Format(time.RFC3339Nano), i)
		lines = append(lines, line+strings.Repeat(".", max(0, n-len(line))))
	}
	return lines
}

// onPacedBench is a bench whose streams are held to a rate, with a store whose limit is another. Blocks hold 2,000 bytes,
// requests 8,000.
func onPacedBench(t *testing.T, rate int64, store *limitedStore, shards int, test func(b *bench)) {
	onBench(t, func(o *Options) {
		o.BlockSize, o.MaxLine, o.MaxBatch, o.Blocks, o.MaxShards = 2000, 200, 8000, 12, shards
		o.MaxWait = 20 * time.Millisecond
		sink := o.Sink.(*fakeSink)
		if rate > 0 {
			all := NewStreams(rate)
			sink.limits = func(key string) [2]*Stream { return [2]*Stream{all.Of(streamOf(key))} }
		}
		sink.set(store.answer)
	}, test)
}

// TestThrottledTargetCostsOthersNothing: one of a hundred writes twice what the store takes of a stream. The others have
// their lines there within what it takes without that one; and it has caught up when the store allows.
func TestThrottledTargetCostsOthersNothing(t *testing.T) {
	const rate = 2000
	store := newLimitedStore(rate)
	store.trip = func() (there, back time.Duration) { return time.Millisecond, time.Millisecond }
	onPacedBench(t, rate, store, 1, func(b *bench) {
		written := map[string][]string{}
		write := func(target string, size, n int) {
			lines := stamped(size, len(written[target]), len(written[target])+n)
			written[target] = append(written[target], lines...)
			b.in.add(target, lines...)
		}
		b.after(10 * time.Second)
		const seconds = 30
		for range seconds * 20 { // 200 bytes each 50 ms
			write("loud", 100, 2)
			for i := range 100 {
				if rand.IntN(20) == 0 {
					write(fmt.Sprintf("quiet%02d", i), 60, 1)
				}
			}
			b.after(50 * time.Millisecond)
		}
		store.mu.Lock()
		for target := range written {
			if took := store.took[target]; target != "loud" && took > 50*time.Millisecond {
				t.Errorf("%s waited %s", target, took)
			}
		}
		if n := len(store.lines["loud"]); store.took["loud"] < 5*time.Second || n*100 < 9*rate*seconds/10 {
			t.Errorf("the loud one got %d of %d lines through, the slowest in %s: that is not what the store takes",
				n, len(written["loud"]), store.took["loud"])
		}
		store.mu.Unlock()
		b.after(30 * time.Second)
		for target, lines := range written {
			store.verify(t, target, lines)
		}
		if store.refusals() > 0 || b.lane.Stats().Requests()["429"] > 0 {
			t.Errorf("%d streams were refused silently, %d aloud", store.refusals(), b.lane.Stats().Requests()["429"])
		}
	})
}

// TestNothingIsLostBehindA204: targets that share streams or have their own, over several shards, write in bursts of any
// size to a store that is near or far, or fails, having stored a request or not. No stream is ever refused: neither
// silently, which would be a loss, nor aloud.
func TestNothingIsLostBehindA204(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			rate := 1000 + rnd.IntN(4000)
			store := newLimitedStore(float64(rate))
			longest := time.Duration(1 << (10 + rnd.IntN(22))) // 1 µs to 4 s
			store.trip = func() (there, back time.Duration) {
				return time.Duration(rnd.Int64N(int64(longest))), time.Duration(rnd.Int64N(int64(longest)))
			}
			broken := 0.0
			if seed%3 == 0 {
				broken = 0.3
			}
			store.fails = func() (stored, answered bool) {
				return rnd.Float64() >= broken/2, rnd.Float64() >= broken/2
			}
			onPacedBench(t, int64(rate), store, 1+int(seed%3), func(b *bench) {
				written := map[string][]string{}
				for range 200 {
					store.mu.Lock() // it guards rnd
					target, n := fmt.Sprintf("s%d-%d", rnd.IntN(3), rnd.IntN(2)), 1<<rnd.IntN(7)
					pause := time.Duration(rnd.IntN(1000)) * time.Millisecond
					store.mu.Unlock()
					lines := stamped(40+n%100, len(written[target]), len(written[target])+n)
					written[target] = append(written[target], lines...)
					b.in.add(target, lines...)
					b.after(pause)
				}
				b.after(5 * time.Minute)
				for target, lines := range written {
					store.verify(t, target, lines)
				}
				if t.Failed() {
					for _, r := range b.lane.Rows(nil) {
						t.Logf("%s: %+v", r.Target.Key, r.Figures)
					}
					t.Logf("%v\n%s", b.lane.Stats().Requests(), b.logged.take())
				}
				if store.refusals() > 0 {
					t.Errorf("%d streams were refused without a word", store.refusals())
				}
				if n := b.lane.Stats().Requests()["429"]; n > 0 && broken == 0 {
					t.Errorf("%d requests were refused for one stream", n)
				}
			})
		})
	}
}

// TestStoreTakesLess: where the store's limit is below the rate, it says so sooner or later; then the stream goes alone,
// and slower, so that no more can be lost silently.
func TestStoreTakesLess(t *testing.T) {
	store := newLimitedStore(1000)
	onPacedBench(t, 4000, store, 1, func(b *bench) {
		b.after(10 * time.Second)
		lines := stamped(100, 0, 300)
		b.in.add("loud", lines...) // alone with all of it: whatever the store says is about this stream
		b.after(10 * time.Second)
		b.in.add("quiet", stamped(100, 0, 1)...)
		b.after(5 * time.Minute)
		store.verify(t, "loud", lines)
		if b.lane.Stats().Requests()["429"] == 0 || store.refusals() > 0 {
			t.Errorf("%v, %d streams were refused silently", b.lane.Stats().Requests(), store.refusals())
		}
		for range 4000 { // twice what the store takes, and a good stream behind it in every request
			more := stamped(100, len(lines), len(lines)+1)
			lines = append(lines, more...)
			b.in.add("loud", more...)
			b.in.add("quiet", stamped(100, 0, 1)...)
			b.after(50 * time.Millisecond)
		}
		b.after(10 * time.Minute)
		store.verify(t, "loud", lines)
		if store.refusals() > 0 {
			t.Errorf("%d streams were refused silently", store.refusals())
		}
		if got := b.logged.take(); strings.Count(got, "set stream_rate to that") == 0 || strings.Count(got, "\n") > 20 {
			t.Errorf("logged\n%s", got)
		}
	})
}

// TestAloneInARequest: a target with records that are far behind its stream goes after the others, by itself.
func TestAloneInARequest(t *testing.T) {
	store := newLimitedStore(1e6)
	onPacedBench(t, 1e6, store, 1, func(b *bench) {
		b.after(10 * time.Second)
		hold := make(chan struct{})
		b.sink.set(func(ctx context.Context, body string) Answer {
			<-hold
			return store.answer(ctx, body)
		})
		b.in.add("first", "1") // the others gather behind it
		b.after(time.Second)
		b.in.add("back", "@2000-01-01T00:00:00Z")
		b.in.add("well", "1")
		b.in.add("back", "@1999-12-31T23:00:00Z", "@2000-01-01T00:00:01Z")
		b.in.add("fine", "1")
		b.after(time.Second)
		close(hold)
		b.after(time.Second)
		b.sent("first:1\nwell:1 fine:1\nback:@2000-01-01T00:00:00Z back:@1999-12-31T23:00:00Z back:@2000-01-01T00:00:01Z")
	})
}

// TestHeldWhileUnderWay: what is behind a segment that was held back is passed over, whether the reader asks before it
// reads or not.
func TestHeldWhileUnderWay(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprint("deaf ", deaf), func(t *testing.T) {
			store := newLimitedStore(1000)
			onPacedBench(t, 1000, store, 1, func(b *bench) {
				b.in.deaf = deaf
				b.after(10 * time.Second)
				hold := make(chan struct{})
				b.sink.set(func(ctx context.Context, body string) Answer {
					<-hold
					return store.answer(ctx, body)
				})
				lines := fill(0, 1000) // 10,000 bytes: 4,000 pass, then 900 are left
				b.in.add("a", lines...)
				b.after(100 * time.Millisecond)
				close(hold)
				b.after(0)
				home := b.in.history()
				if want := "a[0:200] delivered\na[200:400] delivered\na[400:600] back"; !strings.HasPrefix(home, want) {
					t.Errorf("came home\n%s\nwant\n%s", home, want)
				}
				if deaf && !strings.HasSuffix(home, "\na[600:800] stale\na[800:1000] stale") {
					t.Errorf("came home\n%s\nwant the rest stale", home)
				}
				b.after(800 * time.Millisecond)
				b.home("")
				b.after(time.Minute)
				store.verify(t, "a", lines)
				f := b.lane.Rows(nil)[0].Figures
				if want := (Count{1000, 10_000}); f.Delivered != want || f.Read != want {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

// TestThrottledWithoutPace: a lane that keeps to no rate gets a stream through all the same, although its requests hold
// more of it than the store ever takes at once.
func TestThrottledWithoutPace(t *testing.T) {
	store := newLimitedStore(1000)
	onPacedBench(t, 0, store, 1, func(b *bench) {
		hold := make(chan struct{})
		b.sink.set(func(ctx context.Context, body string) Answer {
			<-hold
			return store.answer(ctx, body)
		})
		lines := stamped(100, 0, 400)
		b.in.add("first", "1")
		b.after(time.Second)
		b.in.add("loud", lines...)
		b.after(time.Second)
		close(hold)
		b.after(3 * time.Minute)
		store.verify(t, "loud", lines)
		if store.refusals() > 0 {
			t.Errorf("%d streams were refused silently", store.refusals())
		}
	})
}

// TestPaceIsNoFailure: a target that the lane itself holds waits as long as its stream has no room, and no longer, however
// often; one that the store sends back waits a second at the least.
func TestPaceIsNoFailure(t *testing.T) {
	const size = 98 // 100 ms of the rate, less its margin
	store := newLimitedStore(1000)
	onPacedBench(t, 1000, store, 1, func(b *bench) {
		arrived := func() int {
			store.mu.Lock()
			defer store.mu.Unlock()
			return len(store.lines["a"])
		}
		b.in.beQuiet()
		for i := range 20 { // each finds its stream full, and room for two is waited for
			b.in.add("a", stamped(size, i, i+1)...)
			b.after(90 * time.Millisecond)
			before := arrived()
			b.after(10 * time.Millisecond)
			if n := arrived(); before > i/2*2 || n < i/2*2 {
				t.Fatalf("after %d times 100 ms there are %d lines, 10 ms before there were %d", i+1, n, before)
			}
		}
		if home := b.in.history(); strings.Count(home, "back") == 0 {
			t.Errorf("came home\n%s\nbut nothing was held", home)
		}
	})
}

// TestInOrderKeepsThePace: a Back that moves to an earlier segment takes with it how long to wait, and why.
func TestInOrderKeepsThePace(t *testing.T) {
	target := &LaneTarget{}
	for _, paced := range []bool{true, false} {
		b := &Block{Segments: []Segment{
			{Target: target, Verdict: Delivered},
			{Target: target, Verdict: Stale, Paced: !paced},
			{Target: target, Verdict: Back, RetryAfter: time.Minute, Paced: paced},
		}}
		inOrder([]*Block{b})
		if s := &b.Segments[1]; s.Verdict != Back || s.RetryAfter != time.Minute || s.Paced != paced {
			t.Errorf("%s after %s, paced %v; want back after 1m0s, paced %v", verdictOf(s), s.RetryAfter, s.Paced, paced)
		}
		if b.Segments[0].Verdict != Delivered || b.Segments[2].Verdict != Stale {
			t.Error("the other verdicts are not what they should be")
		}
	}
}
