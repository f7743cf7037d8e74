package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/leatd/leat/benchmarks/agents"
	"github.com/leatd/leat/benchmarks/receiver"
)

const lookEvery = 20 * time.Millisecond // into what has come

// A turn is one agent doing the work of a scenario once.
type turn struct {
	bench    *bench
	scenario scenario
	who      contender
	protocol string
	round    int
	dir      string // of the scenario
	what     string // the load in words
	loads    []backlog
	bare     figures // of the same round; nil where the bare loop does not run

	job   agents.Job
	agent *process
	store *receiver.Remote
}

// begin starts a receiver with room for so many bytes, and the agent. An interrupt ends neither: end does, the agent first.
func (t *turn) begin(ctx context.Context, logs string, sinks int, reserve int64) (err error) {
	state, err := os.MkdirTemp(t.dir, "state-")
	if err != nil {
		return err
	}
	child, err := self(context.WithoutCancel(ctx), "receive", strconv.FormatInt(reserve, 10))
	if err != nil {
		return err
	}
	if t.store, err = receiver.Start(child); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.store.Close())
		}
	}()
	listen, err := freeAddress()
	if err != nil {
		return err
	}
	t.job = agents.Job{Logs: logs, State: state, URL: t.store.URL, Protocol: t.protocol, Listen: listen, Sinks: sinks}
	args, env, err := t.who.Command(t.who.path, t.job)
	if err != nil {
		return fmt.Errorf("%s: %w", t.who.Name, err)
	}
	if t.profiled() {
		args = append(args, "--pprof")
	}
	t.agent, err = startProcess(t.who.Name, state, t.who.path, args, env)
	return err
}

var errSilent = errors.New("it has sent nothing")

// settle waits until something has come, and then nothing for a while.
func (t *turn) settle(ctx context.Context) error {
	return t.watch(ctx, func(s receiver.Status, idle time.Duration) (bool, error) {
		if s.Requests == 0 && idle > t.bench.patience {
			return false, errSilent
		}
		return s.Requests > 0 && idle > t.bench.quiet, nil
	})
}

// drain waits until all lines have come, or none comes any more; then it stops the agent and accounts for the lines.
// The agent's memory is the most that it had until then. before, if it is there, is called before the agent stops.
func (t *turn) drain(ctx context.Context, q receiver.Question, before func() error) (report receiver.Report, peak float64, err error) {
	q.Stores = t.job.Sinks
	looked := 0
	err = t.watch(ctx, func(s receiver.Status, idle time.Duration) (bool, error) {
		if s.Requests == 0 && idle > t.bench.patience {
			return false, errSilent
		}
		if idle > t.bench.quiet && s.Requests > looked {
			looked = s.Requests
			var err error
			if report, err = t.store.Check(ctx, q); err != nil || report.Missing == 0 {
				return true, err
			}
		}
		return idle > t.bench.patience, nil
	})
	if err != nil {
		return report, 0, err
	}
	last := report.Last
	if peak, err = t.agent.peak(); err != nil {
		return report, 0, err
	}
	if before != nil {
		if err := before(); err != nil {
			return report, 0, err
		}
	}
	if err := t.agent.stop(); err != nil {
		return report, 0, err
	}
	// What an agent sends while it stops counts as well, but not as the end of its work.
	if s, err := t.store.Status(ctx); err != nil {
		return report, 0, err
	} else if s.Requests > looked {
		if report, err = t.store.Check(ctx, q); err != nil {
			return report, 0, err
		}
		report.Last = last
	}
	for _, what := range report.Trouble {
		say(t.bench.progress, "%s: %s", t.who, what)
	}
	return report, peak, nil
}

// watch asks the receiver again and again until enough says that it is.
func (t *turn) watch(ctx context.Context, enough func(s receiver.Status, idle time.Duration) (bool, error)) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for began := time.Now(); ; {
		s, err := t.store.Status(ctx)
		if err != nil {
			return err
		}
		last := time.Unix(0, s.Last)
		if last.Before(began) {
			last = began
		}
		if done, err := enough(s, time.Since(last)); err != nil {
			return t.agent.failure(err.Error(), nil)
		} else if done {
			return nil
		}
		if err := t.agent.ended(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// end stops what begin started, if it still runs.
func (t *turn) end() error {
	var err error
	if t.agent != nil && t.agent.ended() == nil {
		err = t.agent.stop()
	}
	return errors.Join(err, t.store.Close())
}

// scrape asks for the agent's metrics as Prometheus does.
func (t *turn) scrape(ctx context.Context) error {
	body, err := t.get(ctx, "/metrics")
	if err == nil && len(body) == 0 {
		err = errors.New("no metrics")
	}
	return err
}

func (t *turn) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.job.Listen+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req) // it asks for gzip
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.who.Name, err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, resp.Body); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", t.who.Name, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s: %.200s", t.who.Name, path, resp.Status, body.Bytes())
	}
	return body.Bytes(), nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
