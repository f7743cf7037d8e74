package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/collector/tail"
	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/sinks"
)

// A lane is the way of the lines to one sink, with what reads for it.
type lane struct {
	*pipeline.Lane
	intake *tail.Lane
}

// logSinks are the sinks that take logs.
func (a *agent) logSinks() (sinks []config.Sink) {
	for _, s := range a.cfg.Sinks {
		if s.TakesLogs() {
			sinks = append(sinks, s)
		}
	}
	return sinks
}

// newLane makes one of several lanes.
func (a *agent) newLane(s config.Sink, lanes int, stdout io.Writer) (lane, error) {
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
	a.partWithOwn(cursors)
	o := pipeline.Options{
		Name: s.Name, Sink: sink, Store: cursors, Log: a.log, Beat: a.health.Beat,
		MaxWait: s.MaxWait, MaxBatch: int(s.MaxBatch), MaxRate: int64(s.MaxRate), MaxBody: maxBody(s.Type),
		MaxLine: int(a.cfg.Logs.MaxLine), MaxShards: max(1, s.MaxShards), OneStream: s.Certain,
	}
	if a.tracer != nil {
		o.Batch = a.tracer.Batch
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
	o.MaxShards = o.Afford(int(a.cfg.MemoryLimit) / 2 / lanes)
	l := pipeline.NewLane(o)
	a.log.Info("sink", "name", s.Name, "type", s.Type, "to", sink.Where())
	return lane{l, a.set.Lane(l, cursors)}, nil
}
