package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/collector/hostfiles"
	"github.com/leatd/leat/collector/podlogs"
	"github.com/leatd/leat/pipeline"
)

// check says what leatd would read, how much of it there is, and where it would go. The configuration is good by now; what
// it names is looked at, but nothing is made, sent or locked.
func check(ctx context.Context, flags *config.Flags, cfg *config.Config, from string, stdout, stderr io.Writer) int {
	if from == "" {
		from = "no file; the defaults are used"
	}
	fmt.Fprintf(stdout, "configuration  %s: good\nnode           %s\nstate          %s\n", from, cfg.Node, cfg.State)

	bad := false
	var found census
	quiet := newLog(&config.Flags{LogLevel: "warn", LogFormat: flags.LogFormat}, stderr)
	if err := look(ctx, flags, cfg, &found, quiet); err != nil {
		fmt.Fprintln(stderr, err)
		bad = true
	}
	found.print(stdout)

	fmt.Fprintln(stdout, "\nWHERE IT GOES")
	for _, s := range cfg.Sinks {
		fmt.Fprintf(stdout, "  %s\n", s)
		if err := checkSink(s, cfg.OwnLabels()); err != nil {
			fmt.Fprintln(stderr, err)
			bad = true
		}
	}
	if bad {
		return exitBadInput
	}
	return exitOK
}

// checkSink makes what can be made of a sink without touching anything: for stores behind HTTP that reads certificates
// and passwords.
func checkSink(s config.Sink, own []string) error {
	if s.Type == config.TypeFile || s.Type == config.TypeConsole {
		return nil
	}
	sink, err := newSink(s, own, io.Discard)
	if err != nil {
		return fmt.Errorf("sinks.%w", err)
	}
	return sink.Close()
}

// look runs discovery until it has seen everything once.
func look(ctx context.Context, flags *config.Flags, cfg *config.Config, found *census, log *slog.Logger) error {
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	run := func(watch func(ctx context.Context, ready func()) error) {
		ctx, done := context.WithCancel(ctx)
		wg.Go(func() {
			defer done()
			if err := watch(ctx, done); err != nil {
				errs <- err
			}
		})
	}
	if cfg.Logs.Pods != "" {
		root := filepath.Join(flags.RootFS, cfg.Logs.Pods)
		if _, err := os.Stat(root); err != nil {
			found.note("%s is not there: no container logs until it is", root)
		}
		run(func(ctx context.Context, ready func()) error {
			return podlogs.New(podlogs.Options{Root: root, RootFS: flags.RootFS, Include: cfg.Logs.Wants, Files: found, Ready: ready, Log: log}).Run(ctx)
		})
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

// A census counts what discovery finds.
type census struct {
	mu    sync.Mutex
	rows  map[string]censusRow
	notes []string
}

type censusRow struct {
	files int
	bytes int64
}

// Sync takes a target's files.
func (c *census) Sync(t *pipeline.Target, files []pipeline.LogFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := t.Path
	if name == "" {
		name = t.Namespace + "/" + t.Pod + "/" + t.Container
	}
	if c.rows == nil {
		c.rows = make(map[string]censusRow)
	}
	row := c.rows[name]
	for _, f := range files {
		if f.Gzip {
			continue
		}
		row.files++
		if open, err := os.Open(f.Path); err != nil {
			c.notes = append(c.notes, fmt.Sprintf("%v: leatd must be able to read it", err))
		} else {
			if info, err := open.Stat(); err == nil {
				row.bytes += info.Size()
			}
			open.Close()
		}
	}
	c.rows[name] = row
}

// Gone is not heard: check looks once.
func (c *census) Gone(*pipeline.Target) {}

func (c *census) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// mostRows is how many logs are listed; a node may have thousands.
const mostRows = 40

func (c *census) print(w io.Writer) {
	var total censusRow
	names := make([]string, 0, len(c.rows))
	for name, row := range c.rows {
		names = append(names, name)
		total.files += row.files
		total.bytes += row.bytes
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := c.rows[b].bytes - c.rows[a].bytes; d != 0 {
			return int(max(-1, min(1, d)))
		}
		return strings.Compare(a, b)
	})
	fmt.Fprintf(w, "\nWHAT IS READ: %d logs in %d files, %s\n", len(names), total.files, config.Size(total.bytes))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, name := range names {
		if i == mostRows {
			fmt.Fprintf(table, "  … and %d more\n", len(names)-mostRows)
			break
		}
		row := c.rows[name]
		fmt.Fprintf(table, "  %s\t%d files\t%s\n", name, row.files, config.Size(row.bytes))
	}
	table.Flush()
	for _, note := range c.notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
}
