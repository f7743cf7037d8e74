package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/collector/hostfiles"
	"github.com/leatd/leat/collector/podlogs"
	"github.com/leatd/leat/collector/tail"
	"github.com/leatd/leat/exporter"
	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/pipeline/spool"
	"github.com/leatd/leat/sinks"
)

// An agent is leatd at work. It starts in the order of the data and stops in it: discovery and readers first, then what
// is in hand is delivered, then the server goes.
//
//	discovery ─► tail.Set ─► lanes (read ─► encode ─► send) ─► sinks
//	                            └─► ledger ─► server
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
	health exporter.Health
	ready  *exporter.Ready
	server *exporter.Server
}

type lane struct {
	*pipeline.Lane
	intake *tail.Lane
}

// What must come true before leatd is ready.
const (
	stateLocked = "the state folder is locked"
	podsFound   = "the first look for container logs is done"
	filesFound  = "the first look for host files is done"
)

// newAgent makes everything that can fail, so that a mistake shows at once and nothing runs half.
func newAgent(flags *config.Flags, cfg *config.Config, log *slog.Logger, stdout io.Writer) (a *agent, err error) {
	a = &agent{flags: flags, cfg: cfg, log: log, unlock: func() {}}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	conditions := []string{stateLocked}
	if cfg.Logs.Pods != "" {
		conditions = append(conditions, podsFound)
	}
	if len(cfg.Logs.Files) > 0 {
		conditions = append(conditions, filesFound)
	}
	a.ready = exporter.NewReady(conditions...)
	if a.unlock, err = pipeline.LockState(cfg.State); err != nil {
		a.unlock = func() {}
		return a, err
	}
	a.ready.Set(stateLocked)
	memory, why := memoryLimit(cfg, "/")
	log.Info("memory", "limit", humanBytes(memory), "because_of", why)
	debug.SetMemoryLimit(memory)
	cfg.MemoryLimit = config.Size(memory)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // blocks live for ever and hold no pointers: collecting twice as often costs next to nothing
	}
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
	ledgers := make([]exporter.Lane, 0, len(cfg.Sinks))
	for _, s := range cfg.Sinks {
		l, err := a.newLane(s, stdout)
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
	registry := exporter.NewRegistry(version, revision(), exporter.NewLedger(by, ledgers...))
	registry.MustRegister(newFileMetrics(a.set, a.lanes, a.stores))
	a.server, err = exporter.Listen(exporter.Options{
		Addresses: flags.ListenAddresses, WebConfigFile: flags.WebConfigFile, Pprof: flags.Pprof, Version: version, Node: cfg.Node,
		Registry: registry, Health: &a.health, Ready: a.ready, Log: log,
	})
	return a, err
}

func (a *agent) newLane(s config.Sink, stdout io.Writer) (lane, error) {
	sink, err := newSink(s, a.cfg.OwnLabels(), stdout)
	if err != nil {
		return lane{}, fmt.Errorf("sinks.%w", err)
	}
	a.stores = append(a.stores, sink)
	if f, ok := sink.(*sinks.File); ok && f.Torn() > 0 {
		a.log.Warn("what a crash left unfinished at the end of a segment was cut off; its lines are written again",
			"sink", s.Name, "bytes", f.Torn())
	}
	cursors, err := pipeline.OpenStore(filepath.Join(a.cfg.State, s.Name), a.log)
	if err != nil {
		return lane{}, err
	}
	buffer, err := a.openSpool(s, cursors)
	if err != nil {
		return lane{}, fmt.Errorf("sinks.%s: %w", s.Name, err)
	}
	o := pipeline.Options{
		Name: s.Name, Sink: sink, Store: cursors, Log: a.log, Beat: a.health.Beat,
		MaxWait: s.MaxWait, MaxBatch: int(s.MaxBatch), MaxRate: int64(s.MaxRate), MaxBody: maxBody(s.Type),
		MaxLine: int(a.cfg.Logs.MaxLine), MaxShards: max(1, s.MaxShards), OneStream: s.Certain,
	}
	if buffer != nil {
		a.spools = append(a.spools, buffer)
		o.Spool = buffer
	}
	if s.DeadLetter.MaxBytes > 0 {
		dead := sinks.NewDeadLetters(s.Name, filepath.Join(a.cfg.State, s.Name, "dead-letter"), int64(s.DeadLetter.MaxBytes))
		a.dead = append(a.dead, dead)
		o.DeadLetters = dead
	}
	o.MaxShards = o.Afford(int(a.cfg.MemoryLimit) / 2 / len(a.cfg.Sinks))
	l := pipeline.NewLane(o)
	a.log.Info("sink", "name", s.Name, "type", s.Type, "to", sink.Where())
	return lane{l, a.set.Lane(l, cursors)}, nil
}

