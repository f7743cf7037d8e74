package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatd/leat/collector/simulate"
)

// A corpus is a folder of logs that are complete: what each container has written is known.
type corpus struct {
	pods  string
	files []string
	lines map[string]int64 // by NAMESPACE/POD/CONTAINER
	total int64
}

// writeCorpus makes files of about the same size, with so many bytes in all.
func writeCorpus(tb testing.TB, pods string, files int, bytes int64) *corpus {
	tb.Helper()
	c := &corpus{pods: pods, lines: make(map[string]int64)}
	node := &simulate.Node{Root: pods}
	each := bytes / int64(files)
	var buf []byte
	for i := range files {
		spec := simulate.Spec{Namespace: "load", Pod: fmt.Sprintf("pod-%04d", i), Name: "app", Buffer: 1 << 20}
		container, err := node.Start(spec)
		if err != nil {
			tb.Fatal(err)
		}
		lines := simulate.NewLines(simulate.Shape(i)%simulate.NumShapes, uint64(i)).Number(0)
		at := started
		var n, size int64
		for size < each {
			var s simulate.Stream
			at = at.Add(time.Duration(137_000 + 1009*(n%97)))
			buf, s = lines.Append(buf[:0], at)
			if err := container.Write(s, buf, at); err != nil {
				tb.Fatal(err)
			}
			size += int64(len(buf)) + int64(len("2026-01-02T03:04:05.123456789Z stdout F \n"))
			n++
		}
		c.files = append(c.files, container.Path())
		if err := container.Exit(); err != nil {
			tb.Fatal(err)
		}
		c.lines["load/"+spec.Pod+"/app"] = n
		c.total += n
	}
	return c
}

// expect tells a depot what must come of the corpus, and waits for the last line as long as lines come.
func (c *corpus) expect(t *testing.T, store *depot) {
	t.Helper()
	for name, n := range c.lines {
		store.verify.Expect(name, n)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	came, at := int64(0), time.Now()
	for came < c.total {
		now := <-tick.C
		if n := store.total(); n > came {
			came, at = n, now
		} else if now.Sub(at) > patience {
			t.Fatalf("%d of %d lines came, and none in the last %s:\n%v", came, c.total, patience, store.verify.Err())
		}
	}
}

// The shapes of a node's logs that a load is written in.
var corpora = []struct {
	name  string
	files int
}{
	{"10 files", 10},
	{"2000 files", 2000},
}

// atFullSpeed is the key with which a sink of type loki sends a few streams as fast as it can.
const atFullSpeed = "stream_rate: 0"

// outlets are the ways out over HTTP.
var outlets = []struct {
	name, kind string
	more       []string
}{
	{"loki", "loki", []string{atFullSpeed}},
	{"otlp gzip", "otlp", []string{"compression: gzip"}},
	{"otlp zstd", "otlp", []string{"compression: zstd"}},
	{"http gzip", "http", []string{"compression: gzip"}},
	{"http zstd", "http", []string{"compression: zstd"}},
}

// TestLoad: every line of a node with a few large logs, and of one with many small ones, comes exactly once and in order
// per container.
func TestLoad(t *testing.T) {
	t.Parallel()
	size, share := int64(64<<20), 1
	if underRace { // an eighth of the files, and of the bytes
		size, share = size/8, 8
	}
	dir := t.TempDir()
	for _, shape := range corpora {
		written := sync.OnceValue(func() *corpus {
			return writeCorpus(t, filepath.Join(dir, strings.ReplaceAll(shape.name, " ", "-")), max(10, shape.files/share), size)
		})
		for _, out := range outlets {
			t.Run(shape.name+" "+out.name, func(t *testing.T) {
				c := written() // one after the other: two at once need a second core each, and find nothing more
				r := c.carry(t, out.kind, out.more...)
				t.Logf("%d lines, %d MiB: %v", c.total, size>>20, r)
			})
		}
	}
}

// carried is what it cost to carry a corpus.
type carried struct {
	took, cpu time.Duration
	peak      int64 // bytes of resident memory
}

func (c carried) String() string {
	return fmt.Sprintf("%.2f s, CPU %.2f s, peak of resident memory %.1f MiB", c.took.Seconds(), c.cpu.Seconds(), float64(c.peak)/(1<<20))
}

// carry lets a new leatd carry the corpus to a store of a kind, and checks every line.
func (c *corpus) carry(t *testing.T, kind string, more ...string) carried {
	t.Helper()
	h, store := newHost(t), newDepot(t, kind)
	store.keep = false
	h.pods, h.metrics = c.pods, "" // the bound on memory is that of all there is
	began := time.Now()
	d := start(t, append([]string{"--config.file", h.config(kind, store.URL, more...)}, loadFlags...)...)
	c.expect(t, store)
	took := time.Since(began)
	d.metric(float64(c.total), "leat_log_delivered_lines_total")
	d.balanced()
	peak, err := peakMemory(d.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	d.stop()
	if err := store.verify.Err(); err != nil {
		t.Error(err)
	}
	if n := store.total(); n != c.total {
		t.Errorf("%d lines came, want %d", n, c.total)
	}
	// At any level leatd logs nothing per line, request or file.
	if n := strings.Count(d.log.String(), "\n"); n > 20 {
		t.Errorf("leatd wrote %d lines of its own", n)
	}
	return carried{took, d.cmd.ProcessState.UserTime() + d.cmd.ProcessState.SystemTime(), peak}
}
