package config

import (
	"fmt"
	"slices"
	"strings"
)

// A problem is one thing that is wrong, and where.
type problem struct {
	line, column int
	text         string
}

// maxProblems is how many are reported at once; a file with more is likely to be another kind of file.
const maxProblems = 20

// An invalid is the error of Load.
type invalid struct {
	file     string
	source   *source
	problems []problem
}

// sort puts the problems in the order of the file, each once.
func (e *invalid) sort() {
	slices.SortStableFunc(e.problems, func(a, b problem) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
	e.problems = slices.Compact(e.problems)
}

// Error has, for each problem, FILE:LINE:COLUMN: TEXT, the line, and a caret under the column.
func (e *invalid) Error() string {
	var b strings.Builder
	for i, p := range e.problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == maxProblems {
			fmt.Fprintf(&b, "and %d more", len(e.problems)-maxProblems)
			break
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s\n%s", e.file, p.line, p.column, p.text, e.source.show(p.line, p.column))
	}
	return b.String()
}

// add notes a problem; a place outside of the text is moved to its end.
func (e *invalid) add(line, column int, text string) {
	line = max(1, min(line, len(e.source.lines)))
	e.problems = append(e.problems, problem{line, max(1, column), text})
}
