package benchmarks

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/load"
	"github.com/leatd/leat/collector/tail"
	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/sinks"
)

// A format is a sink without its store.
type format interface {
	Describe(*pipeline.Target) pipeline.Description
	NewEncoder() pipeline.Encoder
}

// A discarding sink says yes to every request.
type discarding struct{ format }

func (discarding) Send(context.Context, []byte) pipeline.Answer { return pipeline.Answer{Code: "204"} }

// BenchmarkLane is a whole lane of one shard with its reader, from logs in the page cache to a sender that throws requests
// away: 64 MiB in ten logs. The lane's beginning and its end, with its cursors saved, are in it. What the ledger says must
// add up. Beside it is the bare loop over the same logs, on the one processor that it has a use for.
func BenchmarkLane(b *testing.B) {
	written, paths, err := load.Backlog{Files: 10, Bytes: 64 << 20}.Write(filepath.Join(b.TempDir(), "pods"))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("bareloop", func(b *testing.B) {
		b.SetBytes(written.Bytes)
		b.ReportAllocs()
		for b.Loop() {
			runBareLoop(b, paths)
		}
	})
	for _, bench := range []struct {
		name   string
		format format
	}{
		{"loki", &sinks.LokiFormat{}},
		{"otlp-gzip", &sinks.OTLPFormat{Compression: "gzip"}},
		{"otlp-zstd", &sinks.OTLPFormat{Compression: "zstd"}},
		{"ndjson-zstd", &sinks.NDJSONFormat{Compression: "zstd"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(written.Bytes)
			b.ReportAllocs()
			for b.Loop() {
				runLane(b, bench.format, paths, written.Total)
			}
		})
	}
}

func runLane(b *testing.B, f format, paths []string, lines int64) {
	store, err := pipeline.OpenStore(b.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	set := tail.NewSet(tail.Options{MaxLine: 256 << 10, Log: slog.New(slog.DiscardHandler)})
	lane := pipeline.NewLane(pipeline.Options{
		Name: "bench", Sink: discarding{f}, Store: store, Log: slog.New(slog.DiscardHandler), MaxShards: 1,
		MaxWait: time.Millisecond, // only the last block waits; with the usual 200 ms that would be most of the time
	})
	intake := set.Lane(lane, store)
	for _, path := range paths {
		set.Sync(target(path), []pipeline.LogFile{{Path: path, Name: filepath.Base(path)}})
	}
	set.Ready()
	ctx, stop := context.WithCancel(b.Context())
	drain, giveUp := context.WithTimeout(context.Background(), time.Minute)
	defer giveUp()
	ended := make(chan struct{})
	go func() { defer close(ended); lane.Run(ctx, drain, intake) }()
	for deadline := time.Now().Add(time.Minute); lane.Sums().Delivered.Lines < lines; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("the lane stands still: %+v", lane.Sums())
		}
	}
	stop()
	<-ended
	if sums := lane.Sums(); sums.Read.Lines != lines || sums.Delivered.Lines != lines {
		b.Fatalf("%d lines: %+v", lines, sums)
	}
}

func runBareLoop(b *testing.B, paths []string) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		info, err := f.Stat()
		if err == nil {
			_, _, err = BareLoop(f, info.Size())
		}
		f.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
}

// target is what a log's path .../NAMESPACE_POD_UID/CONTAINER/0.log tells.
func target(path string) *pipeline.Target {
	folder, container := filepath.Split(filepath.Dir(path))
	pod := filepath.Base(folder)
	names := strings.Split(pod, "_")
	return &pipeline.Target{
		Key: pod + "/" + container, Namespace: names[0], Pod: names[1], UID: names[2], Container: container, Node: "node-1",
	}
}
