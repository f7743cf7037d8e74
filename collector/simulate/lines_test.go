package simulate

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// What the lines look like; the numbers follow each other, and JSON is JSON.
func TestLines(t *testing.T) {
	first := map[Shape]string{
		JSON:     `{"time":"2026-01-02T03:04:05Z","level":"`,
		Nginx:    `10.244.`,
		Klog:     ` 03:04:05.120000       1 `,
		Java:     `2026-01-02 03:04:05.120 `,
		Postgres: `2026-01-02 03:04:05.120 UTC [`,
		Logfmt:   `ts=2026-01-02T03:04:05.120Z level=`,
	}
	for shape := range NumShapes {
		t.Run(shape.String(), func(t *testing.T) {
			a, b := NewLines(shape, 42).Number(7), NewLines(shape, 42).Number(7)
			plain := NewLines(shape, 42)
			var traces, streams int
			for i := range int64(2000) {
				at := start.Add(time.Duration(i) * time.Second)
				line, s := a.Append(nil, at)
				again, _ := b.Append(nil, at)
				if string(line) != string(again) {
					t.Fatalf("two lines of one seed: %q, %q", line, again)
				}
				if n, ok := Seq(line); !ok || n != 7+i {
					t.Fatalf("Seq(%q) = %d, %v, want %d", line, n, ok, 7+i)
				}
				if i == 0 && !strings.Contains(string(line), first[shape]) {
					t.Errorf("the first line is %q", line)
				}
				bare, _ := plain.Append(nil, at)
				if n, ok := Seq(bare); ok {
					t.Fatalf("Seq(%q) = %d of a line without a number", bare, n)
				}
				if shape == JSON && (!json.Valid(line) || !json.Valid(bare)) {
					t.Fatalf("no JSON: %s", line)
				}
				if len(line) < 30 || len(line) > 400 || strings.Contains(string(line), "\n") {
					t.Fatalf("strange line %q", line)
				}
				if a.More() {
					traces++
				}
				streams |= 1 << s
			}
			if shape == Java && (traces < 100 || streams != 3) {
				t.Errorf("%d lines followed by a frame, streams %b", traces, streams)
			}
		})
	}
}

func TestLinesAllocate(t *testing.T) {
	for shape := range NumShapes {
		l, buf := NewLines(shape, 1).Number(0), make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(500, func() { buf, _ = l.Append(buf[:0], start) }); n != 0 {
			t.Errorf("%s: %v allocations a line", shape, n)
		}
	}
}

func TestWriteAllocates(t *testing.T) {
	n, _ := newNode(t)
	for _, format := range []Format{CRI, Docker} {
		c := startIn(t, n, Spec{Namespace: "a", Pod: fmt.Sprint("p-", format), Name: "c", Format: format, Buffer: 1 << 16})
		line, big := []byte("a line <like> others"), []byte(strings.Repeat("x", 3*PartSize))
		got := testing.AllocsPerRun(200, func() {
			_ = c.Write(Stderr, line, start)
			_ = c.WritePart(Stdout, big, start)
			_ = c.Write(Stdout, line, start)
		})
		if got != 0 {
			t.Errorf("format %d: %v allocations a line", format, got)
		}
	}
}

func TestSeq(t *testing.T) {
	tests := []struct {
		line string
		want int64 // -1: none
	}{
		{"", -1},
		{"no number", -1},
		{"a seq=000000012", 12},
		{"a seq=000000012 b", 12},
		{"seq=1", 1},
		{"seq=", -1},
		{"xseq=12", -1},
		{"a seq=12x", -1},
		{"a seq= 12", -1},
		{"a seq=-12", -1},
		{"cut off seq=00", 0},
		{`{"level":"info","seq":34,"msg":"x"}`, 34},
		{`{"seq":34}`, 34},
		{`{"seq":}`, -1},
		{`{"seq":"34"}`, -1},
		{`not json "seq":34`, -1},
		{fmt.Sprint("seq=", math.MaxInt64), math.MaxInt64},
		{"seq=9223372036854775808", -1},
		{string(AppendSeq([]byte("a"), 1234567890123)), 1234567890123},
		{string(AppendSeq([]byte("a"), 999_999_999)), 999_999_999},
		{string(AppendSeq([]byte("a"), 1_000_000_000)), 1_000_000_000},
		{string(AppendSeq(nil, 0)), 0},
	}
	for _, tt := range tests {
		got, ok := Seq([]byte(tt.line))
		if !ok {
			got = -1
		}
		if got != tt.want {
			t.Errorf("Seq(%q) = %d, want %d", tt.line, got, tt.want)
		}
	}
	if got := string(AppendSeq([]byte("a"), 123)); got != "a seq=000000123" {
		t.Errorf("AppendSeq: %q", got)
	}
}

func FuzzSeq(f *testing.F) {
	f.Add([]byte(`{"seq":1,"seq=":2}`), int64(5))
	f.Add([]byte(" seq=12 seq="), int64(0))
	f.Fuzz(func(t *testing.T, line []byte, n int64) {
		if v, ok := Seq(line); v < 0 || !ok && v != 0 {
			t.Errorf("Seq(%q) = %d, %v", line, v, ok)
		}
		n &= math.MaxInt64
		if v, ok := Seq(AppendSeq(line, n)); !ok || v != n {
			t.Errorf("Seq of AppendSeq(%q, %d) = %d, %v", line, n, v, ok)
		}
	})
}