// run works until ctx ends, then delivers what is in hand.
func (a *agent) run(ctx context.Context) error {
	defer a.close()
	drain, stopSending := context.WithCancel(context.Background())
	defer stopSending()

	var discovery, moving, serving sync.WaitGroup
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

// discover starts the two ways of finding logs.
func (a *agent) discover(ctx context.Context, wg *sync.WaitGroup, failed chan<- error) {
	looking := &countdown{then: a.set.Ready}
	looking.left.Store(1) // this function's own, so that it can't come to nothing before all are started
	labels := sortedLabels(a.cfg.Labels)
	start := func(name, condition string, run func(ready func(), beat func(bool)) error) {
		looking.left.Add(1)
		beat := a.health.Beat(name)
		wg.Go(func() {
			err := run(func() { a.ready.Set(condition); looking.done() }, func(busy bool) {
				if busy {
					beat.Busy()
				} else {
					beat.Waiting()
				}
			})
			if err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	if a.cfg.Logs.Pods != "" {
		start("discovery of container logs", podsFound, func(ready func(), beat func(bool)) error {
			return podlogs.New(podlogs.Options{
				Root: filepath.Join(a.flags.RootFS, a.cfg.Logs.Pods), RootFS: a.flags.RootFS, Node: a.cfg.Node, Labels: labels,
				Include: a.wants(), Files: a.set, Ready: ready, Beat: beat, Log: a.log,
			}).Run(ctx)
		})
	}
	if len(a.cfg.Logs.Files) > 0 {
		globs := make([]hostfiles.Glob, 0, len(a.cfg.Logs.Files))
		for _, f := range a.cfg.Logs.Files {
			globs = append(globs, hostfiles.Glob{Path: filepath.Join(a.flags.RootFS, f.Path), Labels: sortedLabels(f.Labels)})
		}
		start("discovery of host files", filesFound, func(ready func(), beat func(bool)) error {
			return hostfiles.New(hostfiles.Options{
				Globs: globs, RootFS: a.flags.RootFS, Node: a.cfg.Node, Labels: labels, Files: a.set, Ready: ready, Beat: beat, Log: a.log,
			}).Run(ctx)
		})
	}
	looking.done()
}

// wants is which containers are read. With a console sink, leatd's own container is not: it would read what it writes.
func (a *agent) wants() func(namespace, pod, container string) bool {
	own := ""
	for _, s := range a.cfg.Sinks {
		if s.Type == config.TypeConsole {
			own = ownPod()
		}
	}
	return func(namespace, pod, container string) bool {
		return (own == "" || pod != own) && a.cfg.Logs.Wants(namespace, pod, container)
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
	for _, s := range a.stores {
		if err := s.Close(); err != nil {
			a.log.Warn("sink did not close cleanly", "error", err)
		}
	}
	a.unlock()
}

// A countdown calls then when the last of several has said that it is done.
type countdown struct {
	left atomic.Int32
	then func()
}

func (c *countdown) done() {
	if c.left.Add(-1) == 0 {
		c.then()
	}
}

// ownPod is the name of the pod that leatd runs in; on a plain host it is no pod's.
func ownPod() string {
	if name := os.Getenv("POD_NAME"); name != "" {
		return name
	}
	name, _ := os.Hostname()
	return name
}

func sortedLabels(m map[string]string) []pipeline.Label {
	labels := make([]pipeline.Label, 0, len(m))
	for name, value := range m {
		labels = append(labels, pipeline.Label{Name: name, Value: value})
	}
	slices.SortFunc(labels, func(a, b pipeline.Label) int { return strings.Compare(a.Name, b.Name) })
	return labels
}
