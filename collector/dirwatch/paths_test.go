package dirwatch

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStamp(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "d")
	must(t, os.Mkdir(dir, 0o755))
	write(t, top+"/f")
	must(t, os.Symlink("f", top+"/l"))
	for name, kind := range map[string]string{"d": "dir", "f": "file", "l": "link"} {
		s, err := StampOf(filepath.Join(top, name))
		must(t, err)
		if s.IsDir() != (kind == "dir") || s.IsFile() != (kind == "file") || s.IsLink() != (kind == "link") {
			t.Errorf("%s: %+v", name, s)
		}
	}
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(dir, old, old))
	before, err := StampOf(dir)
	must(t, err)
	if !before.Settled(time.Now()) || before.Settled(old.Add(time.Second)) {
		t.Error("settled")
	}
	write(t, dir+"/x")
	after, err := StampOf(dir)
	must(t, err)
	if after.Changed == before.Changed || !after.Same(before) || after.Settled(time.Now()) {
		t.Errorf("%+v then %+v", before, after)
	}
	for deadline := time.Now().Add(5 * time.Second); ; { // births are told apart by the kernel's tick
		must(t, os.RemoveAll(dir))
		must(t, os.Mkdir(dir, 0o755))
		again, err := StampOf(dir)
		must(t, err)
		if !again.Same(before) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a folder made again looks the same")
		}
	}
	if _, err := StampOf(top + "/none"); !Gone(err) {
		t.Error(err)
	}
}

func TestResolve(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "host")
	must(t, os.MkdirAll(root+"/var/lib/docker", 0o755))
	must(t, os.MkdirAll(root+"/data/logs", 0o755))
	must(t, os.MkdirAll(top+"/outside", 0o755))
	write(t, root+"/data/logs/f")
	write(t, top+"/outside/f")
	for link, to := range map[string]string{
		"host/var/log":   "/data/logs",         // absolute: beneath root
		"host/rel":       "var/log/f",          // through another link
		"host/up":        "../../../outside/f", // not out of root
		"host/dangling":  "/data/logs/none",
		"host/deep":      "/none/none",
		"host/loop":      "loop",
		"host/long":      "data/../data/./logs//f",
		"outside/abs":    "/data/logs/f", // from outside root into it
		"outside/beside": "f",
		"outside/file":   "f/below",
	} {
		must(t, os.Symlink(to, filepath.Join(top, link)))
	}
	for _, c := range []struct {
		path, want string
		err        error
	}{
		{"host", "host", nil},
		{"host/var/log/f", "host/data/logs/f", nil},
		{"host/rel", "host/data/logs/f", nil},
		{"host/long", "host/data/logs/f", nil},
		{"host/up", "", os.ErrNotExist},
		{"host/dangling", "host/data/logs/none", os.ErrNotExist},
		{"host/deep", "", os.ErrNotExist},
		{"host/loop", "", unix.ELOOP},
		{"outside/abs", "host/data/logs/f", nil},
		{"outside/beside", "outside/f", nil},
		{"outside/file", "outside/f/below", unix.ENOTDIR},
	} {
		got, err := Resolve(root, filepath.Join(top, c.path))
		if c.want != "" {
			c.want = filepath.Join(top, c.want)
		}
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v; want %q, %v", c.path, got, err, c.want, c.err)
		}
	}
	if got, err := Resolve("/", top+"/outside/beside"); got != top+"/outside/f" || err != nil {
		t.Error(got, err)
	}
	for _, c := range []struct{ path, dir, name string }{
		{"host/var/log", "host/data/logs", ""},
		{"host/var/log/pods/x", "host/data/logs", "pods"},
		{"host/dangling/x", "host/data/logs", "none"},
		{"outside", "outside", ""},
		{"outside/a/b/c", "outside", "a"},
	} {
		dir, name, err := Ancestor(root, filepath.Join(top, c.path))
		if err != nil || dir != filepath.Join(top, c.dir) || name != c.name {
			t.Errorf("%s: %q, %q, %v", c.path, dir, name, err)
		}
	}
	if _, _, err := Ancestor(root, root+"/loop/x"); !errors.Is(err, unix.ELOOP) {
		t.Error(err)
	}
}

func TestSplitRotation(t *testing.T) {
	for _, c := range []struct{ name, base, suffix string }{
		{"auth.log", "auth.log", ""}, {"auth.log.1", "auth.log", ".1"}, {"auth.log.12.gz", "auth.log", ".12.gz"},
		{"auth.log-20260102", "auth.log", "-20260102"}, {"auth.log-20260102.gz", "auth.log", "-20260102.gz"},
		{"auth.log-20260102-1767312000", "auth.log", "-20260102-1767312000"},
		{"0.log.20260102-030405.gz", "0.log", ".20260102-030405.gz"}, {"app.log.2026-01-02", "app.log", ".2026-01-02"},
		{"app.log.2026-01-02T03:04:05", "app.log", ".2026-01-02T03:04:05"}, {"app.log.gz", "app.log", ".gz"},
		{"app.2026-01-02.1.gz", "app", ".2026-01-02.1.gz"}, {"syslog.1", "syslog", ".1"}, {"node2.1", "node2", ".1"},
		{"app-20260102.log", "app-20260102.log", ""}, {"10.0.0.1", "10.0.0.1", ""}, {"10.200.100.100", "10.200.100.100", ""},
		{"srv-10.0.0.1", "srv-10.0.0.1", ""}, {"app-1.2", "app-1", ".2"}, {"x.12345", "x.12345", ""}, {"x-1", "x-1", ""},
		{"20260102", "20260102", ""}, {".1", ".1", ""}, {".gz", ".gz", ""}, {"", "", ""}, {"-20260102", "-20260102", ""},
		{"x.20260102-", "x.20260102-", ""}, {"x..20260102", "x.", ".20260102"},
	} {
		if base, suffix := SplitRotation(c.name); base != c.base || suffix != c.suffix {
			t.Errorf("%q: %q %q, want %q %q", c.name, base, suffix, c.base, c.suffix)
		}
	}
}

func TestCompareSuffix(t *testing.T) {
	want := strings.Fields("-20260101.gz -20260101 -20260102 .20260102-030405.gz .20260102-030405 .10.gz .2.gz .2 .1 CURRENT")
	for range 20 {
		got := slices.Clone(want)
		for i := range got {
			if got[i] == "CURRENT" {
				got[i] = ""
			}
		}
		slices.Reverse(got)
		slices.SortFunc(got, CompareSuffix)
		got[len(got)-1] += "CURRENT"
		if !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}
}

func FuzzRotation(f *testing.F) {
	for _, s := range []string{"auth.log.1", "a-20260102.gz", "10.0.0.1", ".gz", "a.2026-01-02T03:04:05"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		base, suffix := SplitRotation(a)
		if base+suffix != a || base == "" && a != "" {
			t.Errorf("%q: %q %q", a, base, suffix)
		}
		if CompareSuffix(a, b) != -CompareSuffix(b, a) || CompareSuffix(a, a) != 0 {
			t.Errorf("no order: %q %q", a, b)
		}
	})
}
