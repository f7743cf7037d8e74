// Package demo is what `leatd demo` shows: a few lively workloads that log as on a real node, a screen that follows
// their lines through the agent, and the account at the end.
//
// Workloads writes the logs, Board adds up what was written and what the agent says of it, Screen draws the board while
// it runs, and Account judges it when all is drained. The agent itself is not here: the command starts it and gives a
// Board two functions that read its ledger. Nothing here changes a figure of the agent.
//
// The account is exact because both sides count the same thing, a line when it ends: the writer at its newline, or when
// the container exits in the middle of it; the agent when it has cut the record, or gives an unfinished one out. When
// Workloads.Run returns no line is left open, and a container that crashed in the middle of its last line has been
// started again, for that is what tells a reader that the rest will not come.
package demo

import (
	"strconv"
	"time"

	"github.com/leatd/leat/exporter"
)

// fit is exporter.Grouped, and shorter where that is wider than width: 123.5M.
func fit(n int64, width int) string {
	s := exporter.Grouped(n)
	if len(s) <= width {
		return s
	}
	v, unit := float64(n)/1e3, 0
	for ; v >= 1e4 && unit < 4; unit++ {
		v /= 1e3
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + "kMGTP"[unit:unit+1]
}

// clip cuts a name that is longer than width, and marks it.
func clip(name string, width int) string {
	if r := []rune(name); len(r) > width {
		return string(r[:width-1]) + "~"
	}
	return name
}

// size writes a number of bytes: 512 B, 1.4 MiB.
func size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n)/1024, 0
	for ; v >= 1023.95 && unit < 4; unit++ {
		v /= 1024
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + "KMGTP"[unit:unit+1] + "iB"
}

// span writes a duration in at most six columns: 0.2 s, 59.9 s, 4m05s, 3h12m.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute-50*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m" + pad2(int(d/time.Second)%60) + "s"
	default:
		return strconv.Itoa(int(d/time.Hour)) + "h" + pad2(int(d/time.Minute)%60) + "m"
	}
}

// clock writes how long something runs, in whole seconds: 9s, 4m05s, 3h12m.
func clock(d time.Duration) string {
	if d < time.Minute {
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	return span(d.Truncate(time.Second))
}

func pad2(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}
