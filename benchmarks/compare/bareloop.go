package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/benchmarks"
)

// bareLoopOf is the bare loop for a protocol; nil if there is none.
func bareLoopOf(protocol string) func(r io.ReaderAt, size int64) (compressed, lines int64, err error) {
	switch protocol {
	case "loki":
		return benchmarks.BareLoop
	case "otlp":
		return benchmarks.BareLoopOTLP
	}
	return nil
}

// bareLoop is the bare loop's process: it says how many bytes its requests had.
func bareLoop(out io.Writer, protocol string, paths []string) error {
	loop := bareLoopOf(protocol)
	if loop == nil {
		return fmt.Errorf("bare loop: there is none for %q", protocol)
	}
	var sum int64
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("bare loop: %w", err)
		}
		info, err := f.Stat()
		if err == nil {
			var n int64
			n, _, err = loop(f, info.Size())
			sum += n
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("bare loop: %s: %w", path, err)
		}
	}
	fmt.Fprintln(out, sum)
	return nil
}

// runBareLoop gives the bare loop its turn, in a process of its own like an agent.
func runBareLoop(ctx context.Context, protocol string, l backlog) (figures, error) {
	cmd, err := self(ctx, append([]string{"bareloop", protocol}, l.paths...)...)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	began := time.Now()
	out, err := cmd.Output()
	took := time.Since(began)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bareName, err)
	}
	var bytes float64
	if _, err := fmt.Sscan(string(out), &bytes); err != nil {
		return nil, fmt.Errorf("%s: %w", bareName, err)
	}
	// Of a process that has ended the kernel tells user and system time such that their sum is exact (getrusage(2)).
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return figures{
		"cpu":   used.Seconds() / gib(l.Bytes),
		"speed": mib(float64(l.Bytes)) / took.Seconds(),
		"ratio": float64(l.Bytes) / bytes,
	}, nil
}

// syncFilesystem writes out what a file's file system holds back (syncfs(2)).
func syncFilesystem(f *os.File) error {
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("load: syncfs: %w", err)
	}
	return nil
}
