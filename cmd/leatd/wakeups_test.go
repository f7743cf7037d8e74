package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNeed(t *testing.T) {
	looks := func(n *need, load float64, times int) (changes []change) {
		for range times {
			if c := n.look(load); c != needSame {
				changes = append(changes, c)
			}
		}
		return changes
	}
	var n need
	for _, step := range []struct {
		load  float64
		times int
		want  []change
	}{
		{lowLoad / 2, calmAfter - 1, nil},
		{lowLoad, 1, nil}, // not calm for long enough: it begins anew
		{lowLoad / 2, calmAfter - 1, nil},
		{lowLoad / 2, 100, []change{needOne}},
		{highLoad, 100, nil},
		{1, 1, []change{needAll}}, // one that works at its limit
		{highLoad, 100, nil},
		{0, 100, []change{needOne}},
	} {
		if got := looks(&n, step.load, step.times); !slices.Equal(got, step.want) {
			t.Errorf("load %v, %d times: %v, want %v", step.load, step.times, got, step.want)
		}
	}
}

// TestRelaxed: leatd has its timer slack, under its name and its PID.
func TestRelaxed(t *testing.T) {
	h := newHost(t)
	d := start(t, "--config.file", h.config("http", "http://127.0.0.1:1"))
	proc := fmt.Sprintf("/proc/%d/", d.cmd.Process.Pid)
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(proc + name)
		if os.IsPermission(err) {
			t.Skipf("only root may ask for another process's timer slack: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	if got, want := read("comm"), "leatd"; got != want {
		t.Errorf("the process is called %q, want %q", got, want)
	}
	if got, want := read("timerslack_ns"), fmt.Sprint(int(timerSlack)); got != want {
		t.Errorf("timer slack is %s ns, want %s", got, want)
	}
	d.stop()
}

// TestFollowsLoad: a leatd that has nothing to do comes down from all processors to one. TestNeed has the way back.
func TestFollowsLoad(t *testing.T) {
	if runtime.NumCPU() == 1 {
		t.Skip("one processor")
	}
	if testing.Short() {
		t.Skip("it takes until leatd is calm")
	}
	h, store := newHost(t), newDepot(t, "http")
	h.write("ns_p_u/c/0.log", cri(0, "stdout", "one"))
	d := start(t, "--config.file", h.config("http", store.URL))
	procs := func() float64 { return d.metrics().sum("go_sched_gomaxprocs_threads") }
	if got := procs(); got != float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("it starts with %v processors, want %d", got, runtime.GOMAXPROCS(0))
	}
	began := time.Now()
	for range time.Tick(2 * loadEvery) { // seldom: a scrape is load
		if procs() == 1 {
			break
		}
		if time.Since(began) > patience {
			t.Fatalf("%v processors after %s of nothing", procs(), patience)
		}
	}
	if took := time.Since(began); took < (calmAfter-2)*loadEvery {
		t.Errorf("it took one processor after %s already", took)
	}
}
