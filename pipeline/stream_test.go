package pipeline

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// at is a time in ticks after the start of a stream.
func at(d time.Duration) int64 { return int64(d) }

// TestStreamTakes: 1,000 bytes a second and 5,000 at once are the store's limits, of which 2 % are left to it.
func TestStreamTakes(t *testing.T) {
	const second = time.Second
	tests := []struct {
		name string
		do   func(s *Stream) time.Duration // the wait
		want time.Duration
	}{
		{"at the start, nothing: another leatd may just have ended", func(s *Stream) time.Duration {
			return s.take(98, at(0))
		}, streamRest},
		{"a tenth of a second later, so much", func(s *Stream) time.Duration {
			return s.take(98, at(second/10))
		}, 0},
		{"a fifth of a second's worth is waited for, not this line's", func(s *Stream) time.Duration {
			return s.take(99, at(second/10))
		}, second / 10},
		{"all of it after five seconds", func(s *Stream) time.Duration {
			return s.take(4900, at(5*second))
		}, 0},
		{"what is reserved does not drain", func(s *Stream) time.Duration {
			s.take(4900, at(5*second))
			return s.take(980, at(60*second))
		}, second},
		{"what was sent drains from then on", func(s *Stream) time.Duration {
			s.take(4900, at(5*second))
			s.sent(4900, at(60*second))
			s.settle(4900)
			return s.take(1960, at(61*second))
		}, second},
		{"and is gone when it has", func(s *Stream) time.Duration {
			s.take(4900, at(5*second))
			s.sent(4900, at(60*second))
			s.settle(4900)
			return s.take(4900, at(65*second))
		}, 0},
		{"what was not sent after all", func(s *Stream) time.Duration {
			s.take(4900, at(5*second))
			s.settle(4900)
			return s.take(4900, at(5*second))
		}, 0},
		{"what is sent again counts again, up to a full bucket of the store", func(s *Stream) time.Duration {
			s.take(2450, at(5*second))
			for range 10 {
				s.sent(2450, at(60*second))
			}
			s.settle(2450)
			return s.take(980, at(60*second+streamFull-5*second)) // 4,900 of 5,000 are left
		}, second},
		{"what goes to the spool is reserved without asking", func(s *Stream) time.Duration {
			s.reserve(10_000)
			return s.take(1, at(60*second)).Truncate(second)
		}, 5 * second},
		{"more than fits is let through when the bucket is empty", func(s *Stream) time.Duration {
			return s.take(10_000, at(5*second))
		}, 0},
		{"and waits until it is", func(s *Stream) time.Duration {
			return s.take(10_000, at(2*second))
		}, 3 * second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.do(newStream(1000, 0)); got != tt.want {
				t.Errorf("wait %s, want %s", got, tt.want)
			}
		})
	}
}

// TestStreamLearns: a stream that the store throttles gets half, again half, and a sixteenth at the least; it is full, and
// goes alone, until it has healed.
func TestStreamLearns(t *testing.T) {
	s := newStream(1000, 0)
	now := at(time.Hour)
	if s.alone(100) || !s.alone(4901) {
		t.Error("alone goes what the store would not take at once, and nothing else")
	}
	var rates []string
	lesson := func() {
		rates = append(rates, fmt.Sprintf("%d %v", s.rate.Load(), s.alone(1)))
	}
	for range 6 {
		if !s.throttled(now) || s.throttled(now+at(time.Second)) {
			t.Error("news is what comes first, and not what follows at once")
		}
		if wait := s.take(1, now+at(time.Second+streamFull-streamBurst)); wait != time.Second {
			t.Errorf("a stream that was throttled may go on after %s", wait)
		}
		lesson()
		now += at(10 * time.Second)
	}
	for s.rate.Load() < s.top {
		now += at(streamHeals)
		if wait := s.take(1, now); wait != 0 {
			t.Errorf("a healing stream waits %s", wait)
		}
		s.settle(1)
		lesson()
	}
	want := "490 true, 245 true, 122 true, 61 true, 61 true, 61 true, 122 true, 183 true, 244 true, 305 true, 366 true, 427 true, " +
		"488 true, 549 true, 610 true, 671 true, 732 true, 793 true, 854 true, 915 true, 976 true, 980 false"
	if got := strings.Join(rates, ", "); got != want {
		t.Errorf("rates\n%s\nwant\n%s", got, want)
	}
}

// TestStreams: targets of the same labels share a stream for as long as there is one of them, and a node's pods that come
// and go leave nothing behind.
func TestStreams(t *testing.T) {
	all := NewStreams(1000)
	a := all.Of("a")
	if all.Of("a") != a || all.Of("b") == a {
		t.Error("the streams are not those of the labels")
	}
	for i := range 10 * sweepLeast {
		all.Of(fmt.Sprint("pod ", i))
		if i%50 == 0 {
			runtime.GC()
		}
	}
	if n := len(all.byLabels); n > 3*sweepLeast {
		t.Errorf("%d streams are remembered of pods that are gone", n)
	}
	if all.Of("a") != a {
		t.Error("a stream in use was forgotten")
	}
	runtime.KeepAlive(a)
}

