// Package sinktest is what every kind of sink is tested with: a suite that all of them pass, and receivers that take
// what they send and read it back.
//
// Run is the suite for sinks that speak HTTP. It lets one send to a server that misbehaves in every way that a store, a
// proxy or a login page was seen to, and checks what the sink makes of it: above all that nothing but the store's own
// yes counts as delivered, that nothing but its own no is final, that a Send ends when it is told to, that complaints
// tell an operator what to fix and no secret, and that no goroutine and no connection stays behind. RunLocal is its
// counterpart for sinks that write to the node itself.
//
// Receiver is a store in memory for tests of the whole agent. It decodes by its own code, none of which it shares with
// the encoders, and is fast enough to take a gigabyte of lines in seconds.
package sinktest

import (
	"fmt"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// A Sink is what the suite needs of one.
type Sink interface {
	pipeline.Sink
	Where() string
	Close() error
}

// A Line is a line as it went into a sink or came out of a store.
type Line struct {
	Namespace, Pod, Container string
	Stream                    string // "stdout" or "stderr"
	Time                      int64  // nanoseconds since the Unix epoch
	Text                      string
}

func (l Line) String() string {
	return fmt.Sprintf("%s/%s/%s %s %d %q", l.Namespace, l.Pod, l.Container, l.Stream, l.Time, l.Text)
}

// Lines makes n lines of two containers and both streams, the times ascending; tag is in each text.
func Lines(tag string, n int) []Line {
	lines := make([]Line, n)
	for i := range lines {
		l := Line{Namespace: "shop", Pod: "cart-7d4b9c", Container: "app", Stream: "stdout", Time: 1767323045_000000006 + int64(i)*1_000_001}
		if i >= n/2 {
			l.Container = "sidecar"
		}
		if i%3 == 1 {
			l.Stream = "stderr"
		}
		l.Text = fmt.Sprintf("%s line %d: a \"quoted\" word, a tab\t, an ümlaut and a \\", tag, i)
		lines[i] = l
	}
	return lines
}

// Encode makes one request body of lines with a new encoder of the sink. Lines of one container follow one another.
func Encode(tb testing.TB, s pipeline.Sink, lines []Line) []byte {
	tb.Helper()
	b := new(pipeline.Block)
	targets := map[string]*pipeline.LaneTarget{}
	for i, l := range lines {
		key := l.Namespace + "_" + l.Pod + "_uid/" + l.Container
		target := targets[key]
		if target == nil {
			t := &pipeline.Target{Key: key, Namespace: l.Namespace, Pod: l.Pod, UID: "uid", Container: l.Container, Node: "node-1"}
			target = &pipeline.LaneTarget{Target: t, Described: s.Describe(t)}
			targets[key] = target
		}
		if n := len(b.Segments); n == 0 || b.Segments[n-1].Target != target {
			b.Segments = append(b.Segments, pipeline.Segment{Target: target, First: i, All: ^pipeline.Flags(0)})
		}
		seg := &b.Segments[len(b.Segments)-1]
		flags := pipeline.Flags(0)
		if l.Stream == "stderr" {
			flags = pipeline.Stderr
		}
		seg.N++
		seg.Bytes += int64(len(l.Text))
		seg.Any |= flags
		seg.All &= flags
		b.Records = append(b.Records, pipeline.Record{Time: l.Time, Off: uint32(len(b.Buf)), Len: uint32(len(l.Text)), Flags: flags})
		b.Buf = append(b.Buf, l.Text...)
	}
	b.Data = len(b.Buf)
	b.Spare = b.Data

	e := s.NewEncoder()
	e.Begin()
	for i := range b.Segments {
		e.Add(b, &b.Segments[i], b.Of(&b.Segments[i]))
	}
	return append([]byte(nil), e.End()...)
}
