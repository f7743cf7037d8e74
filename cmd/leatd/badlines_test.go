package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/sinks/sinktest"
)

// A badLog is one container's log with something in it that no runtime should write, and what a store must get of it.
type badLog struct {
	name  string
	files map[string]string // by name in the container's folder
	want  []sinktest.Line   // the container's name left out; "" is standard output

	unparsed, truncated float64 // lines
	cut                 float64 // bytes that max_line cut off
}

// at is a line of standard output.
func at(second int, text string) sinktest.Line {
	return sinktest.Line{Time: lineTime(second).UnixNano(), Text: text}
}

const (
	maxLine   = 256 << 10 // logs.max_line where nothing else is configured
	endless   = 50 << 20
	maxHeader = 80 // more than a time, a stream and a tag

	fileTime = math.MinInt64 + 1 // stands for the time at which the file was last written to
)

func badLogs() []badLog {
	stamp := func(second int) string { return lineTime(second).Format(time.RFC3339Nano) }
	long := strings.Repeat("0123456789abcdef", endless/16)
	return []badLog{
		{
			name:     "no CRI within",
			files:    map[string]string{"0.log": cri(0, "stdout", "one") + "panic: not written by the runtime\n\n" + cri(2, "stderr", "two")},
			want:     []sinktest.Line{at(0, "one"), at(0, "panic: not written by the runtime"), at(0, ""), {Stream: "stderr", Time: lineTime(2).UnixNano(), Text: "two"}},
			unparsed: 2,
		},
		{
			name: "almost CRI",
			files: map[string]string{"0.log": cri(0, "stdout", "one") +
				stamp(1) + " stdin F no such stream\n" + stamp(2) + " stdout X no such tag\n" +
				"2026-02-30T00:00:00Z stdout F no such day\n" + stamp(3) + "\n" + cri(4, "stdout", "two")},
			want: []sinktest.Line{at(0, "one"), at(0, stamp(1)+" stdin F no such stream"), at(0, stamp(2)+" stdout X no such tag"),
				at(0, "2026-02-30T00:00:00Z stdout F no such day"), at(0, stamp(3)), at(4, "two")},
			unparsed: 4,
		},
		{
			name: "torn body", // the node crashed, and the runtime wrote on at the end of what was on disk
			files: map[string]string{"0.log": cri(0, "stdout", "one") + stamp(1) + " stdout F this is where the po" +
				cri(2, "stdout", "two", "three")},
			want: []sinktest.Line{at(0, "one"), at(1, "this is where the po"+strings.TrimSuffix(cri(2, "stdout", "two"), "\n")), at(3, "three")},
		},
		{
			name:     "torn head",
			files:    map[string]string{"0.log": cri(0, "stdout", "one") + stamp(1)[:14] + cri(2, "stdout", "two", "three")},
			want:     []sinktest.Line{at(0, "one"), at(0, stamp(1)[:14]+strings.TrimSuffix(cri(2, "stdout", "two"), "\n")), at(3, "three")},
			unparsed: 1,
		},
		{
			name:  "torn last line", // the container was started again in a new file
			files: map[string]string{"0.log": cri(0, "stdout", "one") + stamp(1) + " stdout F this is where the po", "1.log": cri(2, "stdout", "two")},
			want:  []sinktest.Line{at(0, "one"), at(1, "this is where the po"), at(2, "two")},
		},
		{
			name:  "part without an end",
			files: map[string]string{"0.log": stamp(0) + " stdout P one and\n", "1.log": cri(2, "stdout", "two")},
			want:  []sinktest.Line{at(0, "one and"), at(2, "two")},
		},
		{
			name: "strange times",
			files: map[string]string{"0.log": "0001-01-01T00:00:00Z stdout F first\n1969-12-31T23:59:59.999999999Z stdout F before\n" +
				"1970-01-01T00:00:00Z stdout F zero\n9999-12-31T23:59:59Z stdout F last\n" +
				"2031-05-06T07:08:09.5+05:30 stdout F half past\n2031-05-06T07:08:09.123456789-11:00 stdout F west\n"},
			want: []sinktest.Line{{Time: math.MinInt64, Text: "first"}, {Time: -1, Text: "before"}, {Time: 0, Text: "zero"}, {Time: math.MaxInt64, Text: "last"},
				{Time: time.Date(2031, 5, 6, 1, 38, 9, 500_000_000, time.UTC).UnixNano(), Text: "half past"},
				{Time: time.Date(2031, 5, 6, 18, 8, 9, 123_456_789, time.UTC).UnixNano(), Text: "west"}},
		},
		{
			name:      "endless line",
			files:     map[string]string{"0.log": cri(0, "stdout", "one") + stamp(1) + " stdout F " + long + "\n" + cri(2, "stdout", "two")},
			want:      []sinktest.Line{at(0, "one"), at(1, long[:maxLine]), at(2, "two")},
			truncated: 1, cut: endless - maxLine,
		},
		{
			name:  "strange bytes",
			files: map[string]string{"0.log": cri(0, "stdout", "a\x00b", "\x00", "bad \xff\xfe and \xc3", "carriage return\r", "", "\u2028 \ufeff é 🙂", "\x1b[31mred\x1b[0m")},
			want: []sinktest.Line{at(0, "a\x00b"), at(1, "\x00"), at(2, "bad \xff\xfe and \xc3"), at(3, "carriage return\r"), at(4, ""),
				at(5, "\u2028 \ufeff é 🙂"), at(6, "\x1b[31mred\x1b[0m")},
		},
		{name: "empty file", files: map[string]string{"0.log": ""}},
		{name: "empty first", files: map[string]string{"0.log": "", "1.log": cri(0, "stdout", "one")}, want: []sinktest.Line{at(0, "one")}},
		{
			name:     "only zeros", // what a file system leaves of a file after a power cut
			files:    map[string]string{"0.log": strings.Repeat("\x00", 4096) + "\n" + cri(1, "stdout", "one")},
			want:     []sinktest.Line{{Time: fileTime, Text: strings.Repeat("\x00", 4096)}, at(1, "one")},
			unparsed: 1,
		},
	}
}

