package node

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	sayAgain  = time.Hour // after which a complaint may be repeated
	mostAlike = 10        // complaints with the same message within that time
	mostKinds = 1000      // messages that are remembered
)

// once is the log of node_exporter's collectors. They complain about the same file or device at each scrape: each complaint
// is passed on once an hour, and at most ten with the same message, for what follows the message may differ each time. What
// they say below a warning they say at each scrape, so it is never passed on; and none of it is worse than a warning, for
// it costs some figures of one collector.
type once struct {
	slog.Handler
	mark string // the attributes that all records of this handler have
	book *book
}

func newOnce(h slog.Handler) *once { return &once{h, "", &book{said: map[string]*complaints{}}} }

// A book is what was said, by message and the collector's attributes.
type book struct {
	mu   sync.Mutex
	said map[string]*complaints
}

type complaints struct {
	since time.Time
	texts map[string]bool
}

// Enabled implements slog.Handler.
func (o *once) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && o.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (o *once) Handle(ctx context.Context, r slog.Record) error {
	r.Level = min(r.Level, slog.LevelWarn)
	if o.known(r) {
		return nil
	}
	return o.Handler.Handle(ctx, r)
}

// known notes a record and tells whether it is left out.
func (o *once) known(r slog.Record) bool {
	var text strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		text.WriteString(a.String())
		text.WriteByte('\n')
		return true
	})
	key := o.mark + r.Message
	o.book.mu.Lock()
	defer o.book.mu.Unlock()
	c := o.book.said[key]
	if c == nil || r.Time.Sub(c.since) >= sayAgain {
		if len(o.book.said) >= mostKinds {
			clear(o.book.said)
		}
		c = &complaints{r.Time, map[string]bool{}}
		o.book.said[key] = c
	}
	if c.texts[text.String()] || len(c.texts) == mostAlike {
		return true
	}
	c.texts[text.String()] = true
	return false
}

// WithAttrs implements slog.Handler.
func (o *once) WithAttrs(attrs []slog.Attr) slog.Handler {
	mark := o.mark
	for _, a := range attrs {
		mark += a.String() + "\n"
	}
	return &once{o.Handler.WithAttrs(attrs), mark, o.book}
}

// WithGroup implements slog.Handler.
func (o *once) WithGroup(name string) slog.Handler {
	return &once{o.Handler.WithGroup(name), o.mark + name + ".", o.book}
}
