package main

import (
	"strings"
	"testing"
	"time"
)

// shell starts a script as if it were an agent.
func shell(t *testing.T, script string) *process {
	t.Helper()
	p, err := startProcess("sh", t.TempDir(), "/bin/sh", []string{"-c", script}, []string{"WORD=heard"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop() })
	return p
}

// printed waits until the process has written so.
func (p *process) printed(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if err := p.failure("", nil); strings.Contains(err.Error(), text) {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%q was never printed: %v", text, err)
		}
	}
}

// CPU time is that of the process and its threads, at any moment that was sampled.
func TestCPU(t *testing.T) {
	p := shell(t, `echo $WORD; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; sleep 0.5; echo slept; exec sleep 100`)
	p.printed(t, "heard")
	p.printed(t, "done")
	busy := time.Now()
	if peak, err := p.peak(); err != nil || peak < 100<<10 || peak > 100<<20 {
		t.Errorf("%.0f bytes of memory, %v", peak, err)
	}
	p.printed(t, "slept")
	idle := time.Now()
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	before, after := p.sampler.until(p.began), p.sampler.until(busy)
	if before >= after || after < 5*time.Millisecond || after > busy.Sub(p.began)+10*time.Millisecond {
		t.Errorf("%s at the start, %s when it was done", before, after)
	}
	// What it used in all is told by the kernel once more when the process has ended, with the child's half second of sleep.
	all := p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	if difference := (p.sampler.until(time.Now()) - all).Abs(); difference > 10*time.Millisecond {
		t.Errorf("%s by its clock, %s at its end", p.sampler.until(time.Now()), all)
	}
	if cores := p.cores(busy.Add(300*time.Millisecond), idle); cores > 0.05 {
		t.Errorf("%.2f cores while it slept", cores)
	}
}

// A moment between two samples has its share of what was used between them.
func TestUntil(t *testing.T) {
	t0 := time.Now()
	s := &sampler{done: make(chan struct{})}
	close(s.done)
	if got := s.until(t0); got != 0 {
		t.Errorf("without a sample: %s", got)
	}
	s.at = []time.Time{t0, t0.Add(10), t0.Add(20)}
	s.cpu = []time.Duration{5, 5, 9}
	for after, want := range map[time.Duration]time.Duration{-1: 5, 0: 5, 10: 5, 15: 7, 20: 9, 100: 9} {
		if got := s.until(t0.Add(after)); got != want {
			t.Errorf("at %d: %d, want %d", after, got, want)
		}
	}
}

func TestStop(t *testing.T) {
	p := shell(t, `echo the end; exit 3`)
	<-p.done
	if err := p.stop(); err == nil || err.Error() != "sh: ended by itself: exit status 3; its output ends:\nthe end\n" {
		t.Errorf("ended by itself: %v", err)
	}
	if p, err := startProcess("none", t.TempDir(), "/none", nil, nil); err == nil {
		t.Errorf("a program that is not there: %v", p)
	}
}
