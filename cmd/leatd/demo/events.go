package demo

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/exporter"
)

// Events are the last things that happened, for the foot of the screen, and how often each happened. Any goroutine may
// add to them.
type Events struct {
	mu      sync.Mutex
	last    []event
	counts  Counts
	pending map[*simulate.Container][]string // what the rotation under way did so far
}

// Counts says how often things happened.
type Counts struct{ Rotations, Gzips, Restarts, PodsGone int64 }

type event struct {
	at    time.Time
	who   string
	text  string
	alarm bool
}

const keptEvents = 100

// Add notes something that happened.
func (e *Events) Add(at time.Time, who, text string) { e.add(event{at: at, who: who, text: text}) }

func (e *Events) add(ev event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.push(ev)
}

func (e *Events) push(ev event) {
	if len(e.last) == keptEvents {
		e.last = slices.Delete(e.last, 0, 1)
	}
	e.last = append(e.last, ev)
}

// latest returns the last n events, the oldest first.
func (e *Events) latest(n int) []event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.last[max(0, len(e.last)-n):])
}

// Counts returns how often things happened so far.
func (e *Events) Counts() Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counts
}

// observe turns what happens to files into events. A rotation is one event, told when it is over.
func (e *Events) observe(at time.Time, workload string, ev simulate.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := ev.Container
	switch ev.Kind {
	case simulate.Removed:
		e.step(c, "oldest deleted")
	case simulate.Gzipped:
		e.counts.Gzips++
		e.step(c, "older gzipped")
	case simulate.Reopened:
		e.counts.Rotations++
		text := "rotated"
		if ev.Late > 0 {
			text += ", " + exporter.Plural(int64(ev.Late), "late write")
		}
		for _, did := range slices.Backward(e.pending[c]) {
			text += ", " + did
		}
		delete(e.pending, c)
		e.push(event{at: at, who: workload, text: text})
	case simulate.Started:
		if ev.File == "0.log" {
			e.push(event{at: at, who: workload, text: "pod " + c.Spec().Pod + " started"})
			return
		}
		e.counts.Restarts++
		e.push(event{at: at, who: workload, text: "restarted, now writes " + ev.File})
	case simulate.Deleted:
		e.counts.PodsGone++
		e.push(event{at: at, who: workload, text: "pod " + c.Spec().Pod + " is gone, with its files"})
	}
}

func (e *Events) step(c *simulate.Container, did string) {
	if e.pending == nil {
		e.pending = make(map[*simulate.Container][]string)
	}
	if !slices.Contains(e.pending[c], did) {
		e.pending[c] = append(e.pending[c], did)
	}
}

// Handler makes log records from level on events, so that the agent's own words don't tear the screen.
func (e *Events) Handler(level slog.Leveler) slog.Handler { return &handler{events: e, level: level} }

type handler struct {
	events *Events
	level  slog.Leveler
	attrs  string
	group  string
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(attr(h.group, a))
		return true
	})
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	h.events.add(event{at: at, who: "leatd", text: b.String(), alarm: r.Level >= slog.LevelWarn})
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	for _, a := range attrs {
		next.attrs += attr(h.group, a)
	}
	return &next
}

func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	if name != "" {
		next.group += name + "."
	}
	return &next
}

func attr(group string, a slog.Attr) string {
	if a.Equal(slog.Attr{}) {
		return ""
	}
	return fmt.Sprintf(" %s%s=%v", group, a.Key, a.Value.Resolve())
}
