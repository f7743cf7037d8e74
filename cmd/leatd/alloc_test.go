package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatd/leat/collector/podlogs"
	"github.com/leatd/leat/collector/tail"
	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/sinks"
)

// A mouth is a sink that encodes as Loki's does, with streams that have limits, and throws the body away. It counts the
// requests.
type mouth struct {
	sinks.LokiFormat
	streams  *pipeline.Streams
	requests atomic.Int64
	calls    chan int64 // the number of each request of interest, and the leave to go on
	marks    [2]int64
}

func (m *mouth) Describe(t *pipeline.Target) pipeline.Description {
	d := m.LokiFormat.Describe(t)
	d.Streams = [2]*pipeline.Stream{m.streams.Of(t.Key), m.streams.Of(t.Key + " stderr")}
	return d
}

func (m *mouth) Send(context.Context, []byte) pipeline.Answer {
	if n := m.requests.Add(1); n == m.marks[0] || n == m.marks[1] {
		m.calls <- n
		<-m.calls
	}
	return pipeline.Answer{Outcome: pipeline.Accepted, Code: "204"}
}

// notTheWay names functions whose allocations are no block's: the saver of cursors and the lane's supervisor work by the
// clock, discovery by events, and two pools are lost to every collection, such as the profile makes: the compressor's of
// tables, and the runtime's of what a goroutine waits with in a select.
var notTheWay = []string{"(*Bell).Wait", "keepCursors", "supervise", "reading).answer", "pipeline.encodeCursor", "tail.(*Set)", "podlogs", "s2.encodeBlock", "leatd.profile", "testing."}

// profile counts the objects that were ever allocated, by the function of this project that did it.
func profile() map[string]int64 {
	runtime.GC() // what was allocated since the last collection but one is not in the profile
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 4096)
	for {
		n, ok := runtime.MemProfile(records, true)
		if ok {
			records = records[:n]
			break
		}
		records = make([]runtime.MemProfileRecord, 2*n)
	}
	counts := map[string]int64{}
	for i := range records {
		frames := runtime.CallersFrames(records[i].Stack())
		var way []string
		aside := false
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if strings.Contains(f.Function, "/leat/") {
				way = append(way, f.Function[strings.LastIndexByte(f.Function, '/')+1:])
			}
			for _, name := range notTheWay {
				aside = aside || strings.Contains(f.Function, name)
			}
		}
		if len(way) > 0 && !aside {
			counts[strings.Join(way, " < ")] += records[i].AllocObjects
		}
	}
	return counts
}

// TestNoAllocationOnTheWay: from read(2) to the encoded body, and home again, a block costs no allocation: in the steady
// state not even one in a hundred blocks. All is real but the network: the reader, the lane, Loki's encoder.
//
// It is not parallel, for the profile is that of the whole process.
func TestNoAllocationOnTheWay(t *testing.T) {
	if underRace {
		t.Skip("SKIPPED: the race detector allocates by itself")
	}
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	runtime.MemProfileRate = 1

	dir := t.TempDir()
	c := writeCorpus(t, filepath.Join(dir, "pods"), 4, 256<<20)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := pipeline.OpenStore(filepath.Join(dir, "state"), log)
	if err != nil {
		t.Fatal(err)
	}
	const first, last = 30, 180 // of about 200 requests
	m := &mouth{streams: pipeline.NewStreams(1 << 40), calls: make(chan int64), marks: [2]int64{first, last}}
	lane := pipeline.NewLane(pipeline.Options{Name: "mouth", Sink: m, Store: store, Log: log, MaxShards: 1})
	set := tail.NewSet(tail.Options{MaxLine: maxLine, Log: log})
	intake := set.Lane(lane, store)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { lane.Run(ctx, ctx, intake); done <- struct{}{} }()
	go func() {
		w := podlogs.New(podlogs.Options{Root: c.pods, Files: set, Ready: set.Ready, Log: log})
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
		done <- struct{}{}
	}()
	defer func() { cancel(); <-done; <-done }()

	var before, after map[string]int64
	for _, p := range []*map[string]int64{&before, &after} {
		select {
		case <-m.calls:
			*p = profile()
			m.calls <- 0
		case <-time.After(patience):
			t.Fatalf("only %d requests", m.requests.Load())
		}
	}
	const blocks = (last - first) * 4 // at least
	var total int64
	var list strings.Builder
	for way, n := range after {
		if n -= before[way]; n > 0 {
			total += n
			fmt.Fprintf(&list, "%6d  %s\n", n, way)
		}
	}
	t.Logf("%d allocations in %d blocks", total, blocks)
	if total*100 >= blocks {
		t.Errorf("%d allocations in %d blocks:\n%s", total, blocks, &list)
	}
}
