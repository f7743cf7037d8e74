package sinktest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/leatd/leat/pipeline"
)

// A LocalKind is a kind of sink that writes to the node itself.
type LocalKind struct {
	Name string

	// New makes a sink with a place of its own, which lasts as long as the test.
	New func(tb testing.TB) LocalSink
}

// A LocalSink is a sink with what it wrote.
type LocalSink struct {
	Sink
	Lines func(tb testing.TB) []Line

	// Ways are the ways in which writing can fail: each breaks something, and returns how it is mended.
	Ways map[string]func(tb testing.TB, break_ LocalSink) (mend func())

	// Repeats says that lines of a failed request may have been written and come again.
	Repeats bool
}

// RunLocal checks all that a sink of that kind promises.
func RunLocal(t *testing.T, k LocalKind) {
	fresh := func(t *testing.T) LocalSink {
		leaks := goleak.IgnoreCurrent()
		t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
		s := k.New(t)
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		if s.Where() == "" {
			t.Error("Where says nothing")
		}
		return s
	}
	ok := func(t *testing.T, a pipeline.Answer) {
		t.Helper()
		if a.Outcome != pipeline.Accepted || a.Code != "ok" || a.Err != nil {
			t.Fatalf("outcome %d, code %q: %v", a.Outcome, a.Code, a.Err)
		}
	}

	t.Run("lines arrive", func(t *testing.T) {
		s := fresh(t)
		var want []Line
		for i := range 5 {
			lines := Lines(fmt.Sprint("request ", i), 100)
			ok(t, send(t, context.Background(), s, Encode(t, s, lines)))
			want = append(want, lines...)
		}
		ok(t, send(t, context.Background(), s, nil))
		compareAll(t, s.Lines(t), want)
	})

	t.Run("concurrent", func(t *testing.T) {
		s := fresh(t)
		var want []Line
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				for j := range 10 {
					lines := Lines(fmt.Sprintf("sender %d request %d", i, j), 10)
					for l := range lines {
						lines[l].Pod = fmt.Sprintf("pod-%d", i)
					}
					mu.Lock()
					want = append(want, lines...)
					mu.Unlock()
					body := Encode(t, s, lines)
					if a := s.Send(context.Background(), body); a.Outcome != pipeline.Accepted {
						t.Errorf("outcome %d: %v", a.Outcome, a.Err)
					}
					clear(body)
				}
			})
		}
		group.Wait()
		compareAll(t, s.Lines(t), want)
	})

	t.Run("fails and goes on", func(t *testing.T) {
		for name := range fresh(t).Ways {
			t.Run(name, func(t *testing.T) {
				s := fresh(t)
				first, second, third := Lines("before", 50), Lines("during", 50), Lines("after", 50)
				ok(t, send(t, context.Background(), s, Encode(t, s, first)))
				mend := s.Ways[name](t, s)
				during := Encode(t, s, second)
				for range 3 {
					a := send(t, context.Background(), s, during)
					if a.Outcome != pipeline.Failed || a.Code != "error" {
						t.Fatalf("outcome %d, code %q, want Failed: %v", a.Outcome, a.Code, a.Err)
					}
					t.Log(a.Err)
				}
				mend()
				ok(t, send(t, context.Background(), s, during))
				ok(t, send(t, context.Background(), s, Encode(t, s, third)))
				if s.Repeats {
					return // what is left to check, the kind's own tests do
				}
				compareAll(t, s.Lines(t), append(append(first, second...), third...))
			})
		}
	})

	t.Run("cancel", func(t *testing.T) {
		s := fresh(t)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		send(t, ctx, s, Encode(t, s, Lines("cancel", 10))) // it may have written all the same; it must return
		ok(t, send(t, context.Background(), s, Encode(t, s, Lines("after", 10))))
	})
}

// compareAll checks that lines came each once and in order for its stream.
func compareAll(t testing.TB, got, want []Line) {
	t.Helper()
	d := newDecoder(nil)
	for _, l := range got {
		s := d.source(l.Namespace, l.Pod, l.Container, l.Stream, "")
		s.Lines = append(s.Lines, l)
	}
	var sources []*Source
	for _, s := range d.sources {
		sources = append(sources, s)
	}
	compare(t, sources, want)
}
