package dirwatch

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAncestor: the folder that comes back is one that is there, so that it can be watched; whoever waits for the path
// would look for ever without a pause else.
func TestAncestor(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "root", "var"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ root, path, dir, missing string }{
		"there":               {"root", "root/var", "root/var", ""},
		"last part missing":   {"root", "root/var/log", "root/var", "log"},
		"more parts missing":  {"root", "root/var/log/pods", "root/var", "log"},
		"root itself missing": {"nope", "nope/var/log/pods", ".", "nope"},
		"much of it missing":  {"a/b/c", "a/b/c/var/log", ".", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			got, missing, err := Ancestor(filepath.Join(dir, c.root), filepath.Join(dir, c.path))
			if want := filepath.Join(dir, c.dir); err != nil || got != want || missing != c.missing {
				t.Errorf("%q, %q, %v; want %q, %q", got, missing, err, want, c.missing)
			}
		})
	}
}
