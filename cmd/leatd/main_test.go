package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// binary is leatd as it is shipped, but for the race detector where the tests run with it. TestMain builds it.
var binary string

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Getenv(bareLoopVar) != "" {
		return bareLoopProcess()
	}
	flag.Parse()
	dir, err := os.MkdirTemp("", "leatd-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// A test lets leatd run as another user, who must be able to get at the binary.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "leatd")
	if err := build(binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

func build(path string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", path}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if underRace {
		args, env = append(args, "-race"), append(os.Environ(), "CGO_ENABLED=1")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build leatd: %w\n%s", err, out)
	}
	return nil
}

// none is an environment without variables.
func none(string) (string, bool) { return "", false }

// called is what a command of leatd did that was run in this process.
type called struct {
	code           int
	stdout, stderr string
}

// call runs leatd in this process until it ends by itself or ctx ends.
func call(ctx context.Context, args ...string) called {
	var stdout, stderr bytes.Buffer
	code := leatd(ctx, args, none, &stdout, &stderr)
	return called{code, stdout.String(), stderr.String()}
}

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; -update writes it anew.\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"--version"}} {
		got := call(t.Context(), args...)
		if got.code != exitOK || got.stderr != "" || strings.Count(got.stdout, "\n") != 1 || !strings.HasPrefix(got.stdout, "leatd "+version+" (revision ") {
			t.Errorf("%v: got %+v", args, got)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"help"}, {"check", "--help"}, {"demo", "-h"}} {
		got := call(t.Context(), args...)
		if got.code != exitOK || got.stderr != "" {
			t.Errorf("%v: code %d, stderr %q", args, got.code, got.stderr)
		}
		for _, word := range []string{"usage: leatd", "--config.file", "--state", "--web.listen-address", "$LEAT_CONFIG_FILE"} {
			if !strings.Contains(got.stdout, word) {
				t.Errorf("%v: %q is not in\n%s", args, word, got.stdout)
			}
		}
	}
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"--nonsense":         {"--nonsense"},
		"serve":              {"serve"},
		"--log.level":        {"--log.level", "verbose"},
		"--shutdown.timeout": {"--shutdown.timeout", "soon"},
	}
	for word, args := range tests {
		got := call(t.Context(), args...)
		if got.code != exitBadInput || got.stdout != "" || !strings.HasPrefix(got.stderr, "leatd: ") || !strings.Contains(got.stderr, word) {
			t.Errorf("%v: got %+v", args, got)
		}
	}
}

// TestRunInProcess: the wiring leaves no goroutine behind (TestMain looks), whatever stops it.
func TestRunInProcess(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "hello"))
	d := newDepot(t, "http")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan called)
	go func() {
		done <- call(ctx, "--config.file", h.config("http", d.URL), "--web.listen-address", "127.0.0.1:0", "--log.format", "json")
	}()
	d.expect("ns/pod/app", "hello")
	cancel()
	if got := <-done; got.code != exitOK || got.stdout != "" || !strings.Contains(got.stderr, `"msg":"leatd has stopped","pending_lines":0`) {
		t.Errorf("got %+v", got)
	}
}
