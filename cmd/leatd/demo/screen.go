package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/leatd/leat/exporter"
)

// A Header says what runs and where things lie.
type Header struct {
	Title   string // "leatd demo"
	Logs    string // the folder that plays /var/log/pods
	Kept    string // the folder of the segments
	Metrics string // the address of /metrics
}

// A Screen shows a board while the demo runs: on a terminal in place, five times a second; elsewhere, and where the
// terminal cannot move its cursor (TERM=dumb), as one plain line every two seconds.
//
// On a terminal it uses the alternate screen, so that what stood there before is there again when Run returns.
type Screen struct {
	Header Header
	Board  *Board
	Events *Events

	out      io.Writer
	size     func() (columns, rows int)
	terminal bool
	colour   bool
	stopping atomic.Pointer[string]
}

const (
	framePause = 200 * time.Millisecond
	plainPause = 2 * time.Second
)

// NewScreen makes a screen on out, which shows colours unless NO_COLOR is set; getenv is os.Getenv.
func NewScreen(out *os.File, getenv func(string) string, h Header, b *Board, e *Events) *Screen {
	fd := int(out.Fd())
	terminal, colour := abilities(term.IsTerminal(fd), getenv)
	return &Screen{
		Header: h, Board: b, Events: e, out: out, terminal: terminal, colour: colour,
		size: func() (int, int) {
			columns, rows, err := term.GetSize(fd)
			if err != nil || columns <= 0 || rows <= 0 {
				return 80, 24
			}
			return columns, rows
		},
	}
}

// abilities says whether to draw in place, and whether in colours (https://no-color.org).
func abilities(terminal bool, getenv func(string) string) (inPlace, colour bool) {
	name := getenv("TERM")
	inPlace = terminal && name != "" && name != "dumb"
	return inPlace, inPlace && getenv("NO_COLOR") == ""
}

// Terminal says that the screen is drawn in place; the agent's log then belongs to Events.Handler.
func (s *Screen) Terminal() bool { return s.terminal }

// Say puts a sentence in the last line in place of the hint how to stop: the demo is stopping, and what it waits for.
func (s *Screen) Say(stopping string) { s.stopping.Store(&stopping) }

func (s *Screen) said() string {
	if p := s.stopping.Load(); p != nil {
		return *p
	}
	return ""
}

// What the terminal is told. Each frame overwrites the one before and clears what that left over, so nothing flickers.
const (
	enter    = "\x1b[?1049h\x1b[?25l\x1b[2J" // the alternate screen, no cursor, empty
	leave    = "\x1b[0m\x1b[?25h\x1b[?1049l"
	home     = "\x1b[H"
	lineEnd  = "\x1b[K\r\n"
	frameEnd = "\x1b[K\x1b[J"
)

// Run shows the board until ctx ends. The terminal is then as it was. An error is one of writing to it.
func (s *Screen) Run(ctx context.Context) (err error) {
	began := time.Now()
	pause := plainPause
	if s.terminal {
		pause = framePause
		if err := s.write(enter); err != nil {
			return err
		}
		defer func() {
			if e := s.write(leave); err == nil {
				err = e
			}
		}()
	} else if err := s.write(s.opening()); err != nil {
		return err
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	said := ""
	for {
		table := s.Board.Look(time.Now())
		text := s.plain(table)
		if s.terminal {
			text = s.frame(table, time.Since(began))
		} else if now := s.said(); now != said {
			said = now
			text += table.At.Format(time.TimeOnly) + " " + said + "\n"
		}
		if err := s.write(text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *Screen) write(text string) error {
	if _, err := io.WriteString(s.out, text); err != nil {
		return fmt.Errorf("screen: writing to the terminal: %w", err)
	}
	return nil
}

// opening is the header where there is no terminal.
func (s *Screen) opening() string {
	return fmt.Sprintf("%s: logs in %s, kept in %s, metrics at %s\n", s.Header.Title, s.Header.Logs, s.Header.Kept, s.Header.Metrics)
}

// plain is a board in one line.
func (s *Screen) plain(t Table) string {
	c := s.Events.Counts()
	l := &t.Total
	return fmt.Sprintf("%s written %s read %s delivered %s pending %s lost %s lag %s rate %.0f/s rotations %d gzips %d restarts %d pods-gone %d\n",
		t.At.Format(time.TimeOnly), exporter.Grouped(l.Written.Lines), exporter.Grouped(l.Read.Lines), exporter.Grouped(l.Delivered.Lines), exporter.Grouped(l.Pending.Lines),
		loss(l, 40), span(l.Lag), l.Rate, c.Rotations, c.Gzips, c.Restarts, c.PodsGone)
}

// loss says in one word what did not arrive: 0, dropped lines, or else the bytes that vanished unread.
func loss(l *Line, width int) string {
	switch {
	case l.Lost > 0:
		return size(l.Lost)
	case l.Gaps > 0:
		return exporter.Plural(l.Gaps, "file")
	default:
		return fit(l.Dropped.Lines, width)
	}
}

// frame is the whole screen.
func (s *Screen) frame(t Table, up time.Duration) string {
	columns, rows := s.size()
	var b bytes.Buffer
	b.WriteString(home)
	for i, line := range s.layout(t, up, s.said(), columns, rows) {
		if i > 0 {
			b.WriteString(lineEnd)
		}
		line.render(&b, columns, s.colour)
	}
	b.WriteString(frameEnd)
	return b.String()
}
