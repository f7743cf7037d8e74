package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A result is all runs of a scenario.
type result struct {
	scenario scenario
	what     string // the load in words
	names    []string
	runs     map[string][]figures // by the name of the agent
}

func newResult(s scenario, what string) *result {
	return &result{scenario: s, what: what, runs: map[string][]figures{}}
}

// add notes a run. Agents stand in the table in the order in which they come here first.
func (r *result) add(name string, f figures) {
	if len(r.runs[name]) == 0 {
		r.names = append(r.names, name)
	}
	r.runs[name] = append(r.runs[name], f)
}

// lost is an error if our agent lost lines in some run.
func (r *result) lost() error {
	for _, name := range r.names {
		for _, f := range r.runs[name] {
			if f["missing"] > 0 && isOurs(name) {
				return fmt.Errorf("%s: %s lost %.0f lines", r.scenario.title(), name, f["missing"])
			}
		}
	}
	return nil
}

func isOurs(name string) bool { return strings.HasPrefix(name, ours+" ") }

// write prints the scenario: a line a figure, a column an agent.
func (r *result) write(w io.Writer) {
	if len(r.names) == 0 {
		return
	}
	grid := [][]string{append([]string{"", "goal"}, r.names...)}
	for _, row := range r.scenario.rows {
		line := []string{row.label, ""}
		if row.goal != nil {
			line[1] = row.goal.String()
		}
		for _, name := range r.names {
			line = append(line, row.cell(r.runs[name], isOurs(name)))
		}
		if slices.ContainsFunc(line[2:], func(c string) bool { return c != "" }) {
			grid = append(grid, line)
		}
	}
	fmt.Fprintf(w, "\n%s: %s\n", r.scenario.title(), r.what)
	align(w, grid)
}

// cell is what an agent's runs came to in one figure, with a verdict if the goal is for it.
func (r row) cell(runs []figures, judged bool) string {
	var values []float64
	for _, f := range runs {
		if v, ok := f[r.key]; ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return ""
	}
	slices.Sort(values)
	least, most := values[0], values[len(values)-1]
	v := median(values)
	if r.worst {
		v = most
	}
	text := fmt.Sprintf(r.format, v)
	if len(values) > 1 && !r.worst {
		text += fmt.Sprintf(" ("+r.format+" to "+r.format+")", least, most)
	}
	switch {
	case r.goal == nil || !judged:
		return text
	case r.goal.met(v):
		return text + " ok"
	default:
		return text + " MISSED"
	}
}

// median is that of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// align prints cells in columns, each as wide as its widest cell.
func align(w io.Writer, grid [][]string) {
	widths := make([]int, len(grid[0]))
	for _, line := range grid {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range grid {
		var b strings.Builder
		for i, cell := range line {
			fmt.Fprintf(&b, "  %-*s", widths[i], cell)
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}
