package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/collector/container"
	"github.com/leatd/leat/collector/hostfiles"
	"github.com/leatd/leat/collector/podlogs"
	"github.com/leatd/leat/exporter"
)

// check says what leatd would read, how much of it there is, and where it would go. The configuration reads well by now;
// what it names is looked at, but nothing is made, sent or locked.
func check(ctx context.Context, flags *config.Flags, cfg *config.Config, from string, stdout, stderr io.Writer) int {
	if from == "" {
		from = "no file; the defaults are used"
	}
	var wrong []error
	for _, s := range cfg.Sinks {
		if err := checkSink(s, cfg); err != nil {
			wrong = append(wrong, err)
		}
	}
	if cfg.Metrics.Node {
		if _, err := newNode(flags, cfg, slog.New(slog.DiscardHandler)); err != nil {
			wrong = append(wrong, err)
		}
	}
	if err := exporter.CheckWebConfig(flags.WebConfigFile); err != nil {
		wrong = append(wrong, err)
	}
	bad, good := len(wrong) > 0, "good"
	if bad {
		good = "it does not work, see below"
	}
	fmt.Fprintf(stdout, "configuration  %s: %s\nnode           %s\nstate          %s\nmetrics        %s\n",
		from, good, cfg.Node, cfg.State, measures(flags, cfg))

	var found census
	if cfg.Metrics.Containers && container.PrivatePIDs(flags.ProcFS) {
		found.note(container.NoHostPIDs)
	}
	if cfg.ReadsLogs() && !slices.ContainsFunc(cfg.Sinks, config.Sink.TakesLogs) {
		found.note("no logs are read, for none of the sinks takes them: add one, or set logs.pods to \"\" if that is what you want")
	} else if err := look(ctx, flags, cfg, &found, slog.New(&remarks{census: &found})); err != nil {
		fmt.Fprintln(stderr, err)
		bad = true
	}
	found.print(stdout)

	fmt.Fprintln(stdout, "\nWHERE IT GOES")
	if len(cfg.Sinks) == 0 {
		fmt.Fprintln(stdout, "  nowhere: metrics are served, and there are no logs")
	}
	for _, s := range cfg.Sinks {
		fmt.Fprintf(stdout, "  %s%s\n", s, signals(s))
	}
	for _, err := range wrong {
		fmt.Fprintln(stderr, err)
	}
	if bad {
		return exitBadInput
	}
	return exitOK
}

// measures says in words what is measured, and how the figures leave the node.
func measures(flags *config.Flags, cfg *config.Config) string {
	what := "leatd's own"
	if cfg.Metrics.Containers {
		what = "the containers', " + what
	}
	if cfg.Metrics.Node {
		what = "the node's, " + what
	}
	what += "; served on " + strings.Join(flags.ListenAddresses, ", ")
	if slices.ContainsFunc(cfg.Sinks, config.Sink.TakesMetrics) {
		what += ", pushed every " + cfg.Metrics.Interval.String()
	}
	return what
}

// signals says what a sink is sent where that is not logs alone.
func signals(s config.Sink) string {
	switch {
	case s.TakesLogs() && s.TakesMetrics():
		return ": logs and metrics"
	case s.TakesMetrics():
		return ": metrics"
	}
	return ""
}

// checkSink makes what can be made of a sink without touching anything: for stores behind HTTP that reads certificates
// and passwords.
func checkSink(s config.Sink, cfg *config.Config) error {
	if s.Type == config.TypeFile || s.Type == config.TypeConsole {
		return nil
	}
	if s.TakesLogs() {
		sink, err := newSink(s, cfg.OwnLabels(), io.Discard)
		if err != nil {
			return fmt.Errorf("sinks.%w", err)
		}
		if err := sink.Close(); err != nil {
			return err
		}
	}
	if s.TakesMetrics() {
		sink, err := newPushSink(s, cfg)
		if err != nil {
			return fmt.Errorf("sinks.%w", err)
		}
		return sink.Close()
	}
	return nil
}

// lookFor is how long discovery may take to see everything once; a folder that can't be listed is looked at for ever.
const lookFor = 10 * time.Second

// look runs discovery until it has seen everything once.
func look(ctx context.Context, flags *config.Flags, cfg *config.Config, found *census, log *slog.Logger) error {
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	run := func(watch func(ctx context.Context, ready func()) error) {
		ctx, done := context.WithCancelCause(ctx)
		patience := time.AfterFunc(lookFor, func() {
			done(fmt.Errorf("no whole look at the logs within %s: see what is said above", lookFor))
		})
		wg.Go(func() {
			defer patience.Stop()
			err := watch(ctx, func() { done(nil) })
			if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
				err = cause
			}
			done(nil)
			if err != nil {
				errs <- err
			}
		})
	}
	if cfg.Logs.Pods != "" {
		root := filepath.Join(flags.RootFS, cfg.Logs.Pods)
		if info, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
			found.note("%s is not there: no container logs until it is", root)
		} else if err == nil && !info.IsDir() {
			return fmt.Errorf("logs.pods: %s is no folder: name the one where the kubelet keeps the logs of containers, or \"\" for none", root)
		} else {
			run(func(ctx context.Context, ready func()) error {
				return podlogs.New(podlogs.Options{Root: root, RootFS: flags.RootFS, Include: cfg.Logs.Wants, Files: found, Ready: ready, Log: log}).Run(ctx)
			})
		}
	}
	if len(cfg.Logs.Files) > 0 {
		var globs []hostfiles.Glob
		for _, f := range cfg.Logs.Files {
			globs = append(globs, hostfiles.Glob{Path: filepath.Join(flags.RootFS, f.Path)})
		}
		run(func(ctx context.Context, ready func()) error {
			return hostfiles.New(hostfiles.Options{Globs: globs, RootFS: flags.RootFS, Files: found, Ready: ready, Log: log}).Run(ctx)
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
