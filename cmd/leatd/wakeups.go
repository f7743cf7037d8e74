package main

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the kernel may end a sleep of leatd's, in nanoseconds. While anything runs, Go's monitor sleeps
// 20 µs at a time, and would wake up a dozen times in each of a round's few milliseconds: a tenth of what a node with
// ordinary traffic costs, a quarter where lines are few. Nothing in leatd is in so much of a hurry. With more than this a
// backlog is carried more slowly, for the monitor is also the one that notices that a system call takes long.
const timerSlack = 400e3

// relaxed is the variable that says that leatd has started itself anew.
const relaxed = "LEATD_RELAXED"

// relax sets the process's timer slack. It belongs to a thread, comes to others only when they are made, and is kept by
// execve(2) (PR_SET_TIMERSLACK in prctl(2)); Go's monitor is made before anything of ours runs. So leatd starts itself once
// more, under the same PID. Where that can't be had nothing is lost.
func relax() {
	if os.Getenv(relaxed) != "" {
		os.Unsetenv(relaxed)
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || slack == 0 || slack >= timerSlack { // 0: a thread of real time, which has none
		return
	}
	runtime.LockOSThread() // the one that has the slack is the one that calls execve
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0) == nil {
		_ = syscall.Exec(program, os.Args, append(os.Environ(), relaxed+"=1"))
	}
}

const (
	loadEvery = time.Second
	// highLoad is the share of a processor above which leatd takes all that it may, at once; below lowLoad, for calmAfter
	// looks in a row, it takes one.
	highLoad  = 0.5
	lowLoad   = 0.1
	calmAfter = 10
)

// followLoad lets Go's scheduler have one processor for as long as there is little to do: each stage's wake-up would
// otherwise wake a further thread to look for work that the first has done by then. The environment's GOMAXPROCS goes
// first.
func (a *agent) followLoad(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) == 1 {
		return
	}
	if len(a.logSinks()) == 0 {
		runtime.GOMAXPROCS(1) // nothing but scrapes
		return
	}
	tick := time.NewTicker(loadEvery)
	defer tick.Stop()
	need, last := need{}, processorTime()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := processorTime()
		switch need.look(float64(now-last) / float64(loadEvery)) {
		case needOne:
			runtime.GOMAXPROCS(1)
		case needAll:
			runtime.SetDefaultGOMAXPROCS() // as many as the machine, or the cgroup's quota, has now
		}
		last = now
	}
}

// need is how many processors the load needs: one, or all that there are.
type need struct {
	one  bool
	calm int // looks in a row at a low load
}

type change uint8

const (
	needSame change = iota
	needOne
	needAll
)

// look takes the load since the last look, in processors.
func (n *need) look(load float64) change {
	if n.calm++; load >= lowLoad {
		n.calm = 0
	}
	switch {
	case n.one && load > highLoad:
		n.one = false
		return needAll
	case !n.one && n.calm >= calmAfter:
		n.one = true
		return needOne
	}
	return needSame
}

// processorTime is what the process has used of processors.
func processorTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
