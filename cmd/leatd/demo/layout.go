package demo

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/leatd/leat/exporter"
)

// A style is how a piece of text looks where the terminal has colours.
type style uint8

const (
	normal style = iota
	bold
	dim
	good
	busy // lines are under way
	alarm
)

var codes = [...]string{normal: "", bold: "1", dim: "2", good: "32", busy: "33", alarm: "1;31"}

// A row is one line of the screen, in pieces of one style each.
type row []piece

type piece struct {
	text  string
	style style
}

// render writes the row, cut at the terminal's width; whatever would move the cursor becomes a question mark.
func (r row) render(b *bytes.Buffer, columns int, colour bool) {
	for _, p := range r {
		if columns <= 0 {
			return
		}
		code := codes[p.style]
		if colour && code != "" {
			b.WriteString("\x1b[" + code + "m")
		}
		for _, c := range p.text {
			if columns == 0 {
				break
			}
			if !unicode.IsPrint(c) {
				c = '?'
			}
			b.WriteRune(c)
			columns--
		}
		if colour && code != "" {
			b.WriteString("\x1b[0m")
		}
	}
}

// The table is as wide as an ordinary terminal; a wide one gives names more room and shows the bytes a second.
const (
	usual = 80
	wide  = 100
)

const hint = "Ctrl-C stops the workloads, drains what is under way, and prints the account."

// layout places everything: a header, the table, and in what room is left the last events.
func (s *Screen) layout(t Table, up time.Duration, stopping string, columns, rows int) []row {
	width := max(40, min(columns, usual))
	if columns >= wide {
		width = wide
	}
	title := fmt.Sprintf("  %d workloads, %s lines/s, %s/s", len(t.Lines), exporter.Grouped(int64(t.Total.Rate+0.5)), size(int64(t.Total.ByteRate)))
	since := "up " + clock(up)
	gap := max(1, width-1-utf8.RuneCountInString(" "+s.Header.Title+title+since))
	head := []row{
		{{" " + s.Header.Title, bold}, {title, normal}, {strings.Repeat(" ", gap) + since, dim}},
		nil,
		{{"   logs     ", dim}, {s.Header.Logs, normal}},
		{{"   kept in  ", dim}, {s.Header.Kept, normal}},
		{{"   metrics  ", dim}, {s.Header.Metrics, normal}},
		nil,
	}
	table := s.table(t, width, stopping != "")
	last := row{{" " + hint, dim}}
	if stopping != "" {
		last = row{{" " + stopping, bold}}
	}
	// Beside these: an empty line, the tally, the last line. A low terminal does without events first, then without
	// the places, then without what is at the bottom.
	room := rows - len(head) - len(table) - 3
	if room < 0 {
		head = head[:2]
		room = rows - len(head) - len(table) - 3
	}
	out := append(head, table...)
	out = append(out, nil, row{{" " + s.tally(), dim}})
	if room > 0 {
		events := s.Events.latest(room)
		for _, e := range events {
			look := normal
			if e.alarm {
				look = alarm
			}
			out = append(out, row{
				{" " + e.at.Format(time.TimeOnly) + "  ", dim}, {fmt.Sprintf("%-10s ", e.who), normal}, {e.text, look}})
		}
		for range room - len(events) {
			out = append(out, nil)
		}
	}
	out = append(out, last)
	return out[:min(len(out), max(rows, 1))]
}

// tally says how often things happened.
func (s *Screen) tally() string {
	c := s.Events.Counts()
	return strings.Join([]string{
		exporter.Plural(c.Rotations, "rotation"), exporter.Grouped(c.Gzips) + " gzipped", exporter.Plural(c.Restarts, "restart"),
		exporter.Plural(c.PodsGone, "pod") + " gone",
	}, ", ")
}

// table is a line for each workload and the sum of all.
func (s *Screen) table(t Table, width int, stopping bool) []row {
	name := 12
	if width >= wide {
		name = 18
	}
	rule := row{{" " + strings.Repeat("─", width-2), dim}}
	heads := fmt.Sprintf(" %-*s%10s%10s%11s%9s%10s%7s%9s", name, "WORKLOAD", "WRITTEN", "READ", "DELIVERED", "PENDING", "LOST", "LAG", "RATE")
	if width >= wide {
		heads += fmt.Sprintf("%13s", "BYTES")
	}
	out := []row{{{heads, dim}}}
	for i := range t.Lines {
		out = append(out, s.line(&t.Lines[i], name, width, normal, stopping))
	}
	return append(out, rule, s.line(&t.Total, name, width, bold, stopping))
}

func (s *Screen) line(l *Line, name, width int, look style, stopping bool) row {
	lost, pending, lagging := dim, dim, dim
	if l.Lost > 0 || l.Gaps > 0 || l.Dropped.Lines > 0 {
		lost = alarm
	}
	if l.Pending.Lines > 0 {
		pending = busy
	}
	if l.Lag > 0 {
		lagging = look
	}
	delivered := look
	if stopping && l.Delivered.Lines == l.Written.Lines { // while lines come, this would only flicker
		delivered = good
	}
	r := row{
		{fmt.Sprintf(" %-*s", name, clip(l.Name, name-1)), look},
		{fmt.Sprintf("%10s%10s", fit(l.Written.Lines, 9), fit(l.Read.Lines, 9)), look},
		{fmt.Sprintf("%11s", fit(l.Delivered.Lines, 10)), delivered},
		{fmt.Sprintf("%9s", fit(l.Pending.Lines, 8)), pending},
		{fmt.Sprintf("%10s", loss(l, 9)), lost},
		{fmt.Sprintf("%7s", span(l.Lag)), lagging},
		{fmt.Sprintf("%9s", fit(int64(l.Rate+0.5), 6)+"/s"), look},
	}
	if width >= wide {
		r = append(r, piece{fmt.Sprintf("%13s", size(int64(l.ByteRate))+"/s"), look})
	}
	return r
}
