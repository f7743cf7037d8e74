package sinks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/leatd/leat/pipeline"
)

func frame(tb testing.TB, text string, options ...zstd.EOption) []byte {
	tb.Helper()
	e, err := zstd.NewWriter(nil, append(options, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		tb.Fatal(err)
	}
	defer e.Close()
	return e.EncodeAll([]byte(text), nil)
}

func openFolder(tb testing.TB, folder string, segmentBytes, maxBytes int64) *File {
	tb.Helper()
	f, err := NewFile(FileOptions{Name: "kept", Path: folder, SegmentBytes: segmentBytes, MaxBytes: maxBytes})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return f
}

func accepted(tb testing.TB, f *File, body []byte) {
	tb.Helper()
	if a := f.Send(context.Background(), body); a.Outcome != pipeline.Accepted {
		tb.Fatal(a.Err)
	}
}

func names(tb testing.TB, folder string) (all []string) {
	tb.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != lockFile {
			all = append(all, e.Name())
		}
	}
	return all
}

// unzstd is what the command line tool reads, and Go's own decoder where there is none.
func unzstd(tb testing.TB, folder string) string {
	tb.Helper()
	var all bytes.Buffer
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	defer d.Close()
	paths, _ := filepath.Glob(filepath.Join(folder, "*"+segmentSuffix))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		text, err := d.DecodeAll(data, nil)
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		all.Write(text)
	}
	if tool, err := exec.LookPath("zstd"); err == nil && len(paths) > 0 {
		out, err := exec.Command(tool, append([]string{"-dcq"}, paths...)...).CombinedOutput()
		if err != nil || !bytes.Equal(out, all.Bytes()) {
			tb.Fatalf("zstd -dc: %v\n%.1000s", err, out)
		}
	}
	return all.String()
}

// Segments roll over, the oldest go, the bound holds after every request, and names sort by time even if the clock
// goes back.
func TestFileRollsAndDeletes(t *testing.T) {
	folder := t.TempDir()
	f := openFolder(t, folder, 300, 1000)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.segments.now = func() time.Time { return now }
	var want []string
	var sizes int64
	for i := range 100 {
		text := fmt.Sprintf("line %d %x\n", i, i*i*7919)
		body := frame(t, text)
		accepted(t, f, body)
		want = append(want, text)
		sizes += int64(len(body))
		if i%7 == 3 {
			now = now.Add(-time.Hour)
		}
		var on int64
		for _, name := range names(t, folder) {
			info, err := os.Stat(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			on += info.Size()
			if info.Size() > 300 {
				t.Fatalf("%s has %d bytes", name, info.Size())
			}
		}
		_, gone := f.Deleted()
		if on > 1000 || on != f.segments.total || on+gone != sizes {
			t.Fatalf("request %d: %d bytes on disk, %d known of, %d deleted, %d sent", i, on, f.segments.total, gone, sizes)
		}
		got := unzstdQuiet(t, folder)
		if !strings.HasSuffix(strings.Join(want, ""), got) || !strings.HasSuffix(got, text) {
			t.Fatalf("request %d: kept is not the newest part of what was sent:\n%s", i, got)
		}
	}
	unzstd(t, folder)
	segments, _ := f.Deleted()
	if left := names(t, folder); len(left) < 3 || segments == 0 || left[0] != fmt.Sprintf("20260102T030405.%06dZ-%06d.ndjson.zst", segments, segments+1) {
		t.Errorf("%d deleted, left %q", segments, left)
	}
	t.Log(names(t, folder))
}

func unzstdQuiet(tb testing.TB, folder string) string {
	tb.Helper()
	var all bytes.Buffer
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		tb.Fatal(err)
	}
	defer d.Close()
	for _, name := range names(tb, folder) {
		data, _ := os.ReadFile(filepath.Join(folder, name))
		text, err := d.DecodeAll(data, nil)
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		all.Write(text)
	}
	return all.String()
}

