package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/leatd/leat/exporter"
)

// auditRows is how many of the worst rows are shown, unless all are asked for.
const auditRows = 20

// An auditRow is one target in one sink.
type auditRow struct {
	sink string
	*exporter.AuditTarget
}

// printAudit writes an audit for people: the worst rows, the sums of each sink, what cannot be known, the verdict.
func printAudit(w io.Writer, a *exporter.Audit, all bool) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "leatd %s on %s at %s, up %s\n\n", plainText(a.Version), plainText(a.Node), a.Time.Format(time.RFC3339), a.Time.Sub(a.Started).Truncate(time.Second))
	auditTable(&b, a, all)
	b.WriteByte('\n')
	for i := range a.Sinks {
		auditSums(&b, &a.Sinks[i])
	}
	b.WriteString("\nNot to be known from here:\n")
	for _, s := range a.CannotKnow {
		wrap(&b, "- ", plainText(s))
	}
	b.WriteByte('\n')
	wrap(&b, "", plainText(a.Verdict.Text))
	_, err := w.Write(b.Bytes())
	return err
}

// auditTable writes the worst rows. The name stands last, since it is as long as it wants to be.
func auditTable(b *bytes.Buffer, a *exporter.Audit, all bool) {
	var rows []auditRow
	for i := range a.Sinks {
		for j := range a.Sinks[i].Targets {
			rows = append(rows, auditRow{a.Sinks[i].Name, &a.Sinks[i].Targets[j]})
		}
	}
	slices.SortStableFunc(rows, func(x, y auditRow) int { return x.Compare(y.AuditTarget) })
	more := 0
	if !all && len(rows) > auditRows {
		more = len(rows) - auditRows
		rows = rows[:auditRows]
	}
	cells := [][]string{{"READ", "DELIVERED", "PENDING", "DROPPED", "LOST", "GAPS", "LAG", "SINK", "LOG"}}
	for _, r := range rows {
		cells = append(cells, r.cells())
	}
	width := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range cells {
		for c, cell := range row {
			pad := strings.Repeat(" ", width[c]-utf8.RuneCountInString(cell))
			switch {
			case c < 7: // numbers stand right
				b.WriteString(pad + cell + "  ")
			case c == 7:
				b.WriteString(cell + pad + "  ")
			default:
				b.WriteString(cell)
			}
		}
		b.WriteByte('\n')
		if i > 0 {
			for _, note := range rows[i-1].notes() {
				fmt.Fprintf(b, "    %s\n", note)
			}
		}
	}
	switch {
	case len(rows) == 0:
		b.WriteString("(no log has been found)\n")
	case more > 0:
		fmt.Fprintf(b, "… and %d more, none of them worse; --all shows them\n", more)
	}
}

func (r *auditRow) cells() []string {
	dropped, lost := r.Losses()
	lag := "-"
	if r.LagSeconds > 0 {
		lag = shortTime(r.LagSeconds)
	}
	return []string{
		exporter.Grouped(r.Read.Lines), atMost(&r.Balance), exporter.Grouped(r.Pending.Lines), exporter.Grouped(dropped.Lines),
		humanBytes(lost), exporter.Grouped(r.Gaps), lag, plainText(r.sink), plainText(r.Name()),
	}
}

// atMost is how many lines were delivered, or could have been.
func atMost(b *exporter.Balance) string {
	if b.DoubtfulLines > 0 {
		return "≤" + exporter.Grouped(b.Delivered.Lines)
	}
	return exporter.Grouped(b.Delivered.Lines)
}

// notes are what the columns have no room for.
func (r *auditRow) notes() (notes []string) {
	if !r.Consistent {
		notes = append(notes, "this account does not add up: please report it")
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Dropped)) {
		d := r.Dropped[reason]
		notes = append(notes, fmt.Sprintf("dropped: %s, %s (%s)", plainText(reason), exporter.Plural(d.Lines, "line"), humanBytes(d.Bytes)))
	}
	for _, reason := range slices.Sorted(maps.Keys(r.LostBytes)) {
		notes = append(notes, fmt.Sprintf("lost: %s, %s", plainText(reason), humanBytes(r.LostBytes[reason])))
	}
	if r.DoubtfulLines > 0 {
		notes = append(notes, fmt.Sprintf("at most: %s in requests that the store took in part", exporter.Plural(r.DoubtfulLines, "line")))
	}
	return notes
}

// auditSums writes what became of a sink's lines over all its targets.
func auditSums(b *bytes.Buffer, s *exporter.AuditSink) {
	state := ""
	if !s.Up {
		state = ", whose last request failed"
	}
	if s.Spool != nil && s.Spool.Bytes > 0 {
		state += fmt.Sprintf(", %s of %s in its spool", humanBytes(s.Spool.Bytes), humanBytes(s.Spool.LimitBytes))
	}
	fmt.Fprintf(b, "%s%s\n", plainText(s.Name), state)
	f := &s.SinceStart
	dropped, lost := f.Losses()
	fmt.Fprintf(b, "  since start  %s read = %s delivered + %s dropped + %s pending\n", exporter.Grouped(f.Read.Lines),
		atMost(f), exporter.Grouped(dropped.Lines), exporter.Grouped(f.Pending.Lines))
	fmt.Fprintf(b, "               %s = %s + %s + %s; %s lost, %s\n", humanBytes(f.Read.Bytes),
		humanBytes(f.Delivered.Bytes), humanBytes(dropped.Bytes), humanBytes(f.Pending.Bytes), humanBytes(lost), exporter.Plural(f.Gaps, "gap"))
	l := &s.Lifetime
	fmt.Fprintf(b, "  lifetime     %s delivered, %s dropped, %s lost, %s\n",
		exporter.Plural(l.Delivered.Lines, "line"), exporter.Grouped(l.Dropped.Lines), humanBytes(l.LostBytes), exporter.Plural(l.Gaps, "gap"))
}

// shortTime is a number of seconds in at most five characters.
func shortTime(seconds float64) string {
	d := time.Duration(min(seconds, 1e9) * float64(time.Second))
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0fm", d.Minutes())
	case d < 100*time.Hour:
		return fmt.Sprintf("%.0fh", d.Hours())
	}
	return fmt.Sprintf("%.0fd", d.Hours()/24)
}

// plainText keeps what names hold from moving a terminal's cursor: anybody may name a folder.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// wrap writes a text in lines of 80 columns; those after the first are indented by the width of its mark.
func wrap(b *bytes.Buffer, mark, text string) {
	column := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			b.WriteString(mark)
			column = len(mark)
		case column+1+n > 80:
			b.WriteString("\n" + strings.Repeat(" ", len(mark)))
			column = len(mark)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteByte('\n')
}
