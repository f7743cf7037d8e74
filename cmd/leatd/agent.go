package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/collector/tail"
	"github.com/leatd/leat/exporter"
	"github.com/leatd/leat/exporter/push"
	"github.com/leatd/leat/exporter/trace"
	"github.com/leatd/leat/pipeline/spool"
	"github.com/leatd/leat/sinks"
)

// An agent is leatd at work. It starts in the order of the data and stops in it: discovery and readers first, then what
// is in hand is delivered, then the server goes.
//
//	discovery ─► tail.Set ─► lanes (read ─► encode ─► send) ─► sinks
//	                            └─► ledger ─┐
//	             node, containers, leatd ───┴─► registry ─► server, pusher
type agent struct {
	flags *config.Flags
	cfg   *config.Config
	log   *slog.Logger

	unlock func()
	stores []store
	spools []*spool.Spool
	dead   []*sinks.DeadLetters
	set    *tail.Set
	lanes  []lane
	tracer *trace.Tracer // nil: no spans are made
	pusher *push.Pusher
	pushed []pushStore
	health exporter.Health
	ready  *exporter.Ready
	server *exporter.Server
}

// newAgent makes everything that can fail, so that a mistake shows at once and nothing runs half.
func newAgent(ctx context.Context, flags *config.Flags, cfg *config.Config, log *slog.Logger, stdout io.Writer) (a *agent, err error) {
	a = &agent{flags: flags, cfg: cfg, log: log, unlock: func() {}}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	a.ready = exporter.NewReady(a.conditions()...)
	if a.unlock, err = lockState(ctx, cfg.State, log); err != nil {
		a.unlock = func() {}
		return a, err
	}
	a.ready.Set(stateLocked)
	a.tune()
	if flags.Pprof { // every wait and every contended lock, so that a profile shows what there is and not a sample
		runtime.SetBlockProfileRate(1)
		runtime.SetMutexProfileFraction(1)
	}

	start := tail.Beginning
	if cfg.Logs.Start == config.StartEnd {
		start = tail.End
	}
	a.set = tail.NewSet(tail.Options{
		MaxLine: int(cfg.Logs.MaxLine), Start: start, StartMaxAge: cfg.Logs.StartMaxAge,
		HoldMaxBytes: int64(cfg.Logs.HoldMaxBytes), HoldMaxAge: cfg.Logs.HoldMaxAge, Log: log,
	})
	if a.tracer, err = newTracer(cfg, log); err != nil {
		return a, err
	}
	logSinks := a.logSinks()
	if cfg.ReadsLogs() && len(logSinks) == 0 {
		log.Warn("no logs are read, for none of the sinks takes them: add one, or set logs.pods to \"\" if that is what you want")
	}
	ledgers := make([]exporter.Lane, 0, len(logSinks))
	for _, s := range logSinks {
		l, err := a.newLane(s, len(logSinks), stdout)
		if err != nil {
			return a, err
		}
		a.lanes = append(a.lanes, l)
		ledgers = append(ledgers, l)
	}
	by, err := exporter.ParseLogsBy(cfg.Metrics.LogsBy)
	if err != nil {
		return a, err
	}
	registry, err := a.measure(exporter.NewLedger(by, cfg.Metrics.LogsMaxSeries, ledgers...))
	if err != nil {
		return a, err
	}
	if a.pusher, err = a.newPusher(registry); err != nil {
		return a, err
	}
	a.server, err = exporter.Listen(exporter.Options{
		Addresses: flags.ListenAddresses, WebConfigFile: flags.WebConfigFile, Pprof: flags.Pprof, Version: version, Node: cfg.Node,
		Registry: registry, Health: &a.health, Ready: a.ready, Log: log,
	})
	return a, err
}

// run works until ctx ends, then delivers what is in hand.
func (a *agent) run(ctx context.Context) error {
	defer a.close()
	drain, stopSending := context.WithCancel(context.Background())
	defer stopSending()

	var discovery, moving, pushing, serving sync.WaitGroup
	find, stopFinding := context.WithCancel(ctx)
	defer stopFinding()
	failed := make(chan error, 3) // each of what follows reports at most once

	serve, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	serving.Go(func() {
		if err := a.server.Serve(serve); err != nil {
			failed <- fmt.Errorf("metrics server: %w", err)
		}
	})
	for _, l := range a.lanes {
		moving.Go(func() { l.Run(find, drain, l.intake) })
	}
	serving.Go(func() { a.trim(serve.Done()) })
	serving.Go(func() { a.followLoad(serve) })
	pushTill, endPush := context.WithCancel(context.Background()) // after the lanes' end: the last figures are the final ones
	defer endPush()
	pushing.Go(func() { a.pusher.Run(pushTill, drain) })
	discovery.Go(func() { a.set.Run(find) })
	a.discover(find, &discovery, failed)

	var err error
	select {
	case <-ctx.Done():
		a.log.Info("leatd stops: reading no more, delivering what is in hand", "timeout", a.flags.ShutdownTimeout)
	case err = <-failed:
	}
	stopFinding()
	deadline := time.AfterFunc(a.flags.ShutdownTimeout, stopSending)
	moving.Wait()
	endPush()
	pushing.Wait()
	deadline.Stop()
	if !waitFor(&discovery, discoveryStops) {
		a.log.Warn("discovery hangs in a system call, on a dead disk perhaps; leatd stops without it")
	}
	stopServing()
	serving.Wait()
	a.log.Info("leatd has stopped", "pending_lines", a.pending())
	return err
}

// discoveryStops is how long discovery may take to stop: one look at a folder.
const discoveryStops = 5 * time.Second

// tracesLast is how long the last spans may take.
const tracesLast = 2 * time.Second

// waitFor waits for a group, but not for ever. It tells whether the group ended.
func waitFor(wg *sync.WaitGroup, most time.Duration) bool {
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-time.After(most):
		return false
	}
}

func (a *agent) pending() (lines int64) {
	for _, l := range a.lanes {
		for _, row := range l.Rows(nil) {
			lines += row.Pending.Lines
		}
	}
	return lines
}

func (a *agent) close() {
	if a.server != nil {
		a.server.Close()
	}
	for _, s := range a.spools {
		if err := s.Close(); err != nil {
			a.log.Warn("a spool did not close cleanly", "error", err)
		}
	}
	for _, d := range a.dead {
		if err := d.Close(); err != nil {
			a.log.Warn("a folder of dead letters did not close cleanly", "error", err)
		}
	}
	if a.tracer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), tracesLast)
		if err := a.tracer.Close(ctx); err != nil {
			a.log.Warn(err.Error())
		}
		cancel()
	}
	for _, s := range a.pushed {
		if err := s.Close(); err != nil {
			a.log.Warn("sink of metrics did not close cleanly", "error", err)
		}
	}
	for _, s := range a.stores {
		if err := s.Close(); err != nil {
			a.log.Warn("sink did not close cleanly", "error", err)
		}
	}
	a.unlock()
}
