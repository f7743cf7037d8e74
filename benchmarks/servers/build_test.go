package servers

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestBinary builds a small module in a checkout of its own: at the same time, again, and after a change.
func TestBinary(t *testing.T) {
	cache, root := t.TempDir(), t.TempDir()
	t.Setenv("LEAT_CACHE", cache)
	source := filepath.Join(root, "benchmarks", "servers", "hello")
	write(t, filepath.Join(root, "go.mod"), "module "+modulePath+"\n")
	write(t, filepath.Join(source, "go.mod"), "module hello\n\ngo 1.26.0\n")
	write(t, filepath.Join(source, "main.go"), "package main\n\nfunc main() { println(1) }\n")
	below := filepath.Join(root, "some", "package")
	write(t, filepath.Join(below, "x"), "")
	t.Chdir(below)

	hello := program{"hello", "hello", ".", nil}
	paths := make([]string, 4)
	var builds sync.WaitGroup
	for i := range paths {
		builds.Go(func() {
			var err error
			if paths[i], err = hello.binary(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	builds.Wait()
	built, err := os.Stat(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if path != paths[0] {
			t.Errorf("built %s and %s of the same files", paths[0], path)
		}
	}

	again, err := hello.binary(t.Context())
	if err != nil || again != paths[0] {
		t.Errorf("second build: %s, %v; want %s", again, err, paths[0])
	}
	if now, err := os.Stat(again); err != nil || !os.SameFile(now, built) {
		t.Errorf("built again what was in the cache (%v)", err)
	}

	write(t, filepath.Join(source, "main.go"), "package main\n\nfunc main() { println(2) }\n")
	changed, err := hello.binary(t.Context())
	if err != nil || changed == paths[0] {
		t.Errorf("after a change: %s, %v; want another name", changed, err)
	}
	write(t, filepath.Join(source, "main.go"), "package main\n\nfunc main() { println(3 }\n")
	if path, err := hello.binary(t.Context()); err == nil {
		t.Errorf("built %s of what doesn't compile", path)
	}
	left, err := filepath.Glob(filepath.Join(cache, "bin", "*"))
	if err != nil || len(left) != 3 { // two binaries and the lock
		t.Errorf("the cache holds %q (%v)", left, err)
	}
}

func TestNoCheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	if path, err := loki.binary(t.Context()); err == nil {
		t.Errorf("found %s outside a checkout", path)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
