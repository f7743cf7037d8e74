// Package cutoff bounds how long one collector may take.
//
// A collector reads the kernel's files, and a system call on a network file system that is gone does not return. One
// collector must not hold up the others, nor the scrape.
//
// # What it promises
//
// A call returns within the timeout, whatever the source does. What a source has shown is passed on when it has
// returned, all of it or nothing: a run that was cut off leaves no half results, and writes to nobody once its caller
// has gone. While it hangs, later calls fail at once and the source is not asked again, so a dead disk costs one
// goroutine and not one a scrape. When it is back it is asked as before. A panic is an error like any other.
//
// It is logged when a source begins to fail, when it does so in another way, and once when it works again.
//
// Time is the monotonic clock's: the timers of Go know no other, so a clock that is set does not cut anything off.
//
// # Who owns what
//
// A run has one goroutine, which writes to the metrics channel and at the end to the done channel. It ends when the
// source does; nothing can end a system call for it. Callers take turns, and who has the turn owns everything else:
// it alone reads both channels.
package cutoff

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A Source shows figures when it is asked to. It has the shape of node_exporter's collectors.
// It must not write to ch after it has returned.
type Source interface {
	Update(ch chan<- prometheus.Metric) error
}

var (
	// ErrTimeout is what a source that did not return in time fails with, and while it has not returned.
	ErrTimeout = errors.New("took too long and was cut off; look for a file system or a device that does not answer, or for too much to read")

	// ErrPanic is what a source that panicked fails with. The stack is in the log.
	ErrPanic = errors.New("panicked")

	// ErrNoData is a source's way to say that this machine has nothing of what it shows. It is passed on, and is no trouble.
	ErrNoData = errors.New("has no data")
)

const (
	inFlight  = 128                  // metrics that a source may be ahead of the reading
	headStart = 2 * time.Millisecond // until the reading begins; part of the timeout
)

// A Cutoff is a Source with a time limit. It may be used by several goroutines at once; they take turns.
type Cutoff struct {
	name    string
	source  Source
	timeout time.Duration
	log     *slog.Logger

	turn    chan struct{}          // full while somebody has the turn
	metrics chan prometheus.Metric // written by the run
	done    chan error             // written by the run at its end, which never waits for that

	// Owned by who has the turn.
	kept   []prometheus.Metric // of the run under way
	timer  *time.Timer
	late   bool   // a run was cut off and is not over
	state  state  // of the last call
	failed int    // calls, since it worked
	stack  []byte // of the last panic; written by the run before it is over
}

// New bounds one source. The name is the collector's, for errors and the log.
func New(name string, s Source, timeout time.Duration, log *slog.Logger) *Cutoff {
	return &Cutoff{
		name: name, source: s, timeout: timeout, log: log.With("collector", name),
		turn: make(chan struct{}, 1), metrics: make(chan prometheus.Metric, inFlight), done: make(chan error, 1),
	}
}

// Update asks the source, and passes on what it has shown when it has returned. What a source shows before it returns an
// error is passed on, too. The error is the source's, or wraps ErrTimeout or ErrPanic.
func (c *Cutoff) Update(ch chan<- prometheus.Metric) error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	err := c.ask()
	if !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrPanic) {
		for _, m := range c.kept {
			ch <- m
		}
	}
	clear(c.kept)
	c.kept = c.kept[:0]
	c.remark(err)
	return err
}

// ask runs the source and returns when it has returned or its time is over.
func (c *Cutoff) ask() error {
	if c.late {
		if len(c.metrics) == 0 && len(c.done) == 0 {
			return c.timedOut()
		}
		if _, over := c.read(); !over { // it has moved again: it may take its time to end
			return c.timedOut()
		}
		clear(c.kept)
		c.kept = c.kept[:0]
		c.late = false
	}
	go c.run()
	err, over := c.read()
	if !over {
		c.late = true
		return c.timedOut()
	}
	return err
}

// read keeps what the run shows until it is over or its time is.
func (c *Cutoff) read() (err error, over bool) {
	// Most are over before anything needs to be read. To be woken for each metric would double what a Cutoff costs.
	c.wait(headStart)
	defer c.timer.Stop()
	select {
	case err := <-c.done:
		c.readRest()
		return err, true
	case <-c.timer.C:
	}
	c.wait(c.timeout - headStart)
	for {
		select {
		case m := <-c.metrics:
			c.kept = append(c.kept, m)
		case err := <-c.done:
			c.readRest()
			return err, true
		case <-c.timer.C:
			return nil, false
		}
	}
}

// readRest keeps what is left of a run that is over.
func (c *Cutoff) readRest() {
	for len(c.metrics) > 0 {
		c.kept = append(c.kept, <-c.metrics)
	}
}

// wait sets the timer.
func (c *Cutoff) wait(d time.Duration) {
	if c.timer == nil {
		c.timer = time.NewTimer(d)
		return
	}
	c.timer.Reset(d)
}

// run asks the source once.
func (c *Cutoff) run() {
	var err error
	returned := false
	defer func() {
		if !returned { // nil is from runtime.Goexit
			err = fmt.Errorf("collector %s: %w: %v", c.name, ErrPanic, recover())
			c.stack = debug.Stack()
		}
		c.done <- err
	}()
	err = c.source.Update(c.metrics)
	returned = true
}

func (c *Cutoff) timedOut() error { return fmt.Errorf("collector %s: %w", c.name, ErrTimeout) }

// state is how a source does.
type state int

const (
	works state = iota
	fails
	hangs
	panics
)

func stateOf(err error) state {
	switch {
	case err == nil || errors.Is(err, ErrNoData):
		return works
	case errors.Is(err, ErrTimeout):
		return hangs
	case errors.Is(err, ErrPanic):
		return panics
	}
	return fails
}

// remark logs a change of state.
func (c *Cutoff) remark(err error) {
	now := stateOf(err)
	if now != works {
		c.failed++
	}
	if now == c.state {
		return
	}
	switch c.state = now; now {
	case works:
		c.log.Info("a collector works again", "failed_calls", c.failed)
		c.failed = 0
	case panics:
		c.log.Error("a collector panicked: what it shows is missing in the metrics", "err", err, "stack", string(c.stack))
	case hangs:
		c.log.Warn("a collector hangs: what it shows is missing in the metrics until it returns", "timeout", c.timeout, "err", err)
	default:
		c.log.Warn("a collector fails: what it shows may be missing in the metrics", "err", err)
	}
}
