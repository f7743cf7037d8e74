// Compare measures node agents from outside, each doing the same work, and prints one table.
//
//	go run ./benchmarks/compare -scenario backlog,paced -agent leatd,otelcol -repeat 5
//
// Package load writes the logs, package receiver takes them and accounts for every line, package agents knows how each
// agent is built and configured. An agent, the receiver and this program, which also writes the load while an agent
// runs, are processes of their own; all of them share the machine.
//
// What is measured, and how:
//
//   - CPU is that of the agent's process by the scheduler's account, in nanoseconds, ended threads included: its clock of
//     CLOCK_PROCESS_CPUTIME_ID, read from outside (clock_getcpuclockid(3)). Nothing is asked of the agent, and nothing
//     rounded to ticks. For a backlog it counts from the start of the process to a second after the last line's arrival,
//     so that keeping positions is in it; for the other scenarios between two moments while the load goes on.
//   - Memory is the most that was resident, VmHWM of /proc/PID/status, until the end of the run; of idle agents also what
//     is resident after a while (VmRSS).
//   - Throughput is the bytes of the log files, by the time from the start of the process to the arrival of the last line.
//   - Latency is from a line's write(2), the time that it carries, to the arrival of the whole request it came in.
//   - The wire's bytes are those that came over connections to the receiver, heads of requests included.
//   - Lines are counted by their numbers: missing, twice, out of order.
//
// Agents take turns (A B C A B C …), and the bare loop (package benchmarks) takes its turn with them, so that a ratio is
// of runs that stand side by side. A cell of the table is the median of an agent's runs, with the least and the greatest
// behind it; of what must be zero it is the greatest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/leatd/leat/benchmarks/agents"
	"github.com/leatd/leat/benchmarks/receiver"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("compare: ")
	if child, err := runChild(os.Args[1:]); child {
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	o := options{quiet: time.Second, patience: 30 * time.Second}
	var names, wanted, out string
	flag.StringVar(&wanted, "scenario", "", "scenarios, separated by commas; all if empty: "+strings.Join(scenarioNames(), ", "))
	flag.StringVar(&names, "agent", "", "agents, separated by commas, each with =PROGRAM or built; all that can be had if empty: "+strings.Join(agentNames(), ", "))
	size := flag.Int64("size", 1024, "size of a backlog, MiB")
	flag.IntVar(&o.repeat, "repeat", 3, "how many times each agent runs")
	flag.DurationVar(&o.window, "for", 0, "how long a load that goes on is measured; 0 for each scenario's own time")
	flag.StringVar(&o.folder, "dir", os.TempDir(), "where the logs are written")
	flag.StringVar(&o.profile, "profile", "", "folder for leatd's profiles of its first backlog; those cost CPU")
	flag.StringVar(&out, "out", "benchmarks/results", "folder that keeps the table; none if empty")
	flag.Parse()
	o.size = *size << 20
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, split(wanted), split(names), out); err != nil {
		log.Fatal(err)
	}
}

func split(names string) []string {
	return strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' })
}

func agentNames() (names []string) {
	for _, a := range agents.All() {
		names = append(names, a.Name)
	}
	return names
}

func run(ctx context.Context, o options, wanted, names []string, out string) error {
	chosen, err := choose(wanted)
	if err != nil {
		return err
	}
	b, err := newBench(ctx, o, names, os.Stderr)
	if err != nil {
		return err
	}
	began := time.Now()
	results, err := b.all(ctx, chosen)
	var table strings.Builder
	writeHeader(&table, b, began)
	for _, r := range results {
		r.write(&table)
	}
	fmt.Print(table.String())
	if err == nil && out != "" {
		err = keep(out, began, table.String())
	}
	for _, r := range results {
		err = errors.Join(err, r.lost())
	}
	return err
}

// keep writes the table to a file named by the time at which it was begun.
func keep(folder string, began time.Time, table string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	path := filepath.Join(folder, "compare-"+began.UTC().Format("20060102-150405")+".txt")
	if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	fmt.Fprintln(os.Stderr, "kept in", path)
	return nil
}

// runChild is what this program does as a process that it started itself: "receive BYTES", or "bareloop PROTOCOL FILE…".
func runChild(args []string) (child bool, err error) {
	switch {
	case len(args) == 2 && args[0] == "receive":
		reserve, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return true, err
		}
		return true, receiver.Serve(os.Stdin, os.Stdout, reserve)
	case len(args) > 2 && args[0] == "bareloop":
		return true, bareLoop(os.Stdout, args[1], args[2:])
	}
	return false, nil
}

// self is a command that runs this program again.
func self(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	return exec.CommandContext(ctx, path, args...), nil
}

// say reports progress.
func say(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}
