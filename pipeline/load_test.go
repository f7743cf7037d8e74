package pipeline

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A loadReader fills blocks from memory as fast as they come home: 256 KiB, a thousand records and one segment each.
type loadReader struct {
	target    *LaneTarget
	body      []byte
	settled   atomic.Int64 // blocks
	lone      bool         // one small block at a time: its next is filled when the last is home
	away      bool
	unordered atomic.Bool
	at        int64 // the range that was read last
	home      int64 // and settled last
}

const loadRecords = 1000

func newLoadReader(lane *Lane) *loadReader {
	r := &loadReader{target: lane.Track(&Target{Key: "load"}), body: make([]byte, 256<<10)}
	for i := range r.body {
		r.body[i] = byte('a' + i%23)
	}
	return r
}

func (r *loadReader) Open(int, *Bell, *Beat) Reader { return r }
func (r *loadReader) Deal(int)                      {}
func (r *loadReader) Fill(b *Block) Fullness {
	if r.lone && r.away {
		return Dry
	}
	r.away = true
	b.Data = copy(b.Buf[:b.Room()], r.body)
	n := len(r.body) / loadRecords
	for i := range loadRecords {
		b.Records = append(b.Records, Record{Off: uint32(i * n), Len: uint32(n)})
	}
	b.Segments = append(b.Segments, Segment{Target: r.target, Start: r.at, End: r.at + 1, N: loadRecords, Bytes: int64(n * loadRecords)})
	r.at++
	return Full
}

func (r *loadReader) Settle(b *Block) {
	for i := range b.Segments {
		if s := &b.Segments[i]; s.Verdict != Delivered || s.Start != r.home {
			r.unordered.Store(true)
		}
		r.home++
	}
	r.away = false
	r.settled.Add(1)
	r.target.Account.Publish()
}

func (r *loadReader) Rest(poll time.Duration) time.Duration { return poll }
func (r *loadReader) Woken() bool                           { return !r.away }
func (r *loadReader) Look()                                 {}
func (r *loadReader) Cursors(dst []Cursor) []Cursor         { return dst }
func (r *loadReader) Targets() int                          { return 1 }

// A copySink's encoder copies the bodies into a buffer of its own, as cheap as an encoder can be; Send throws it away.
type copySink struct{ bytes atomic.Int64 }

func (*copySink) Describe(*Target) Description { return Description{} }
func (*copySink) NewEncoder() Encoder          { return &copyEncoder{buf: make([]byte, 0, 2<<20)} }
func (s *copySink) Send(_ context.Context, body []byte) Answer {
	s.bytes.Add(int64(len(body)))
	return Answer{Code: "204"}
}

type copyEncoder struct{ buf []byte }

func (e *copyEncoder) Begin() { e.buf = e.buf[:0] }
func (e *copyEncoder) Add(b *Block, s *Segment, records []Record) {
	for i := range records {
		e.buf = append(e.buf, b.Body(&records[i])...)
	}
}
func (e *copyEncoder) End() []byte { return e.buf }
func (e *copyEncoder) Size() int   { return len(e.buf) }

// underLoad runs a lane from memory into nothing, calls during while it is at full speed, and stops it.
func underLoad(t testing.TB, lone bool, during func(r *loadReader)) {
	t.Helper()
	store, err := OpenStore(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	lane := NewLane(Options{Name: "load", Sink: new(copySink), Store: store, Log: slog.New(slog.DiscardHandler), MaxShards: 1})
	r := newLoadReader(lane)
	r.lone = lone
	ctx, stop := context.WithCancel(context.Background())
	drain, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lane.Run(ctx, drain, r)
	}()
	r.await(t, 100) // warm: all blocks and batches are made
	during(r)
	stop()
	<-ended
	if r.unordered.Load() {
		t.Error("a block came home out of order, or not delivered")
	}
}

