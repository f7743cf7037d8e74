// leatd collects the logs of a node's containers and delivers every line at least once.
//
//	main.go     flags, the choice of the command, exit codes
//	agent.go    the wiring, in the order of the data, and how it stops
//	sinks.go    from the configuration to sinks
//	check.go    leatd check
//	census.go   what check has found
//	audit*.go   leatd audit: asks, and prints
//	own.go      leatd's own pod and its log
//	lock.go     one leatd to a folder of state
//	memory.go   how much memory Go may use; trim.go gives back what the start needed
//	wakeups.go  how little leatd makes the machine do while there is little to do
//	handover.go leatd handover
//	demo.go     leatd demo
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/prometheus/common/promslog"

	"github.com/leatd/leat/cmd/leatd/config"
)

// version is set by the linker; see the Makefile.
var version = "0.1.0-dev"

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1 // leatd could not do its work
	exitBadInput = 2 // the flags or the configuration are wrong
)

func main() {
	relax()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)   // whoever asks a second time has no patience: that ends leatd at once
	signal.Ignore(syscall.SIGPIPE) // a console sink whose reader has gone is an error like any other
	os.Exit(leatd(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// leatd runs one command and returns the exit code.
func leatd(ctx context.Context, args []string, env func(string) (string, bool), stdout, stderr io.Writer) int {
	flags, err := config.ParseFlags(args, env, stdout)
	if errors.Is(err, config.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(stderr, "leatd:", err)
		return exitBadInput
	}
	switch flags.Command {
	case config.CommandVersion:
		fmt.Fprintf(stdout, "leatd %s (revision %s, %s, %s/%s)\n", version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitOK
	case config.CommandAudit:
		return audit(ctx, flags, stdout, stderr)
	case config.CommandDemo:
		return demo(ctx, flags, stdout, stderr)
	}
	cfg, from, err := flags.Open(env)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitBadInput
	}
	if info, err := os.Stat(flags.RootFS); err != nil || !info.IsDir() {
		fmt.Fprintf(stderr, "leatd: flags: --path.rootfs: %s is no folder: name the folder where the host's root is mounted\n", flags.RootFS)
		return exitBadInput
	}
	switch flags.Command {
	case config.CommandCheck:
		return check(ctx, flags, cfg, from, stdout, stderr)
	case config.CommandHandover:
		return handOver(cfg.State, flags.HandoverTo, stdout, stderr)
	}
	log := newLog(flags, stderr)
	if from == "" {
		from = "none: the defaults"
	}
	log.Info("leatd starts", "version", version, "node", cfg.Node, "config", from, "state", cfg.State)
	a, err := newAgent(ctx, flags, cfg, log, stdout)
	if err != nil {
		log.Error("leatd cannot start", "error", err)
		return exitFailed
	}
	if err := a.run(ctx); err != nil {
		log.Error("leatd failed", "error", err)
		return exitFailed
	}
	return exitOK
}

func newLog(f *config.Flags, w io.Writer) *slog.Logger {
	level, format := promslog.NewLevel(), promslog.NewFormat()
	if err := errors.Join(level.Set(f.LogLevel), format.Set(f.LogFormat)); err != nil {
		panic(err) // flags are checked
	}
	return promslog.New(&promslog.Config{Level: level, Format: format, Writer: w})
}

// revision is the commit that the binary was built from, as far as it is known.
func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
