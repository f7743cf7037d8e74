package kubetest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLeftovers: what a run has left that was killed is removed, what is in use or somebody else's is not.
func TestLeftovers(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	make := func() *folder {
		f, err := newFolder()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.path, "file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	used, left := make(), make()
	defer used.lock.Close()
	left.lock.Close()
	foreign := filepath.Join(os.TempDir(), prefix+"foreign")
	if err := os.Mkdir(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(used.path, 0); !errors.Is(err, errHeld) {
		t.Errorf("a folder is locked twice: %v", err)
	}
	if err := removeLeftovers(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{used.path: true, left.path: false, foreign: true} {
		if _, err := os.Stat(path); err == nil != want {
			t.Errorf("%s: %v, want it to be there: %t", path, err, want)
		}
	}
}