// await waits until so many blocks more have come home.
func (r *loadReader) await(t testing.TB, n int) {
	deadline := time.Now().Add(time.Minute)
	for goal := r.settled.Load() + int64(n); r.settled.Load() < goal; {
		if time.Now().After(deadline) {
			t.Fatal("the lane stands still")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestNoAllocations: a block's round through reader, encoder and sender allocates nothing. What a lane allocates beside
// that (the keeper's timer, this test's own waiting) is a handful of objects a second, whatever number of blocks go round.
func TestNoAllocations(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, lone := range map[string]bool{"full speed": false, "one block at a time": true} {
		t.Run(name, func(t *testing.T) {
			underLoad(t, lone, func(r *loadReader) {
				const rounds = 10_000
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				begin := r.settled.Load()
				r.await(t, rounds)
				runtime.ReadMemStats(&after)
				n := r.settled.Load() - begin
				per := float64(after.Mallocs-before.Mallocs) / float64(n)
				t.Logf("%d rounds, %d allocations, %.4f a round", n, after.Mallocs-before.Mallocs, per)
				if per > 0.05 {
					t.Errorf("%.3f allocations a round", per)
				}
			})
		})
	}
}

// TestNoLocks: with every contention recorded, a lane at full speed shows no frame of this package in the mutex profile,
// and in the block profile none but a stage's wait on its bell, and what Run itself waits for.
func TestNoLocks(t *testing.T) {
	rate := runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	defer func() {
		runtime.SetMutexProfileFraction(rate)
		runtime.SetBlockProfileRate(0)
	}()
	before := make(map[string]int64)
	underLoad(t, false, func(r *loadReader) {
		for stack, n := range contention(runtime.BlockProfile) {
			before["block "+stack] = n
		}
		for stack, n := range contention(runtime.MutexProfile) {
			before["mutex "+stack] = n
		}
		until := time.Now().Add(time.Second)
		for time.Now().Before(until) {
			r.await(t, 100)
		}
		t.Logf("%d blocks", r.settled.Load())
	})
	sawBell := false
	for kind, profile := range map[string]func([]runtime.BlockProfileRecord) (int, bool){"block": runtime.BlockProfile, "mutex": runtime.MutexProfile} {
		for stack, n := range contention(profile) {
			if n == before[kind+" "+stack] || !strings.Contains(stack, "leat/pipeline.") || strings.Contains(stack, "pipeline.underLoad\n") || strings.Contains(stack, "pipeline.Test") {
				continue
			}
			switch {
			case strings.Contains(stack, "pipeline.(*Bell)."): // also the runtime's own locks, of the bell's channel and timer
				sawBell = true
			case kind == "block" && strings.Contains(stack, "pipeline.(*Lane).keepCursors\n") && !strings.Contains(stack, "Mutex"):
			case kind == "block" && strings.Contains(stack, "pipeline.(*Lane).supervise\n") && !strings.Contains(stack, "Mutex"):
			case kind == "block" && strings.Contains(stack, "pipeline.(*Lane).Run\n") && strings.Contains(stack, "sync.(*WaitGroup).Wait\n"):
			default:
				t.Errorf("%s profile, %d times:\n%s", kind, n-before[kind+" "+stack], stack)
			}
		}
	}
	if !sawBell {
		t.Error("not even the bell shows: the profile is empty")
	}
}

// contention is how often each stack shows in a profile; a stack is one function a line.
func contention(profile func([]runtime.BlockProfileRecord) (int, bool)) map[string]int64 {
	n, _ := profile(nil)
	records := make([]runtime.BlockProfileRecord, 2*n+100)
	n, _ = profile(records)
	counts := make(map[string]int64)
	for _, r := range records[:n] {
		var b strings.Builder
		frames := runtime.CallersFrames(r.Stack())
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			b.WriteString(f.Function)
			b.WriteByte('\n')
		}
		counts[b.String()] += r.Count
	}
	return counts
}

// BenchmarkLane is the lane's own cost: full blocks from memory through all stages into nothing. Bodies are copied once.
func BenchmarkLane(b *testing.B) {
	b.ReportAllocs()
	underLoad(b, false, func(r *loadReader) {
		b.SetBytes(int64(len(r.body)))
		b.ResetTimer()
		r.await(b, b.N)
		b.StopTimer()
	})
}

// BenchmarkLaneLatency is the round of one block at a time: three hand-overs to stages that sleep.
func BenchmarkLaneLatency(b *testing.B) {
	b.ReportAllocs()
	underLoad(b, true, func(r *loadReader) {
		b.ResetTimer()
		r.await(b, b.N)
		b.StopTimer()
	})
}
