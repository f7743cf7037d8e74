package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/leatd/leat/cmd/leatd/config"
)

// segments is what a folder of segments holds, in order of their names.
func segments(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	names, err := filepath.Glob(filepath.Join(dir, "*.ndjson.zst")) // sorted
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zstd.NewReader(f)
		if err == nil {
			_, err = io.Copy(&all, z)
			z.Close()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all.String()
}

// TestNoConfiguration: without a file leatd reads /var/log/pods, here beneath another root, and keeps the logs in its state.
func TestNoConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(config.DefaultFile); err == nil {
		t.Skipf("SKIPPED: this machine has a %s, so that the defaults cannot be tested", config.DefaultFile)
	}
	h := newHost(t)
	h.pods = filepath.Join(h.dir, "root", "var", "log", "pods")
	h.write("ns_pod_uid/app/0.log", cri(0, "stderr", "hello", `"quoted" <b>`))
	d := start(t, "--path.rootfs", filepath.Join(h.dir, "root"), "--state", h.state)
	d.metric(2, "leat_log_delivered_lines_total", "sink=local", "namespace=ns", "pod=pod", "container=app")
	d.says("leatd starts", `config="none: the defaults"`)
	d.stop()
	got := segments(t, filepath.Join(h.state, "logs"))
	for i, text := range []string{`"msg":"hello"`, `"msg":"\"quoted\" <b>"`} {
		line := strings.Split(got, "\n")[i]
		at := fmt.Sprintf(`"time":"%s"`, lineTime(i).Format("2006-01-02T15:04:05Z"))
		for _, part := range []string{at, text, `"log.iostream":"stderr"`, `"k8s.namespace.name":"ns"`, `"k8s.pod.name":"pod"`, `"k8s.container.name":"app"`} {
			if !strings.Contains(line, part) {
				t.Errorf("%s is not in line %d:\n%s", part, i, line)
			}
		}
	}
	if n := strings.Count(got, "\n"); n != 2 {
		t.Errorf("%d lines are kept, want 2:\n%s", n, got)
	}
}

// TestNothingThere: without a file and without logs leatd waits for them.
func TestNothingThere(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(config.DefaultFile); err == nil {
		t.Skipf("SKIPPED: this machine has a %s, so that the defaults cannot be tested", config.DefaultFile)
	}
	h := newHost(t)
	root := filepath.Join(h.dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	h.pods = filepath.Join(root, "var", "log", "pods")
	d := start(t, "--path.rootfs", root, "--state", h.state)
	d.eventually("ready", func() error {
		if code, text := d.get("/-/ready"); code != 200 {
			return errors.New(text)
		}
		return nil
	})
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "hello"))
	d.metric(1, "leat_log_delivered_lines_total", "container=app")
	d.stop()
}

// TestConsole: with a console sink leatd is a plain pipe to standard output.
func TestConsole(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "hello", "you"))
	cfg := h.file("leat.yaml", fmt.Sprintf("state: %s\nlogs: {pods: %s}\nsinks: {out: {type: console}}\n", h.state, h.pods))
	d := start(t, "--config.file", cfg)
	d.metric(2, "leat_log_delivered_lines_total", "sink=out")
	d.stop()
	if out := d.out.String(); strings.Count(out, "\n") != 2 || !strings.Contains(out, "hello") || !strings.Contains(out, "you") {
		t.Errorf("standard output is %q", out)
	}
}

// TestSaysNothingPerRequest: whatever the level, leatd's own log does not grow with the lines and requests it handles.
func TestSaysNothingPerRequest(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	store.keep = false
	l := h.load(3, burst())
	d := start(t, "--log.level", "debug", "--config.file", h.config("http", store.URL, "max_batch: 64KiB"))
	var requests int
	eventually(t, "300 requests", func() error {
		if requests, _, _, _ = store.Totals(); requests < 300 {
			return fmt.Errorf("%d", requests)
		}
		return nil
	})
	l.finish(store)
	d.stop()
	if n := strings.Count(d.log.String(), "\n"); n > 12 {
		t.Errorf("leatd said %d lines while it sent %d lines in %d requests:\n%s", n, store.total(), requests, &d.log)
	}
}
