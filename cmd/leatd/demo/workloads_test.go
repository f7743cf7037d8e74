package demo

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/pipeline"
)

// run runs the workloads for d in no time.
func run(t *testing.T, w *Workloads, d time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// Within a minute everything that the demo promises is seen.
func TestWorkloadsAreLively(t *testing.T) {
	root := filepath.Join(t.TempDir(), "pods")
	synctest.Test(t, func(t *testing.T) {
		w := NewWorkloads(root, Options{Seed: 1})
		run(t, w, time.Minute)
		var lines int64
		for _, x := range w.Written() {
			lines += x.Lines
			if x.Lines == 0 || x.Bytes == 0 {
				t.Errorf("%s wrote nothing", x.Workload)
			}
			if want := map[bool]int64{true: w.Events().Counts().Restarts, false: 0}[x.Workload == "mailer"]; x.Unfinished != want {
				t.Errorf("%s left %d lines unfinished, want %d", x.Workload, x.Unfinished, want)
			}
		}
		if lines < 60*200 || lines > 60*450 {
			t.Errorf("%d lines in a minute, at 300 a second", lines)
		}
		if c := w.Events().Counts(); c.Rotations < 8 || c.Gzips < 4 || c.Restarts < 6 || c.PodsGone < 3 {
			t.Errorf("in a minute: %+v", c)
		}
		for key := range w.Lines() {
			if name := w.Workload(&pipeline.Target{Key: key}); name == "other" {
				t.Errorf("nobody knows %s", key)
			}
		}
		if name := w.Workload(&pipeline.Target{Key: "else"}); name != "other" {
			t.Errorf("a foreign target is %q", name)
		}
	})
}

// What Written says is what lies on the disk, line by line, whenever the demo is stopped; and no line is left open.
func TestWorkloadsAddUp(t *testing.T) {
	for _, d := range []time.Duration{20 * time.Millisecond, 3 * time.Second, 7 * time.Second, 7900 * time.Millisecond} {
		root := filepath.Join(t.TempDir(), "pods")
		synctest.Test(t, func(t *testing.T) {
			w := NewWorkloads(root, Options{Seed: uint64(d), Rate: 2000, MaxSize: 1 << 40})
			run(t, w, d)
			var v simulate.Verifier
			for key, n := range w.Lines() {
				v.Expect(key, n)
			}
			files, err := filepath.Glob(filepath.Join(root, "*", "*", "*.log"))
			if err != nil || len(files) < len(programs) {
				t.Fatalf("%d files, %v", len(files), err)
			}
			var bytes, want int64
			for _, f := range files {
				bytes += feed(t, &v, root, f)
			}
			if err := v.Err(); err != nil {
				t.Errorf("after %v: %v", d, err)
			}
			for _, x := range w.Written() {
				want += x.Bytes
			}
			if bytes != want {
				t.Errorf("after %v: %d bytes on disk, %d counted", d, bytes, want)
			}
		})
	}
}

// feed gives a file's lines to the verifier, parts joined. A line without an end is one only if the container was
// started again after it.
func feed(t *testing.T, v *simulate.Verifier, root, path string) (bytes int64) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := filepath.Rel(root, filepath.Dir(path))
	open := map[string]string{}
	add := func(stream string) {
		v.Add(key, simulate.Stdout, []byte(open[stream]))
		bytes += int64(len(open[stream]))
		delete(open, stream)
	}
	for record := range strings.Lines(string(data)) {
		w := strings.SplitN(strings.TrimSuffix(record, "\n"), " ", 4)
		open[w[1]] += w[3]
		if w[2] == "F" {
			add(w[1])
		}
	}
	for stream := range open {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "1.log")); err != nil || filepath.Base(path) != "0.log" {
			t.Errorf("%s: a line of %s is left open", path, stream)
		}
		add(stream)
	}
	return bytes
}

// A folder that cannot be written to ends the run with an error that names the workload.
func TestWorkloadsFail(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := NewWorkloads(filepath.Join(file, "pods"), Options{}).Run(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "workload ") {
		t.Errorf("Run: %v", err)
	}
}
