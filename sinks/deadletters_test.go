package sinks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatd/leat/pipeline"
)

var deadTarget = &pipeline.Target{
	Key: "shop_cart-7_uid/app", Namespace: "shop", Pod: "cart-7", UID: "uid", Container: "app", Node: "node-1",
	Labels: []pipeline.Label{{Name: "cluster", Value: "prod"}},
}

// deadBlock is a block with a segment of these lines, the first of standard error.
func deadBlock(texts ...string) *pipeline.Block {
	lines := make([]line, len(texts))
	for i, text := range texts {
		lines[i] = line{time: 1767323045_000000006 + int64(i), text: text}
	}
	lines[0].flags = pipeline.Stderr
	b := newTestBlock(&NDJSONFormat{})
	b.add(deadTarget, pipeline.GenerationID{Restart: 2, Hash: 7}, 100, lines...)
	return &b.Block
}

func letterOf(b *pipeline.Block, from, to int, why pipeline.Reason, words string) pipeline.Letter {
	return pipeline.Letter{Block: b, Segment: &b.Segments[0], Records: b.Records[from:to], Reason: why, Words: words,
		Time: time.Date(2026, 1, 2, 4, 5, 6, 789, time.UTC)}
}

// TestDeadLetters: a letter's lines are written as the http sink would, with what is said of them behind.
func TestDeadLetters(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "central", "dead-letter")
	d := NewDeadLetters("central", folder, 1<<20)
	if _, err := os.Stat(folder); err == nil {
		t.Error("the folder is there before the first letter")
	}
	b := deadBlock("on stderr", "good", "bad \xff\xfe \"bytes\"", "good again")
	if err := d.Keep([]pipeline.Letter{
		letterOf(b, 0, 1, pipeline.BadRequest, `central: 400 Bad Request: "no"`),
		letterOf(b, 1, 4, pipeline.ServerError, "500"),
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	const (
		target = `"k8s.namespace.name":"shop","k8s.pod.name":"cart-7","k8s.pod.uid":"uid","k8s.container.name":"app","k8s.node.name":"node-1","cluster":"prod","leat.refused":"2026-01-02T04:05:06.000000789Z"`
		end    = `"k8s.container.restart_count":2,"log.record.uid":"`
	)
	want := []string{
		`{"time":"2026-01-02T03:04:05.000000006Z","msg":"on stderr","log.iostream":"stderr",` + target +
			`,"leat.reason":"bad_request","leat.words":"central: 400 Bad Request: \"no\"",` + end,
		`{"time":"2026-01-02T03:04:05.000000007Z","msg":"good","log.iostream":"stdout",` + target + `,"leat.reason":"server_error","leat.words":"500",` + end,
		`{"time":"2026-01-02T03:04:05.000000008Z","msg":"bad \ufffd\ufffd \"bytes\"","log.iostream":"stdout",` + target +
			`,"leat.reason":"server_error","leat.words":"500","leat.base64":"YmFkIP/+ICJieXRlcyI=",` + end,
		`{"time":"2026-01-02T03:04:05.000000009Z","msg":"good again","log.iostream":"stdout",` + target + `,"leat.reason":"server_error","leat.words":"500",` + end,
	}
	got := strings.Split(strings.TrimSpace(unzstdQuiet(t, folder)), "\n")
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d is\n%s\nwant\n%s", i, at(got, i), at(want, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "missing"
}

// TestDeadLettersAreBounded: the oldest go first, also over a restart, and what is more than the bound at once is refused.
func TestDeadLettersAreBounded(t *testing.T) {
	folder := t.TempDir()
	const most = 64 << 10
	var d *DeadLetters
	for i := range 400 {
		if i%150 == 0 {
			if d != nil {
				d.Close()
			}
			d = NewDeadLetters("central", folder, most)
		}
		if err := d.Keep([]pipeline.Letter{letterOf(deadBlock(fmt.Sprintf("number %d of %s", i, hiss(i, 1000))), 0, 1, pipeline.TooLarge, "413")}); err != nil {
			t.Fatal(err)
		}
		var size int64
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		if size > most {
			t.Fatalf("%d bytes after letter %d", size, i)
		}
	}
	if err := d.Keep([]pipeline.Letter{letterOf(deadBlock(hiss(1, 300<<10)), 0, 1, pipeline.TooLarge, "413")}); err == nil ||
		!strings.Contains(err.Error(), "sinks.central.dead_letter") && !strings.Contains(err.Error(), "max_bytes") {
		t.Errorf("a letter larger than the bound: %v", err)
	}
	d.Close()
	got := unzstdQuiet(t, folder)
	if !strings.Contains(got, "number 399 of") || strings.Contains(got, "number 0 of") {
		t.Errorf("of 400 letters the last is to be there, and the first not: %d bytes", len(got))
	}
}

// hiss is n bytes of text that don't compress.
func hiss(seed, n int) string {
	b := make([]byte, n)
	x := uint64(seed)*2862933555777941757 + 3037000493
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = ' ' + byte(x>>32)%94
	}
	return string(b)
}

// TestDeadLettersAfterAFault: a folder that is taken away, or can't be made, is an error that says what to do, and no
// more than that.
func TestDeadLettersAfterAFault(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "dead-letter")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := NewDeadLetters("central", folder, 1<<20)
	defer d.Close()
	letter := []pipeline.Letter{letterOf(deadBlock("one"), 0, 1, pipeline.BadRequest, "400")}
	if err := d.Keep(letter); err == nil || !strings.Contains(err.Error(), "a file stands in the way") {
		t.Errorf("a file in the way: %v", err)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Keep(letter); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Keep(letter); err != nil {
		t.Fatal(err)
	}
	if got := unzstdQuiet(t, folder); strings.Count(got, "\n") != 1 {
		t.Errorf("kept %q", got)
	}
}

// TestDeadLettersAtOnce: several shards keep letters at the same time.
func TestDeadLettersAtOnce(t *testing.T) {
	folder := t.TempDir()
	d := NewDeadLetters("central", folder, 1<<20)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 10 {
				if err := d.Keep([]pipeline.Letter{letterOf(deadBlock(fmt.Sprint("of ", i)), 0, 1, pipeline.BadRequest, "400")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	d.Close()
	if got := strings.Count(unzstdQuiet(t, folder), "\n"); got != 40 {
		t.Errorf("%d letters, want 40", got)
	}
}
