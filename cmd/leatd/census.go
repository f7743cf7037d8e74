package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/leatd/leat/pipeline"
)

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
	c.mu.Lock()
	defer c.mu.Unlock()
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
	fmt.Fprintf(w, "\nWHAT IS READ: %s in %s, %s\n", count(len(names), "log"), count(total.files, "file"), humanBytes(total.bytes))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, name := range names {
		if i == mostRows {
			fmt.Fprintf(table, "  … and %d more\n", len(names)-mostRows)
			break
		}
		row := c.rows[name]
		fmt.Fprintf(table, "  %s\t%s\t%s\n", name, count(row.files, "file"), humanBytes(row.bytes))
	}
	table.Flush()
	for _, note := range c.notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func humanBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// remarks is a log whose lines become notes of a census: what discovery complains of, check tells.
type remarks struct {
	census *census
	attrs  []slog.Attr
}

func (*remarks) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (r *remarks) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	add := func(a slog.Attr) bool {
		text += fmt.Sprintf(" %s=%q", a.Key, a.Value.String())
		return true
	}
	for _, a := range r.attrs {
		add(a)
	}
	record.Attrs(add)
	r.census.note("%s", text)
	return nil
}

func (r *remarks) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &remarks{r.census, append(r.attrs[:len(r.attrs):len(r.attrs)], attrs...)}
}

func (r *remarks) WithGroup(string) slog.Handler { return r }