// TestBadLines: what is wrong in one container's log is sent as well as it can be, is counted, and costs no other
// container anything.
func TestBadLines(t *testing.T) {
	t.Parallel()
	logs := badLogs()
	for _, kind := range []string{"loki", "otlp", "http"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, store := newHost(t), newDepot(t, kind)
			container := func(l *badLog) string { return strings.ReplaceAll(l.name, " ", "-") }
			h.write("ns_pod_uid/aaa/0.log", cri(0, "stdout", "before"))
			h.write("ns_pod_uid/zzz/0.log", cri(0, "stdout", "before"))
			for i := range logs {
				for name, text := range logs[i].files {
					h.write("ns_pod_uid/"+container(&logs[i])+"/"+name, text)
				}
			}
			d := start(t, "--config.file", h.config(kind, store.URL))
			store.expect("ns/pod/aaa", "before")
			h.write("ns_pod_uid/aaa/0.log", cri(1, "stdout", "after"))
			h.write("ns_pod_uid/zzz/0.log", cri(1, "stdout", "after"))
			store.expect("ns/pod/aaa", "before", "after")
			store.expect("ns/pod/zzz", "before", "after")
			for i := range logs {
				l := &logs[i]
				t.Run(l.name, func(t *testing.T) { l.check(t, d, store, container(l)) })
			}
			d.balanced()
			d.stop()
		})
	}
}

func (l *badLog) check(t *testing.T, d *daemon, store *depot, container string) {
	name := "ns/pod/" + container
	eventually(t, fmt.Sprintf("%d lines", len(l.want)), func() error {
		if got := store.of(name); len(got) < len(l.want) {
			return fmt.Errorf("%d came", len(got))
		}
		return nil
	})
	got := store.of(name)
	wanted := slices.Clone(l.want)
	for i := range wanted {
		w := &wanted[i]
		w.Namespace, w.Pod, w.Container, w.Stream = "ns", "pod", container, cmp.Or(w.Stream, "stdout")
	}
	if store.kind == "loki" { // it keeps the streams apart
		byStream := func(a, b sinktest.Line) int { return strings.Compare(a.Stream, b.Stream) }
		slices.SortStableFunc(got, byStream)
		slices.SortStableFunc(wanted, byStream)
	}
	if len(got) != len(wanted) {
		t.Fatalf("%d lines came, want %d: %.200v", len(got), len(wanted), got)
	}
	for i, want := range wanted {
		if store.kind != "loki" { // their strings are UTF-8; Loki mends lines itself
			want.Text = string([]rune(want.Text)) // U+FFFD in the place of each bad byte
		}
		if want.Time == fileTime && time.Since(time.Unix(0, got[i].Time)).Abs() < time.Hour/2 {
			want.Time = got[i].Time
		}
		if store.kind == "otlp" && want.Time < 0 {
			want.Time = got[i].Time // its times begin with 1970
		}
		if l.cut > 0 && i == 1 { // max_line bounds the line, its head too
			if n := len(got[i].Text); n > maxLine || n < maxLine-maxHeader {
				t.Errorf("%d bytes of the endless line, want %d", n, maxLine)
			}
			want.Text = want.Text[:len(got[i].Text)]
		}
		if got[i] != want {
			t.Errorf("line %d is\n%.300v, want\n%.300v", i, got[i], want)
		}
	}
	d.metric(l.unparsed, "leat_log_unparsed_lines_total", "container="+container)
	d.metric(l.truncated, "leat_log_truncated_lines_total", "container="+container)
	if l.cut > 0 {
		d.metric(endless-float64(len(got[1].Text)), "leat_log_dropped_bytes_total", "container="+container, "reason=max_line")
	}
}