// A crash can leave any part of the last frame behind, or its length with other bytes in it. Whatever it was, the
// frames before it survive, it is cut off, and writing goes on behind them.
func TestFileTornTail(t *testing.T) {
	first, second := frame(t, "first\n"), frame(t, strings.Repeat("second, a longer one\n", 50))
	type tail struct {
		name  string
		bytes []byte
	}
	var tails []tail
	for n := 1; n < len(second); n++ {
		tails = append(tails, tail{fmt.Sprintf("%d of %d bytes", n, len(second)), second[:n]})
	}
	garbage := bytes.Clone(second)
	garbage[len(garbage)-1] ^= 1
	tails = append(tails, tail{"zeros", make([]byte, 5000)}, tail{"a wrong checksum", garbage}, tail{"text", []byte("not a frame at all")})
	for _, tail := range tails {
		folder := t.TempDir()
		f := openFolder(t, folder, 1<<20, 1<<30)
		accepted(t, f, first)
		f.Close()
		path := filepath.Join(folder, names(t, folder)[0])
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		file.Write(tail.bytes)
		file.Close()

		f = openFolder(t, folder, 1<<20, 1<<30)
		if got := unzstdQuiet(t, folder); got != "first\n" {
			t.Fatalf("%s: after the start: %q", tail.name, got)
		}
		if f.Torn() != int64(len(tail.bytes)) {
			t.Errorf("%s: %d bytes were torn, want %d", tail.name, f.Torn(), len(tail.bytes))
		}
		accepted(t, f, frame(t, "third\n"))
		if got := unzstdQuiet(t, folder); got != "first\nthird\n" || len(names(t, folder)) != 1 {
			t.Fatalf("%s: %q in %q", tail.name, got, names(t, folder))
		}
		f.Close()
	}
}

// What else may lie in the folder at start.
func TestFileStrangeFolder(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	write("20260102T030405.000000Z-000001.ndjson.zst", frame(t, "one\n"))
	write("20260102T030406.000000Z-000002.ndjson.zst", append(frame(t, "two\n"), frame(t, "three\n")...))
	write("20991231T235959.999999Z-999999.ndjson.zst", []byte("not what its name says"))
	write(unnamedFile, []byte("half a fra"))
	write("notes.txt", []byte("somebody's"))
	write("20261302T030405.000000Z-000001.ndjson.zst.bak", []byte("somebody's"))
	if err := os.Mkdir(filepath.Join(folder, "20260103T030405.000000Z-000003.ndjson.zst"), 0o750); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, folder, 1<<20, 1<<30)
	f.segments.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 7, 0, time.UTC) }
	accepted(t, f, frame(t, "four\n"))
	if err := os.Remove(filepath.Join(folder, "20260103T030405.000000Z-000003.ndjson.zst")); err != nil {
		t.Fatal(err)
	}
	if got := unzstd(t, folder); got != "one\ntwo\nthree\nfour\n" {
		t.Errorf("kept %q", got)
	}
	want := []string{"20260102T030405.000000Z-000001.ndjson.zst", "20260102T030406.000000Z-000002.ndjson.zst",
		"20260102T030407.000000Z-000003.ndjson.zst",
		"20261302T030405.000000Z-000001.ndjson.zst.bak", "20991231T235959.999999Z-999999.ndjson.zst.damaged", "notes.txt"}
	if got := names(t, folder); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("folder holds %q, want %q", got, want)
	}
	// a bound that was lowered holds from the start
	f.Close()
	f = openFolder(t, folder, 10, int64(len(frame(t, "four\n"))*2))
	if segments, _ := f.Deleted(); segments != 2 || unzstd(t, folder) != "four\n" {
		t.Errorf("%d segments deleted, want 2", segments)
	}
}

func TestFileLargerThanItsBound(t *testing.T) {
	f := openFolder(t, t.TempDir(), 50, 100)
	a := f.Send(context.Background(), make([]byte, 101))
	if a.Outcome != pipeline.Refused || a.Reason != pipeline.TooLarge {
		t.Errorf("outcome %d, reason %v: %v", a.Outcome, a.Reason, a.Err)
	}
}
