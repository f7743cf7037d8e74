package main

import (
	"strings"
	"testing"
)

const wantTable = `
work, otlp: some lines
                 goal    bare loop  leatd 1.0                   peer 2
  CPU s/GiB      <= 1.4  1.00       1.50 (1.00 to 3.00) MISSED  9.00
  MiB/s          >= 800             800 (700 to 1000) ok        10
  memory, MiB                       32.0 (30.0 to 34.0)
  lines missing  <= 0               2 MISSED                    0
`

// The table as a whole: medians with their spread, verdicts for leatd only, and no line for what nobody has.
func TestTable(t *testing.T) {
	s := scenario{name: "work", protocol: "otlp", rows: []row{
		{key: "cpu", label: "CPU s/GiB", format: "%.2f", goal: atMost(1.4)},
		{key: "speed", label: "MiB/s", format: "%.0f", goal: atLeast(800)},
		{key: "peak", label: "memory, MiB", format: "%.1f"},
		{key: "none", label: "nobody has it", format: "%.1f"},
		{key: "missing", label: "lines missing", format: "%.0f", goal: atMost(0), worst: true},
	}}
	r := newResult(s, "some lines")
	r.add(bareName, figures{"cpu": 1})
	for _, f := range []figures{
		{"cpu": 3, "speed": 800, "peak": 32, "missing": 0},
		{"cpu": 1, "speed": 700, "peak": 34, "missing": 2},
		{"cpu": 1.5, "speed": 1000, "peak": 30, "missing": 0},
	} {
		r.add("leatd 1.0", f)
	}
	r.add("peer 2", figures{"cpu": 9, "speed": 10, "missing": 0})
	var b strings.Builder
	r.write(&b)
	if got := b.String(); got != wantTable {
		t.Errorf("got\n%s\nwant\n%s", got, wantTable)
	}
	if err := r.lost(); err == nil || err.Error() != "work, otlp: leatd 1.0 lost 2 lines" {
		t.Errorf("lost: %v", err)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{1, 2}, 1.5}, {[]float64{1, 2, 9}, 2}} {
		if got := median(c.of); got != c.want {
			t.Errorf("of %v: %v, want %v", c.of, got, c.want)
		}
	}
}

func TestChoose(t *testing.T) {
	for words, want := range map[string]string{
		"":                       "backlog, loki; backlog, otlp; paced, loki; paced, otlp; trickle; idle; files; sinks",
		"paced/otlp, idle":       "paced, otlp; idle",
		"idle,backlog":           "backlog, loki; backlog, otlp; idle",
		"idle,backlog/loki,idle": "backlog, loki; idle",
	} {
		chosen, err := choose(split(words))
		var titles []string
		for _, s := range chosen {
			titles = append(titles, s.title())
		}
		if got := strings.Join(titles, "; "); got != want || err != nil {
			t.Errorf("%q: %s, %v, want %s", words, got, err, want)
		}
	}
	if _, err := choose([]string{"paced/http"}); err == nil {
		t.Error("an unknown one was chosen")
	}
}
