package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/leatd/leat/benchmarks/load"
	"github.com/leatd/leat/benchmarks/receiver"
)

// A backlog is logs that were written before any agent runs; all agents read the same.
type backlog struct {
	*load.Written
	root  string
	paths []string
}

// write adds a backlog to the turn's.
func (t *turn) write(files int, size int64) error {
	root := filepath.Join(t.dir, fmt.Sprint("pods-", files))
	sum, paths, err := load.Backlog{Files: files, Bytes: size}.Write(root)
	if err != nil {
		return err
	}
	t.loads = append(t.loads, backlog{sum, root, paths})
	// What the kernel has not written yet it would write while agents are measured.
	f, err := os.Open(root)
	if err != nil {
		return err
	}
	return errors.Join(syncFilesystem(f), f.Close())
}

func prepareBacklog(t *turn) error {
	if err := t.write(backlogFiles, t.bench.size); err != nil {
		return err
	}
	l := t.loads[0]
	zstd1, snappy, err := load.Ratios(l.paths)
	t.what = fmt.Sprintf("%d MiB in %d files, %d lines; zstd -1 makes them %.1f times smaller, snappy %.1f", l.Bytes>>20, backlogFiles, l.Total, zstd1, snappy)
	return err
}

func prepareFiles(t *turn) error {
	t.what = fmt.Sprintf("%d MiB in %d and in %d files", t.bench.size>>20, backlogFiles, manyFiles)
	return errors.Join(t.write(backlogFiles, t.bench.size), t.write(manyFiles, t.bench.size))
}

// A carried backlog is what it came to.
type carried struct {
	receiver.Report
	cpu, took, start time.Duration // the last two from the start of the process to the last arrival and to the first
	peak             float64       // bytes
}

// carry lets the agent deliver a backlog.
func (t turn) carry(ctx context.Context, l backlog, sinks int) (c carried, err error) {
	if err := t.begin(ctx, l.root, sinks, l.Bytes*int64(sinks)/3); err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, t.end()) }()
	profiles := make(chan error, 1)
	go func() { profiles <- t.profileCPU(ctx) }()
	c.Report, c.peak, err = t.drain(ctx, receiver.Question{Lines: l.Lines}, func() error {
		return errors.Join(<-profiles, t.profileRest(ctx))
	})
	if err != nil {
		return c, err
	}
	last := time.Unix(0, c.Last)
	c.took, c.start = last.Sub(t.agent.began), time.Unix(0, c.First).Sub(t.agent.began)
	c.cpu = t.agent.sampler.until(last.Add(t.bench.quiet))
	return c, nil
}

func runBacklog(ctx context.Context, t turn) (figures, error) {
	l := t.loads[0]
	c, err := t.carry(ctx, l, 1)
	f := loss(c.Report)
	f["cpu"] = c.cpu.Seconds() / gib(l.Bytes)
	if t.bare != nil {
		f["times"] = f["cpu"] / t.bare["cpu"]
	}
	f["speed"] = mib(float64(l.Bytes)) / c.took.Seconds()
	f["start"] = milliseconds(c.start)
	f["peak"] = mib(c.peak)
	f["ratio"] = float64(l.Bytes) / float64(c.Wire)
	return f, err
}

// runFiles has the lines of few large files carried, and those of many small ones.
func runFiles(ctx context.Context, t turn) (figures, error) {
	few, err := t.carry(ctx, t.loads[0], 1)
	if err != nil {
		return nil, err
	}
	many, err := t.carry(ctx, t.loads[1], 1)
	f := loss(few.Report, many.Report)
	f["few"] = float64(few.cpu.Nanoseconds()) / float64(t.loads[0].Total)
	f["many"] = float64(many.cpu.Nanoseconds()) / float64(t.loads[1].Total)
	f["growth"] = f["many"] / f["few"]
	f["peak"] = mib(many.peak)
	return f, err
}

// runSinks has the lines carried to one store, and to three. Only leatd is asked to.
func runSinks(ctx context.Context, t turn) (figures, error) {
	if t.who.Name != ours {
		return figures{}, nil
	}
	one, err := t.carry(ctx, t.loads[0], 1)
	if err != nil {
		return nil, err
	}
	three, err := t.carry(ctx, t.loads[0], 3)
	f := loss(one.Report, three.Report)
	lines := float64(t.loads[0].Total)
	f["one"] = float64(one.cpu.Nanoseconds()) / lines
	f["three"] = float64(three.cpu.Nanoseconds()) / lines / 3
	f["growth"] = f["three"] / f["one"]
	f["peak"] = mib(three.peak)
	return f, err
}

// loss is what became of lines, over several reports.
func loss(reports ...receiver.Report) figures {
	f := figures{}
	for _, r := range reports {
		f["missing"] += float64(r.Missing)
		f["twice"] += float64(r.Duplicate)
		f["disorder"] += float64(r.OutOfOrder)
		f["foreign"] += float64(r.Foreign)
	}
	return f
}

func gib(bytes int64) float64   { return float64(bytes) / (1 << 30) }
func mib(bytes float64) float64 { return bytes / (1 << 20) }
