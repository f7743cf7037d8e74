package exporter

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

func TestHangingGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(Health)
		check := func(when string, code int, about ...string) {
			t.Helper()
			w := get(h, "/-/healthy")
			if w.Code != code {
				t.Errorf("%s: %d %s", when, w.Code, w.Body.String())
			}
			if lines := strings.Count(w.Body.String(), "\n"); lines != 1+len(about) {
				t.Errorf("%s: %d lines: %s", when, lines, w.Body.String())
			}
			for _, s := range about {
				if !strings.Contains(w.Body.String(), s) {
					t.Errorf("%s: no %q in %s", when, s, w.Body.String())
				}
			}
		}
		check("nobody is watched", 200)
		reader, sender := h.Beat("sink central: shard 0: reader"), h.Beat("sink central: shard 0: sender")
		time.Sleep(time.Hour)
		check("they never began", 200)

		// A goroutine that works, waits a day for its store, and then gets stuck until something lets it go.
		let := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 10 {
				sender.Busy()
				time.Sleep(59 * time.Second)
			}
			sender.Waiting()
			time.Sleep(24 * time.Hour)
			sender.Busy()
			<-let
			sender.Waiting()
		}()
		time.Sleep(5 * time.Minute)
		check("busy and passing", 200)
		time.Sleep(20 * time.Hour)
		check("waiting for its store", 200)
		time.Sleep(4*time.Hour + 4*time.Minute + 50*time.Second) // 24 h 9 min 50 s: the end of all that is awaited
		synctest.Wait()
		time.Sleep(59 * time.Second)
		check("busy for 59 s", 200)
		time.Sleep(time.Second)
		check("busy for 60 s", 503, "shard 0: sender: for 1m0s, since 2000-01-02T01:09:50Z")
		reader.Busy()
		time.Sleep(70 * time.Second)
		check("both", 503, "shard 0: sender: for 2m10s", "shard 0: reader: for 1m10s")
		reader.Busy()
		check("the reader passed", 503, "sender")
		close(let)
		<-done
		reader.Waiting()
		check("all is well again", 200)
	})
}

func TestBeatOfAName(t *testing.T) {
	h := new(Health)
	if a, b := h.Beat("a"), h.Beat("b"); a == b || a != h.Beat("a") || len(h.beats) != 2 {
		t.Error("a name must have one beat of its own")
	}
	var none *pipeline.Beat
	none.Busy()
	none.Waiting()
	if _, busy := none.Since(); busy {
		t.Error("a nil beat is busy")
	}
	b := h.Beat("hot")
	if n := testing.AllocsPerRun(100, func() { b.Busy(); b.Waiting() }); n != 0 {
		t.Errorf("a beat allocates %v times", n)
	}
}

func TestReady(t *testing.T) {
	r := NewReady("state locked", "first discovery done")
	if w := get(r, "/-/ready"); w.Code != 503 ||
		w.Body.String() != "leatd is not ready. Still to come:\n  state locked\n  first discovery done\n" {
		t.Errorf("%d %q", w.Code, w.Body.String())
	}
	r.Set("state locked")
	r.Set("state locked")
	if w := get(r, "/-/ready"); w.Code != 503 || w.Body.String() != "leatd is not ready. Still to come:\n  first discovery done\n" {
		t.Errorf("%d %q", w.Code, w.Body.String())
	}
	r.Set("first discovery done")
	if w := get(r, "/-/ready"); w.Code != 200 || w.Body.String() != "leatd is ready.\n" {
		t.Errorf("%d %q", w.Code, w.Body.String())
	}
	if w := get(NewReady(), "/-/ready"); w.Code != 200 {
		t.Errorf("without conditions: %d", w.Code)
	}
	defer func() {
		if recover() == nil {
			t.Error("a condition that is none was set")
		}
	}()
	r.Set("discovery done")
}

func BenchmarkBeat(b *testing.B) {
	var beat pipeline.Beat
	b.ReportAllocs()
	for b.Loop() {
		beat.Busy()
		beat.Waiting()
	}
}
