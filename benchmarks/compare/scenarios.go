package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A scenario is one kind of work, and what is told of it.
type scenario struct {
	name     string
	protocol string // "" is the one that an agent names first
	bare     bool   // the bare loop takes its turn as well
	prepare  func(*turn) error
	run      func(context.Context, turn) (figures, error)
	rows     []row
}

func (s scenario) title() string {
	if s.protocol == "" {
		return s.name
	}
	return s.name + ", " + s.protocol
}

// figures are what a run came to, by the keys of rows.
type figures map[string]float64

// A row is one figure of a scenario.
type row struct {
	key    string
	label  string
	format string
	goal   *goal
	worst  bool // of several runs the greatest counts, not the median
}

// A goal is what leatd has to reach.
type goal struct {
	least bool // the figure is to be at least so much; else at most
	value float64
}

func atMost(v float64) *goal  { return &goal{value: v} }
func atLeast(v float64) *goal { return &goal{least: true, value: v} }

func (g goal) met(v float64) bool {
	if g.least {
		return v >= g.value
	}
	return v <= g.value
}

func (g goal) String() string {
	if g.least {
		return fmt.Sprintf(">= %g", g.value)
	}
	return fmt.Sprintf("<= %g", g.value)
}

// lossRows close every scenario.
var lossRows = []row{
	{key: "missing", label: "lines missing", format: "%.0f", goal: atMost(0), worst: true},
	{key: "twice", label: "lines twice", format: "%.0f", goal: atMost(0), worst: true},
	{key: "disorder", label: "lines out of order", format: "%.0f", goal: atMost(0), worst: true},
	{key: "foreign", label: "lines nobody wrote", format: "%.0f", goal: atMost(0), worst: true},
}

// The loads of the scenarios.
const (
	backlogFiles = 10
	manyFiles    = 5000
	idleFiles    = 2000
	streamPods   = 100
	streamRate   = 10_000
	streamRotate = 1 << 20
	tricklePods  = 200
	scrapeEvery  = 15 * time.Second
)

// scenarios are the rows of the table in issue "At the limit", whose goals are theirs.
func scenarios() []scenario {
	return []scenario{
		backlogScenario("loki", atMost(1.4), atLeast(800)),
		backlogScenario("otlp", atMost(1.3), nil),
		streamScenario("loki", atLeast(3.6)),
		streamScenario("otlp", atLeast(5.4)),
		{
			name: "trickle",
			run: func(ctx context.Context, t turn) (figures, error) {
				return t.stream(ctx, streamOf(tricklePods, tricklePods, 0), 30*time.Second)
			},
			prepare: describe("%d files that get a line a second each", tricklePods),
			rows: slices.Concat([]row{
				{key: "cores", label: "cores", format: "%.4f", goal: atMost(0.003)},
				{key: "peak", label: "peak memory, MiB", format: "%.1f"},
				{key: "p50", label: "latency p50, ms", format: "%.0f"},
				{key: "p99", label: "latency p99, ms", format: "%.0f"},
			}, lossRows),
		},
		{
			name:    "idle",
			prepare: prepareIdle,
			run:     runIdle,
			rows: slices.Concat([]row{
				{key: "percent", label: "CPU, % of a core", format: "%.3f", goal: atMost(0.3)},
				{key: "resident", label: "resident memory at the end, MiB", format: "%.1f", goal: atMost(40)},
				{key: "peak", label: "peak memory, MiB", format: "%.1f"},
			}, lossRows),
		},
		{
			name:    "files",
			prepare: prepareFiles,
			run:     runFiles,
			rows: slices.Concat([]row{
				{key: "few", label: fmt.Sprintf("CPU ns a line, %d files", backlogFiles), format: "%.0f"},
				{key: "many", label: fmt.Sprintf("CPU ns a line, %d files", manyFiles), format: "%.0f"},
				{key: "growth", label: "the second by the first", format: "%.2f", goal: atMost(1.3)},
				{key: "peak", label: fmt.Sprintf("peak memory, %d files, MiB", manyFiles), format: "%.1f"},
			}, lossRows),
		},
		{
			name:    "sinks",
			prepare: prepareBacklog,
			run:     runSinks,
			rows: slices.Concat([]row{
				{key: "one", label: "CPU ns a line, 1 sink", format: "%.0f"},
				{key: "three", label: "CPU ns a line and sink, 3 sinks", format: "%.0f"},
				{key: "growth", label: "the second by the first", format: "%.2f", goal: atMost(1.1)},
				{key: "peak", label: "peak memory, 3 sinks, MiB", format: "%.1f"},
			}, lossRows),
		},
	}
}

func backlogScenario(protocol string, times, speed *goal) scenario {
	return scenario{
		name: "backlog", protocol: protocol, bare: bareLoopOf(protocol) != nil, prepare: prepareBacklog, run: runBacklog,
		rows: slices.Concat([]row{
			{key: "cpu", label: "CPU s/GiB", format: "%.2f"},
			{key: "times", label: "times the bare loop", format: "%.2f", goal: times},
			{key: "speed", label: "MiB/s", format: "%.0f", goal: speed},
			{key: "start", label: "start to first arrival, ms", format: "%.0f"},
			{key: "peak", label: "peak memory, MiB", format: "%.1f", goal: atMost(48)},
			{key: "ratio", label: "log bytes per wire byte", format: "%.2f"},
		}, lossRows),
	}
}

func streamScenario(protocol string, ratio *goal) scenario {
	return scenario{
		name: "paced", protocol: protocol,
		prepare: describe("%d pods, %d lines/s together, rotation at 1 MiB", streamPods, streamRate),
		run: func(ctx context.Context, t turn) (figures, error) {
			return t.stream(ctx, streamOf(streamPods, streamRate, streamRotate), 30*time.Second)
		},
		rows: slices.Concat([]row{
			{key: "cores", label: "cores", format: "%.4f", goal: atMost(0.02)},
			{key: "p50", label: "latency p50, ms", format: "%.0f", goal: atMost(120)},
			{key: "p99", label: "latency p99, ms", format: "%.0f", goal: atMost(260)},
			{key: "ratio", label: "log bytes per wire byte", format: "%.2f", goal: ratio},
			{key: "peak", label: "peak memory, MiB", format: "%.1f"},
		}, lossRows),
	}
}

// choose picks scenarios by their names; "backlog" is that of every protocol, "backlog/otlp" the one.
func choose(names []string) (chosen []scenario, err error) {
	known := scenarioNames()
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("scenario %q: not known; there are %v", n, known)
		}
	}
	for _, s := range scenarios() {
		if len(names) == 0 || slices.Contains(names, s.name) || slices.Contains(names, s.name+"/"+s.protocol) {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// scenarioNames are the words that choose knows.
func scenarioNames() (names []string) {
	for _, s := range scenarios() {
		if !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
		if s.protocol != "" {
			names = append(names, s.name+"/"+s.protocol)
		}
	}
	return names
}
