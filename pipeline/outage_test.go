package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestOutage: two hours without a store. It is asked again for ever, slower and slower up to a bound, one line says so
// and a few more follow with a count; nothing moves, nothing counts as hanging; then everything arrives.
func TestOutage(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.in.add("a", "1")
		b.after(time.Second)
		b.sink.requests(false)
		b.sink.set(func(context.Context, string) Answer { return down })
		b.in.add("a", fill(0, 500)...)
		b.after(time.Second)
		if b.lane.Stats().Up() {
			t.Error("the sink is up")
		}
		b.says(`level=WARN msg="sink does not take logs; they wait in their files and are tried again" sink=s error="503: the store is down" failures=1 since=2000-01-01T00:00:01Z`)
		var last time.Duration
		for i, r := range strings.Split(b.sink.requests(true), "\n") {
			at, _, _ := strings.Cut(r, " ")
			now, err := time.ParseDuration(at)
			if err != nil {
				t.Fatal(err)
			}
			if wait := now - last; i > 0 && (wait < backoffFirst<<(i-1)/2-time.Millisecond || wait > backoffFirst<<(i-1)) {
				t.Errorf("attempt %d came after %s", i, wait)
			}
			last = now
		}
		for range 120 {
			b.after(time.Minute)
			b.beats.allWait(t)
		}
		if n := strings.Count(b.sink.requests(false), "\n") + 1; n < 240 || n > 500 {
			t.Errorf("%d attempts in two hours, want one every 15 to 30 s", n)
		}
		if lines := strings.Count(b.logged.take(), "\n"); lines < 20 || lines > 24 {
			t.Errorf("%d lines in two hours, want one every five minutes", lines)
		}
		if b.in.settled("a") != 1 {
			t.Error("the cursor moved")
		}
		b.sink.set(nil)
		b.after(time.Minute)
		if b.in.settled("a") != 501 || !b.lane.Stats().Up() {
			t.Errorf("%d lines arrived, up is %t", b.in.settled("a"), b.lane.Stats().Up())
		}
		if got := b.logged.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="sink has recovered" sink=s after=2h`) {
			t.Errorf("logged\n%s", got)
		}
		retries, codes := b.lane.Stats().Retries(), b.lane.Stats().Requests()
		if codes["503"] != retries || codes["204"] < 2 {
			t.Errorf("%d retries, requests %v", retries, codes)
		}
	})
}

// TestBlackHole: a store that never answers hangs nobody.
func TestBlackHole(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.sink.set(func(ctx context.Context, _ string) Answer { <-ctx.Done(); return down })
		b.in.add("a", fill(0, 1000)...)
		for range 60 {
			b.after(time.Minute)
			b.beats.allWait(t)
		}
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		busy := down
		busy.RetryAfter = 100 * time.Second
		b.sink.set(answers(busy, busy, accepted))
		b.in.add("a", "1")
		b.after(10 * time.Minute)
		var at []time.Duration
		for _, r := range strings.Split(b.sink.requests(true), "\n") {
			text, _, _ := strings.Cut(r, " ")
			d, err := time.ParseDuration(text)
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, d)
		}
		if len(at) != 3 {
			t.Fatalf("requests at %v", at)
		}
		for i := range 2 {
			if d := at[i+1] - at[i]; d < 100*time.Second || d > 121*time.Second {
				t.Errorf("asked again after %s; the store said 100 s, and a fifth may be added", d)
			}
		}
	})
}

// TestFlappingStore: a store that fails every other request, each time in other words, must not fill the log.
func TestFlappingStore(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		n := 0
		b.sink.set(func(context.Context, string) Answer {
			if n++; n%2 == 1 {
				return Answer{Outcome: Failed, Code: "500", Err: fmt.Errorf("500: trace %d", n)}
			}
			return accepted
		})
		for i := range 600 {
			b.in.add("a", fmt.Sprint(i))
			b.after(time.Second)
		}
		if lines := strings.Count(b.logged.take(), "\n"); lines < 2 || lines > 6 {
			t.Errorf("%d lines in ten minutes", lines)
		}
	})
}

// TestLongFailureAfterAShortOne is told, although there was one like it a moment ago.
func TestLongFailureAfterAShortOne(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.sink.set(answers(down, accepted))
		b.in.add("a", "1")
		b.after(10 * time.Second)
		if got := b.logged.take(); strings.Count(got, "\n") != 2 {
			t.Errorf("logged\n%s", got)
		}
		b.sink.set(func(context.Context, string) Answer { return down })
		b.in.add("a", "2")
		b.after(10 * time.Second)
		b.says("")
		b.after(time.Minute)
		if got := b.logged.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "does not take logs") {
			t.Errorf("logged\n%s", got)
		}
		b.sink.set(nil)
		b.after(time.Minute)
		if got := b.logged.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "recovered") {
			t.Errorf("logged\n%s", got)
		}
	})
}

// TestRefusalNamesTheTarget: who reads the log learns whose lines are refused or throttled, and why.
func TestRefusalNamesTheTarget(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.sink.set(unless("bad", refused))
		for i := range 10 {
			b.in.add("good", fmt.Sprint(i))
			b.in.add("guilty", fmt.Sprint("bad", i))
			b.after(time.Second)
		}
		b.says(`level=ERROR msg="sink refuses lines for good; see leat_log_dropped_lines_total for whose" sink=s target=guilty reason=bad_request error="400: a bad line"`)
		b.sink.set(unless("fast", oneIsBad))
		b.in.add("good", "1")
		b.in.add("noisy", "fast")
		b.after(time.Minute)
		b.says(`level=WARN msg="sink throttles a container; it waits, the others go on" sink=s target=noisy error="429: one stream is too fast"`)
		b.sink.set(func(context.Context, string) Answer {
			return Answer{Code: "200", Err: errors.New("200: strange words")}
		})
		b.in.add("good", "2")
		b.after(time.Minute)
		b.says(`level=WARN msg="sink has taken a request and remarked on it" sink=s error="200: strange words"`)
		if s := b.lane.Sums(); s.Dropped[BadRequest].Lines != 10 {
			t.Errorf("dropped %+v", s.Dropped)
		}
	})
}

func TestBackoff(t *testing.T) {
	for attempt, want := range []time.Duration{250e6, 500e6, 1e9, 2e9, 4e9, 8e9, 16e9, 30e9, 30e9} {
		seen := make(map[time.Duration]bool)
		for range 200 {
			d := Backoff(attempt)
			if d < want/2 || d > want {
				t.Fatalf("attempt %d: %s", attempt, d)
			}
			seen[d] = true
		}
		if len(seen) < 100 {
			t.Errorf("attempt %d: only %d different waits of 200", attempt, len(seen))
		}
	}
	if d := Backoff(1 << 40); d > 30*time.Second || d < 15*time.Second {
		t.Errorf("after very many attempts: %s", d)
	}
	if Jitter(0) != 0 || Jitter(-1) != 0 {
		t.Error("a store that asks for nothing is given nothing")
	}
	for range 200 {
		if d := Jitter(10 * time.Second); d < 10*time.Second || d > 12*time.Second {
			t.Fatalf("10 s became %s", d)
		}
	}
}
