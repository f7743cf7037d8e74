package sinks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

// A faulty file fails when told to, as a full or broken disk does.
type faultyFile struct {
	segmentFile
	faults *faults
}

type faults struct {
	writeAfter                 int // bytes of a write that succeed before write
	write, sync, truncate, new error
}

func (f faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.faults.write; err != nil {
		n, _ := f.segmentFile.WriteAt(p[:min(len(p), f.faults.writeAfter)], off)
		return n, err
	}
	return f.segmentFile.WriteAt(p, off)
}

func (f faultyFile) Sync() error {
	if f.faults.sync != nil {
		return f.faults.sync
	}
	return f.segmentFile.Sync()
}

func (f faultyFile) Truncate(size int64) error {
	if f.faults.truncate != nil {
		return f.faults.truncate
	}
	return f.segmentFile.Truncate(size)
}

// Whatever fails, in the middle of a segment or at the begin of one, the frame is not accepted, nothing of it stays,
// and once the fault is over all goes on.
func TestFileFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     faults
		says  string
		dirty bool // what was written cannot be cut off before the fault is over
	}{
		{"full disk", faults{writeAfter: 10, write: syscall.ENOSPC}, "the disk is full", false},
		{"full disk at once", faults{write: syscall.ENOSPC}, "max_bytes of sinks.kept", false},
		{"quota", faults{write: syscall.EDQUOT}, "the disk is full", false},
		{"read-only", faults{write: syscall.EROFS, new: syscall.EROFS}, "read-only", false},
		{"no permission", faults{write: syscall.EACCES, new: syscall.EACCES}, "may not write", false},
		{"sync fails", faults{sync: syscall.EIO}, "the kernel's log", true},
		{"nothing works", faults{writeAfter: 20, write: syscall.EIO, sync: syscall.EIO, truncate: syscall.EIO, new: syscall.EIO}, "the kernel's log", true},
	} {
		for _, roll := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, new segment %v", c.name, roll), func(t *testing.T) {
				folder := t.TempDir()
				f := openFolder(t, folder, 1<<20, 1<<30)
				var now faults
				create := f.segments.create
				f.segments.create = func(path string, flag int) (segmentFile, error) {
					if now.new != nil {
						return nil, now.new
					}
					file, err := create(path, flag)
					return faultyFile{file, &now}, err
				}
				accepted(t, f, frame(t, "first\n"))
				if roll {
					f.segments.segmentBytes = 1
				}
				now = c.f
				for range 3 {
					a := f.Send(context.Background(), frame(t, "second\n"))
					if a.Outcome != pipeline.Failed || !strings.Contains(a.Err.Error(), c.says) {
						t.Fatalf("outcome %d, want Failed and %q: %v", a.Outcome, c.says, a.Err)
					}
					if !c.dirty {
						if got := unzstdQuiet(t, folder); got != "first\n" {
							t.Fatalf("after the failure: %q", got)
						}
					}
				}
				now = faults{}
				accepted(t, f, frame(t, "2\n")) // shorter than what failed
				accepted(t, f, frame(t, "third\n"))
				if got := unzstdQuiet(t, folder); got != "first\n2\nthird\n" {
					t.Errorf("in the end: %q", got)
				}
			})
		}
	}
}

func TestFileLargerThanItsBound(t *testing.T) {
	f := openFolder(t, t.TempDir(), 50, 100)
	a := f.Send(context.Background(), make([]byte, 101))
	if a.Outcome != pipeline.Refused || a.Reason != pipeline.TooLarge {
		t.Errorf("outcome %d, reason %v: %v", a.Outcome, a.Reason, a.Err)
	}
}

func FuzzFrameEnd(f *testing.F) {
	f.Add(frame(f, "short"))
	f.Add(frame(f, strings.Repeat("long ", 50000)))
	f.Add(frame(f, "no checksum", zstd.WithEncoderCRC(false)))
	f.Add(frame(f, "", zstd.WithZeroFrames(true)))
	f.Add(frame(f, strings.Repeat("a", 1<<20), zstd.WithSingleSegment(true)))
	f.Fuzz(func(t *testing.T, b []byte) {
		end, err := frameEnd(bytes.NewReader(b), 0, int64(len(b)))
		if err == nil && (end <= 0 || end > int64(len(b))) {
			t.Fatalf("a frame of %d in %d bytes", end, len(b))
		}
		if err != nil && end != 0 {
			t.Fatalf("%d and %v", end, err)
		}
		// what decodes as one frame ends where we say
		d, derr := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(8<<20))
		if derr != nil {
			t.Fatal(derr)
		}
		defer d.Close()
		var h zstd.Header
		if h.Decode(b) != nil || h.Skippable {
			return
		}
		if _, derr := d.DecodeAll(b, nil); derr == nil && err != nil {
			t.Fatalf("decodes, and we say %v", err)
		}
		if err == nil {
			if _, before := d.DecodeAll(b[:end-1], nil); before == nil {
				t.Fatalf("decodes without the last byte, too")
			}
		}
	})
}
