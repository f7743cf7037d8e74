package demo

import (
	"fmt"
	"io"
	"strings"

	"github.com/leatd/leat/exporter"
	"github.com/leatd/leat/pipeline"
)

// Account writes what became of every line, and one sentence that judges it. It returns whether the account adds up:
// for each workload, in lines and in bytes, written = read = delivered + dropped, with nothing pending and nothing lost.
// It is meant for the board after the workloads have stopped and the agent has drained.
func Account(w io.Writer, t Table) (bool, error) {
	const form = " %-11s%10s = %10s = %10s + %7s + %7s%11s\n"
	var b strings.Builder
	fmt.Fprintf(&b, form, "WORKLOAD", "WRITTEN", "READ", "DELIVERED", "DROPPED", "PENDING", "BYTES")
	put := func(l *Line) {
		fmt.Fprintf(&b, form, clip(l.Name, 10),
			fit(l.Written.Lines, 10), fit(l.Read.Lines, 10), fit(l.Delivered.Lines, 10), fit(l.Dropped.Lines, 7),
			fit(l.Pending.Lines, 7), size(l.Written.Bytes))
	}
	var faults []string
	for i := range t.Lines {
		put(&t.Lines[i])
		faults = append(faults, t.Lines[i].faults()...)
	}
	b.WriteString(" " + strings.Repeat("─", 78) + "\n")
	put(&t.Total)
	if len(faults) == 0 {
		faults = t.Total.faults() // what the lane's sums know and no workload's line does
	}
	b.WriteString("\n")
	b.WriteString(" " + judge(&t.Total, faults) + "\n")
	for _, f := range append(faults, t.Total.reasons()...) {
		b.WriteString("   " + f + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return false, fmt.Errorf("account: writing it: %w", err)
	}
	return len(faults) == 0, nil
}

func judge(total *Line, faults []string) string {
	switch n := total.Written.Lines; {
	case len(faults) > 0:
		return "The account does not add up:"
	case n == 0:
		return "Nothing was written."
	case total.Dropped != pipeline.Count{}:
		return fmt.Sprintf("The account adds up; delivered were %s of %s.", exporter.Grouped(total.Delivered.Lines), exporter.Plural(n, "line"))
	case n == 1:
		return "The one line written was delivered exactly once."
	default:
		return fmt.Sprintf("Every one of %s lines written was delivered exactly once.", exporter.Grouped(n))
	}
}

// faults says what does not add up, a sentence each.
func (l *Line) faults() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, l.Name+": "+fmt.Sprintf(format, args...)) }
	compare := func(unit string, written, read, delivered, dropped, pending int64) {
		switch {
		case read < written:
			say("%s of %s written were not read", exporter.Grouped(written-read), exporter.Plural(written, unit))
		case read > written:
			say("%s read, which is %s more than were written", exporter.Plural(read, unit), exporter.Grouped(read-written))
		}
		if sum := delivered + dropped + pending; sum != read {
			say("%s read, but delivered, dropped and pending come to %s", exporter.Plural(read, unit), exporter.Grouped(sum))
		}
	}
	compare("line", l.Written.Lines, l.Read.Lines, l.Delivered.Lines, l.Dropped.Lines, l.Pending.Lines)
	compare("byte", l.Written.Bytes, l.Read.Bytes, l.Delivered.Bytes, l.Dropped.Bytes, l.Pending.Bytes)
	if l.Pending.Lines > 0 {
		say("%s still pending", exporter.Plural(l.Pending.Lines, "line"))
	}
	if l.Lost > 0 {
		say("%s lost before they were read", exporter.Plural(l.Lost, "byte"))
	}
	if l.Gaps > 0 {
		say("%s vanished before anything was read of it", exporter.Plural(l.Gaps, "file"))
	}
	return out
}

// reasons says how much was dropped, and why.
func (l *Line) reasons() []string {
	var out []string
	for r, c := range l.Reasons {
		n := exporter.Plural(c.Lines, "line")
		if c.Lines == 0 { // what max_line cut off is no line
			n = exporter.Plural(c.Bytes, "byte")
		}
		if c != (pipeline.Count{}) {
			out = append(out, fmt.Sprintf("dropped: %s (%s)", n, pipeline.Reason(r)))
		}
	}
	return out
}
