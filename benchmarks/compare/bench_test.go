package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A whole scenario with an agent that does well, and with ones that don't: what they do to lines is seen.
func TestScenario(t *testing.T) {
	for _, c := range []struct{ fault, want, wrong string }{
		{"", "0 false 0 0", ""},
		{"loses", "1 false 0 0", "backlog, loki: leatd 1.0 lost 1 lines"},
		{"doubles", "0 true 0 0", ""},
		{"late", "0 true 0 0", ""},
		{"dies", "", "leatd: ended by itself: exit status 1; its output ends:\nan agent's last words\n"},
		{"mute", "", "leatd: it has sent nothing"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			b := faulty(t, c.fault)
			if c.fault == "" {
				b.repeat = 2
			}
			if patience, ok := map[string]time.Duration{"loses": 2 * time.Second, "mute": 200 * time.Millisecond}[c.fault]; ok {
				b.patience = patience
			}
			s := backlogScenario("loki", atMost(1), nil)
			r, err := b.scenario(t.Context(), s)
			if r == nil {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || c.want != "" {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := r.lost(); fmt.Sprint(err) != c.wrong && (err != nil || c.wrong != "") {
				t.Errorf("lost: %v, want %s", err, c.wrong)
			}
			if n := b.repeat; fmt.Sprint(r.names) != "[bare loop leatd 1.0]" || len(r.runs[bareName]) != n || len(r.runs["leatd 1.0"]) != n {
				t.Errorf("runs: %v", r.runs)
			}
			for _, f := range r.runs["leatd 1.0"] {
				if got := fmt.Sprint(f["missing"], f["twice"] > 0, f["disorder"], f["foreign"]); got != c.want {
					t.Errorf("missing, twice, out of order, foreign: %s, want %s", got, c.want)
				}
				if f["cpu"] <= 0 || f["times"] <= 0 || f["speed"] <= 0 || f["peak"] < 1 || f["ratio"] < 0.3 || f["ratio"] > 1 {
					t.Errorf("figures %v", f)
				}
			}
			if left, err := os.ReadDir(b.folder); len(left) > 0 || err != nil {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// A peer that fails is told of, and costs the others nothing.
func TestPeerFails(t *testing.T) {
	t.Parallel()
	b := faulty(t, "")
	peer := faulty(t, "dies").contenders[0]
	peer.Name = "peer"
	b.contenders = append([]contender{peer}, b.contenders...)
	r, err := b.scenario(t.Context(), backlogScenario("loki", nil, nil))
	if err != nil || fmt.Sprint(r.names) != "[bare loop leatd 1.0]" {
		t.Errorf("%v, %v", r, err)
	}
	var header strings.Builder
	writeHeader(&header, b, time.Now())
	if want := "missing   backlog, loki: peer: ended by itself: exit status 1; its output ends:\n"; !strings.Contains(header.String(), want) {
		t.Errorf("%s\nwant %s", header.String(), want)
	}
}

// An idle agent is scraped; one that does not answer is no result.
func TestIdle(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]string{"": "<nil>", "unserved": "connection refused"} {
		b := faulty(t, fault)
		b.window = 100 * time.Millisecond
		f, err := runIdle(t.Context(), b.turnOf(t, prepareFew))
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %s", fault, err, want)
		}
		if err == nil && (f["missing"] != 0 || f["peak"] < 1 || f["percent"] < 0 || f["percent"] > 90) {
			t.Errorf("figures %v", f)
		}
	}
}

// prepareFew writes a few idle files.
func prepareFew(t *turn) error { return t.write(5, 0) }

// turnOf is the first contender's turn.
func (b *bench) turnOf(t *testing.T, prepare func(*turn) error) turn {
	t.Helper()
	now := turn{bench: b, who: b.contenders[0], protocol: "loki", dir: b.folder}
	if err := prepare(&now); err != nil {
		t.Fatal(err)
	}
	return now
}

// An interrupt ends everything, whatever goes on, and leaves nothing behind.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, s := range []scenario{
		{prepare: func(*turn) error { return nil }, run: func(ctx context.Context, t turn) (figures, error) {
			return t.stream(ctx, streamOf(10, 100, 0), time.Hour)
		}},
		{prepare: prepareFew, run: runIdle},
	} {
		b := faulty(t, "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := b.scenario(ctx, s); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
			t.Errorf("%v, after %s", err, time.Since(began))
		}
		if left, err := os.ReadDir(b.folder); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}
