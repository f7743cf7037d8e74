package load

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/leatd/leat/collector/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// found is what stands in all files below root.
type found struct {
	verify simulate.Verifier
	files  int
	zipped int
	bytes  int64
	late   int // records that are older than the one before them in their file
}

// firstTimes are the times with which files begin.
func firstTimes(t *testing.T, paths []string) map[string]bool {
	t.Helper()
	times := map[string]bool{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at, _, _ := strings.Cut(string(data), " ")
		times[at] = true
	}
	return times
}

// readAll reads the files of each container in the order of their lines.
func readAll(t *testing.T, root string) *found {
	t.Helper()
	f := &found{}
	folders, err := filepath.Glob(filepath.Join(root, "*", "app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		pod, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(filepath.Dir(folder)), "load_"), "_")
		rotated, err := filepath.Glob(filepath.Join(folder, "0.log.*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range append(rotated, filepath.Join(folder, "0.log")) { // names sort by age here
			f.read(t, "load/"+pod+"/app", path)
		}
	}
	return f
}

func (f *found) read(t *testing.T, key, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil && strings.HasSuffix(path, ".gz") {
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			data, err = io.ReadAll(r)
		}
		f.zipped++
	}
	if err != nil {
		t.Fatal(err)
	}
	f.files++
	f.bytes += int64(len(data))
	var before time.Time
	for record := range bytes.Lines(data) {
		part := bytes.SplitN(bytes.TrimSuffix(record, []byte("\n")), []byte(" "), 4)
		at, err := time.Parse(time.RFC3339Nano, string(part[0]))
		if err != nil || len(part) != 4 || string(part[2]) != "F" {
			t.Fatalf("%s: %q", path, record)
		}
		if at.Before(before) {
			f.late++
		}
		before = at
		f.verify.Add(key, simulate.Stdout, part[3])
	}
}

// holds checks that the files have what was written, and nothing else.
func (f *found) holds(t *testing.T, sum *Written) {
	t.Helper()
	var total int64
	for key, n := range sum.Lines {
		f.verify.Expect(key, n)
		total += n
	}
	if err := f.verify.Err(); err != nil || f.late > 0 {
		t.Errorf("%v; %d records are older than the one before", err, f.late)
	}
	if f.bytes != sum.Bytes || total != sum.Total {
		t.Errorf("%d bytes in files, want %d; %d lines, want %d", f.bytes, sum.Bytes, sum.Total, total)
	}
}

func TestBacklog(t *testing.T) {
	for _, c := range []struct {
		files int
		bytes int64
	}{{1, 100_000}, {7, 2 << 20}, {50, 0}} {
		root := t.TempDir()
		sum, paths, err := Backlog{Files: c.files, Bytes: c.bytes}.Write(root)
		if err != nil {
			t.Fatal(err)
		}
		f := readAll(t, root)
		f.holds(t, sum)
		if most := c.bytes + int64(c.files)*8<<10; len(paths) != c.files || f.files != c.files || sum.Bytes < c.bytes || sum.Bytes > most {
			t.Errorf("%+v: %d paths, %d files, %d bytes, want at most %d", c, len(paths), f.files, sum.Bytes, most)
		}
		if n := len(firstTimes(t, paths)); n != c.files {
			t.Errorf("%d files begin with %d times", c.files, n)
		}
		if c.bytes == 0 && sum.Total > 2*int64(c.files) { // a stack trace is written to its end
			t.Errorf("%d lines in %d files that should have one each", sum.Total, c.files)
		}
	}
}

// The lines compress as those of real programs do: measurements with better or worse ones would be of something else.
func TestRatios(t *testing.T) {
	_, paths, err := Backlog{Files: int(simulate.NumShapes), Bytes: 6 << 20}.Write(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	zstd1, snappy, err := Ratios(paths)
	if err != nil || zstd1 < 5.5 || zstd1 > 8 || snappy < 3.5 || snappy > 5 {
		t.Errorf("zstd %.2f, snappy %.2f, %v", zstd1, snappy, err)
	}
	t.Logf("zstd %.2f, snappy %.2f", zstd1, snappy)
	if _, _, err := Ratios([]string{filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("no file: no error")
	}
	if _, _, err := Ratios(nil); err == nil {
		t.Error("no files: no error")
	}
}

// A stream writes as many lines as it should, evenly, and rotates.
func TestStream(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := Stream{Pods: 6, Rate: 1000, Rotate: 64 << 10, Keep: 1000}
		began := time.Now()
		if err := s.Begin(root); err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 9990*time.Millisecond || took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
		sum := s.Written()
		f := readAll(t, root)
		f.holds(t, sum)
		// 1.9 MB in files of 64 KiB, the first of a pod smaller, the last unfinished. A stack trace may come last.
		if sum.Total < 10_006 || sum.Total > 10_030 || f.files < 25 || f.files > 45 || f.zipped < 15 {
			t.Errorf("%d lines in %d files, %d of them compressed", sum.Total, f.files, f.zipped)
		}
		for key, n := range sum.Lines {
			if n < 800 || n > 3000 { // Java's traces come at once, so its pod writes more
				t.Errorf("%s: %d lines", key, n)
			}
		}
		if err := errors.Join(s.End(), s.End()); err != nil {
			t.Error(err)
		}
	})
}

// The kubelet's part deletes what is older than it keeps.
func TestStreamKeeps(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := Stream{Pods: 2, Rate: 500, Rotate: 16 << 10}
		if err := errors.Join(s.Begin(root), s.Run(t.Context(), 5*time.Second), s.End()); err != nil {
			t.Fatal(err)
		}
		if f := readAll(t, root); f.files != 2*5 || f.zipped != 2*3 {
			t.Errorf("%d files, %d of them compressed", f.files, f.zipped)
		}
	})
}

func TestStreamStops(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := Stream{Pods: 2, Rate: 100, Rotate: 1 << 20}
		if err := s.Begin(root); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := s.Run(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if sum := s.Written(); sum.Total < 100 || sum.Total > 104 {
			t.Errorf("%d lines", sum.Total)
		}
		if err := s.End(); err != nil {
			t.Error(err)
		}
	})
}
