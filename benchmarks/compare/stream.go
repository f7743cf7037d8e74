package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/leatd/leat/benchmarks/load"
	"github.com/leatd/leat/benchmarks/receiver"
)

// describe says what a load is that is written while agents run.
func describe(format string, args ...any) func(*turn) error {
	return func(t *turn) error {
		t.what = fmt.Sprintf(format, args...)
		return nil
	}
}

func streamOf(pods, rate int, rotate int64) *load.Stream {
	return &load.Stream{Pods: pods, Rate: rate, Rotate: rotate}
}

// stream has the agent follow logs that grow. What is measured begins when it has found its pace.
func (t turn) stream(ctx context.Context, s *load.Stream, own time.Duration) (f figures, err error) {
	root, err := os.MkdirTemp(t.dir, "pods-")
	if err != nil {
		return nil, err
	}
	if err := s.Begin(root); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.End()) }()
	if err := t.begin(ctx, root, 1, 32<<20); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.end()) }()
	if err := t.settle(ctx); err != nil {
		return nil, err
	}
	warm, window := t.bench.measured(own)
	from := time.Now().Add(warm)
	if err := s.Run(ctx, warm+window); err != nil {
		return nil, err
	}
	to := from.Add(window)
	sum := s.Written()
	report, peak, err := t.drain(ctx, receiver.Question{Lines: sum.Lines, From: from.UnixNano()}, nil)
	if err != nil {
		return nil, err
	}
	f = loss(report)
	f["cores"] = t.agent.cores(from, to)
	f["peak"] = mib(peak)
	f["ratio"] = float64(sum.Bytes) / float64(report.Wire)
	f["p50"] = milliseconds(report.P50)
	f["p99"] = milliseconds(report.P99)
	return f, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func prepareIdle(t *turn) error {
	t.what = fmt.Sprintf("%d files that are idle, scraped every %s", idleFiles, scrapeEvery)
	return t.write(idleFiles, idleFiles*2<<10)
}

// idleWarm is how long an agent has to find that files are idle, before it is measured: agents look again at what is new
// to them, and park it, some time after their start.
const idleWarm = 45 * time.Second

// runIdle has the agent do nothing but answer scrapes.
func runIdle(ctx context.Context, t turn) (f figures, err error) {
	l := t.loads[0]
	if err := t.begin(ctx, l.root, 1, 1<<20); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.end()) }()
	if err := t.settle(ctx); err != nil {
		return nil, err
	}
	_, window := t.bench.measured(time.Minute)
	from := time.Now().Add(min(idleWarm, window))
	to := from.Add(window)
	for at := from.Add(min(window, scrapeEvery) / 2); at.Before(to); at = at.Add(scrapeEvery) {
		if err := sleepUntil(ctx, at); err != nil {
			return nil, err
		}
		if err := t.scrape(ctx); err != nil {
			return nil, err
		}
	}
	if err := sleepUntil(ctx, to); err != nil {
		return nil, err
	}
	resident, err := t.agent.resident()
	if err != nil {
		return nil, err
	}
	report, peak, err := t.drain(ctx, receiver.Question{Lines: l.Lines}, nil)
	if err != nil {
		return nil, err
	}
	f = loss(report)
	f["percent"] = 100 * t.agent.cores(from, to)
	f["resident"] = mib(resident)
	f["peak"] = mib(peak)
	return f, nil
}

// cores is how many processors a process kept busy between two moments.
func (p *process) cores(from, to time.Time) float64 {
	return (p.sampler.until(to) - p.sampler.until(from)).Seconds() / to.Sub(from).Seconds()
}

func sleepUntil(ctx context.Context, t time.Time) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(t)):
		return nil
	}
}
