package sinks_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/leatd/leat/sinks"
	"github.com/leatd/leat/sinks/sinktest"
)

// readSegments decompresses a folder as `zstd -dc *.ndjson.zst` would.
func readSegments(tb testing.TB, folder string) []byte {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.ndjson.zst"))
	if err != nil {
		tb.Fatal(err)
	}
	var all bytes.Buffer
	for _, name := range names { // sorted
		f, err := os.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		d, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err == nil {
			_, err = io.Copy(&all, d)
			d.Close()
		}
		if err != nil {
			tb.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
	return all.Bytes()
}

func newFile(tb testing.TB, folder string) *sinks.File {
	tb.Helper()
	f, err := sinks.NewFile(sinks.FileOptions{Name: "kept", Path: folder, SegmentBytes: 4 << 10, MaxBytes: 1 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func TestFileConformance(t *testing.T) {
	type ways = map[string]func(testing.TB, sinktest.LocalSink) func()
	must := func(tb testing.TB, err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	sinktest.RunLocal(t, sinktest.LocalKind{Name: "file", New: func(tb testing.TB) sinktest.LocalSink {
		folder := filepath.Join(tb.TempDir(), "kept")
		aside := folder + ".aside"
		return sinktest.LocalSink{
			Sink: newFile(tb, folder),
			Lines: func(tb testing.TB) []sinktest.Line {
				lines, err := sinktest.Decode("http", "", readSegments(tb, folder))
				must(tb, err)
				return lines
			},
			Ways: ways{
				"the folder vanishes": func(tb testing.TB, _ sinktest.LocalSink) func() {
					must(tb, os.Rename(folder, aside))
					return func() { must(tb, os.Rename(aside, folder)) }
				},
				"a file stands in its place": func(tb testing.TB, _ sinktest.LocalSink) func() {
					must(tb, os.Rename(folder, aside))
					must(tb, os.WriteFile(folder, nil, 0o600))
					return func() { must(tb, os.Remove(folder)); must(tb, os.Rename(aside, folder)) }
				},
				"another process took the folder": func(tb testing.TB, _ sinktest.LocalSink) func() {
					// as after an operator removed the lock
					must(tb, os.Remove(filepath.Join(folder, "LOCK")))
					lock, err := os.Create(filepath.Join(folder, "LOCK"))
					must(tb, err)
					must(tb, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
					return func() { must(tb, lock.Close()) }
				},
			},
		}
	}})
}

// A stage is a writer whose mood can be set.
type stage struct {
	mu      sync.Mutex
	written bytes.Buffer
	limit   int // bytes that a write takes before it fails; -1: no limit
	err     error
}

func (s *stage) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit >= 0 && len(p) > s.limit {
		n, _ := s.written.Write(p[:s.limit])
		return n, s.err
	}
	return s.written.Write(p)
}

func (s *stage) set(limit int, err error) {
	s.mu.Lock()
	s.limit, s.err = limit, err
	s.mu.Unlock()
}

func TestConsoleConformance(t *testing.T) {
	sinktest.RunLocal(t, sinktest.LocalKind{Name: "console", New: func(tb testing.TB) sinktest.LocalSink {
		out := &stage{limit: -1}
		way := func(limit int, err error) func(testing.TB, sinktest.LocalSink) func() {
			return func(testing.TB, sinktest.LocalSink) func() {
				out.set(limit, err)
				return func() { out.set(-1, nil) }
			}
		}
		return sinktest.LocalSink{
			Sink:    sinks.NewConsole("console", out, false),
			Repeats: true,
			Lines: func(tb testing.TB) []sinktest.Line {
				lines, err := sinktest.Decode("http", "", out.written.Bytes())
				if err != nil {
					tb.Fatal(err)
				}
				return lines
			},
			Ways: map[string]func(testing.TB, sinktest.LocalSink) func(){
				"the reader has gone":      way(0, syscall.EPIPE),
				"the disk is full":         way(100, syscall.ENOSPC),
				"the write was short":      way(10, nil),
				"the end is closed":        way(0, io.ErrClosedPipe),
				"for a reason of its own":  way(1, errors.New("the dog ate it")),
				"nothing taken, no reason": way(0, nil),
			},
		}
	}})
}

// After a torn write the next line begins a line, so that only the torn one is spoiled.
func TestConsoleMendsTornLine(t *testing.T) {
	out := &stage{limit: 17, err: syscall.EAGAIN}
	s := sinks.NewConsole("console", out, false)
	body := []byte("{\"msg\":\"first\"}\n{\"msg\":\"second\"}\n")
	if a := s.Send(t.Context(), body); a.Err == nil {
		t.Fatal("accepted")
	}
	out.set(-1, nil)
	if a := s.Send(t.Context(), body); a.Err != nil {
		t.Fatal(a.Err)
	}
	want := "{\"msg\":\"first\"}\n{\n{\"msg\":\"first\"}\n{\"msg\":\"second\"}\n"
	if got := out.written.String(); got != want {
		t.Errorf("wrote\n%swant\n%s", got, want)
	}
}

// /dev/full is a disk without room, and a pipe whose reader has gone is what `leatd | head` leaves.
func TestConsoleRealFiles(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	for want, f := range map[string]*os.File{"full": full, "has gone": w} {
		a := sinks.NewConsole("console", f, false).Send(t.Context(), []byte("{}\n"))
		sinktest.CheckAnswer(t, a)
		if a.Err == nil || !bytes.Contains([]byte(a.Err.Error()), []byte(want)) {
			t.Errorf("%s: %v, want %q", f.Name(), a.Err, want)
		}
	}
}

// writes is a writer made of its method.
type writes func([]byte) (int, error)

func (w writes) Write(b []byte) (int, error) { return w(b) }

// A reader that stalls must not hold up whoever stops the sink, and what is written later is still whole.
func TestConsoleStalls(t *testing.T) {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	s := sinks.NewConsole("console", writes(func(b []byte) (int, error) {
		cancel() // only now: a Send that is stopped before it has the turn writes nothing
		return w.Write(b)
	}), false)
	body := []byte("{\"msg\":\"first\"}\n")
	if a := s.Send(ctx, body); a.Err == nil {
		t.Fatal("accepted by nobody")
	}
	clear(body)
	if a := s.Send(ctx, []byte("{\"msg\":\"not written\"}\n")); a.Err == nil {
		t.Fatal("accepted by nobody")
	}
	read := make(chan []byte)
	go func() { b, _ := io.ReadAll(r); read <- b }()
	if a := s.Send(t.Context(), []byte("{\"msg\":\"second\"}\n")); a.Err != nil {
		t.Fatal(a.Err)
	}
	w.Close()
	if got, want := string(<-read), "{\"msg\":\"first\"}\n{\"msg\":\"second\"}\n"; got != want {
		t.Errorf("wrote\n%swant\n%s", got, want)
	}
}

func TestFileTwoProcesses(t *testing.T) {
	folder := t.TempDir()
	f := newFile(t, folder)
	if _, err := sinks.NewFile(sinks.FileOptions{Name: "other", Path: folder, SegmentBytes: 1, MaxBytes: 2}); err == nil {
		t.Fatal("two sinks in one folder")
	} else {
		t.Log(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	newFile(t, folder).Close()
}

func TestFileOptions(t *testing.T) {
	stands := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(stands, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []sinks.FileOptions{
		{},
		{Path: t.TempDir(), MaxBytes: 10},
		{Path: t.TempDir(), SegmentBytes: 10, MaxBytes: 19},
		{Path: filepath.Join(stands, "below"), SegmentBytes: 10, MaxBytes: 20},
		{Path: stands, SegmentBytes: 10, MaxBytes: 20},
		{Path: "/proc/leat", SegmentBytes: 10, MaxBytes: 20},
	} {
		o.Name = "kept"
		if _, err := sinks.NewFile(o); err == nil {
			t.Errorf("%+v: no error", o)
		} else {
			t.Log(err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(stands)); !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "file" }) {
		t.Error("the file is gone")
	}
}