// limitedBlock is a block with one segment of a target with two streams.
func limitedBlock(streams [2]*Stream, records ...Record) (*Block, *Segment) {
	b := NewBlock(256<<10, 0)
	b.Records = append(b.Records, records...)
	seg := Segment{Target: &LaneTarget{Target: &Target{}, Described: Description{Streams: streams, PerLine: 10, PerMarkedLine: 30}}, N: len(records)}
	for _, r := range records {
		seg.Any |= r.Flags
	}
	b.Segments = append(b.Segments, seg)
	return b, &b.Segments[0]
}

// TestAdmitCosts: what a segment is charged with, and to which stream.
func TestAdmitCosts(t *testing.T) {
	now := time.Now()
	out, errs := newStream(1000, int64(now.Add(-time.Hour).Sub(origin))), newStream(1000, int64(now.Add(-time.Hour).Sub(origin)))
	mixed := []Record{{Len: 100}, {Len: 50, Flags: Stderr}, {Len: 0}}
	tests := []struct {
		name     string
		streams  [2]*Stream
		records  []Record
		want     [2]int64
		admitted bool
	}{
		{"one stream for both", [2]*Stream{out}, mixed, [2]int64{180, 0}, true},
		{"a stream each", [2]*Stream{out, errs}, mixed, [2]int64{120, 60}, true},
		{"a line that is cut says so", [2]*Stream{out, errs}, []Record{{Len: 100, Flags: Truncated}}, [2]int64{130, 0}, true},
		{"no limit", [2]*Stream{}, mixed, [2]int64{}, true},
		{"no record", [2]*Stream{out}, nil, [2]int64{}, true},
		{"both wait for one", [2]*Stream{out, errs}, []Record{{Len: 100}, {Len: 3000, Flags: Stderr}, {Len: 1800, Flags: Stderr}}, [2]int64{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			errs.reserved.Store(100)
			b, s := limitedBlock(tt.streams, tt.records...)
			if got := s.admit(b, now, false); got != tt.admitted || s.cost != tt.want || s.Paced == tt.admitted {
				t.Errorf("admitted %v at %v, held %v, want %v at %v", got, s.cost, s.Paced, tt.admitted, tt.want)
			}
			if s.Target.Held() == tt.admitted || s.RetryAfter > 0 == tt.admitted {
				t.Errorf("the reader is told to wait: %v, for %s", s.Target.Held(), s.RetryAfter)
			}
			b.settle()
			if n, m := out.reserved.Load(), errs.reserved.Load(); n != 0 || m != 100 {
				t.Errorf("%d and %d bytes stay reserved", n, m)
			}
		})
	}
}

// TestAdmitBehind: records that Loki may refuse, since they are behind their stream, go alone.
func TestAdmitBehind(t *testing.T) {
	now := time.Now()
	when := func(ds ...time.Duration) (records []Record) {
		for _, d := range ds {
			records = append(records, Record{Time: now.Add(d).UnixNano(), Len: 1})
		}
		return records
	}
	const minute = time.Minute
	for _, tt := range []struct {
		name    string
		before  []Record
		records []Record
		alone   bool
	}{
		{"in order", when(-300 * minute), when(-200*minute, -100*minute, 0), false},
		{"a little back", when(0), when(-29*minute, 0, -29*minute), false},
		{"back from what was sent before", when(0), when(-31 * minute), true},
		{"back within", nil, when(-60*minute, 0, -31*minute), true},
		{"a time that Loki refuses does not count", when(15 * minute), when(-20 * minute), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stream := newStream(1000, int64(now.Add(-time.Hour).Sub(origin)))
			for _, records := range [][]Record{tt.before, tt.records} {
				b, s := limitedBlock([2]*Stream{stream}, records...)
				if !s.admit(b, now, false) {
					t.Fatal("not admitted")
				}
				if want := tt.alone && len(records) > 0 && &records[0] == &tt.records[0]; s.alone != want {
					t.Errorf("alone is %v, want %v", s.alone, want)
				}
			}
		})
	}
}

// TestAdmitAllocatesNothing, and what it costs beside 200,000 ns that a block takes to be encoded and compressed for Loki.
func TestAdmitAllocatesNothing(t *testing.T) {
	b, s, now := fullBlock()
	if n := testing.AllocsPerRun(100, func() {
		if !s.admit(b, now, false) {
			t.Fatal("not admitted")
		}
		s.sent(0, b.Records)
		b.settle()
	}); n != 0 {
		t.Errorf("%v allocations a block", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	block, s, now := fullBlock()
	b.ReportAllocs()
	b.SetBytes(256 << 10)
	for b.Loop() {
		s.admit(block, now, false)
		s.sent(0, block.Records)
		block.settle()
	}
}

// fullBlock is one of 1,600 lines, as of ordinary logs.
func fullBlock() (*Block, *Segment, time.Time) {
	records := make([]Record, 1600)
	now := time.Now()
	for i := range records {
		records[i] = Record{Len: 120, Time: now.UnixNano() + int64(i), Flags: Flags(i / 7 % 2)}
	}
	start := int64(now.Add(-time.Hour).Sub(origin))
	b, s := limitedBlock([2]*Stream{newStream(1<<40, start), newStream(1<<40, start)}, records...)
	return b, s, now
}
