package container

import (
	"bytes"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

var update = flag.Bool("update", false, "write testdata anew")

// made is the time of every file in a tree, unless it is changed.
var made = time.Unix(946_600_000, 0)

var (
	section = regexp.MustCompile(`(?m)^-- (\S+)(?: (->|=) (\S+))? --\n`)
	letters = regexp.MustCompile(`\{([0-9a-f])\}`)
)

// tree makes the files that a text says:
//
//	-- path --            and its text
//	-- path -> target --  a link
//	-- path = other --    another name for the same file: the same network namespace
//	-- path/ --           a folder
//
// {a} stands for an id of 64 times a.
func tree(t *testing.T, text string) (root string) {
	t.Helper()
	root = t.TempDir()
	text = letters.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat(s[1:2], 64) })
	at := section.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		path, body := filepath.Join(root, text[m[2]:m[3]]), text[m[1]:end]
		kind, other := "", ""
		if m[4] >= 0 {
			kind, other = text[m[4]:m[5]], text[m[6]:m[7]]
		}
		if strings.HasSuffix(text[m[2]:m[3]], "/") {
			must(t, os.MkdirAll(path, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch kind {
		case "->":
			must(t, os.Symlink(other, path))
		case "=":
			must(t, os.Link(filepath.Join(root, other), path))
		default:
			must(t, os.WriteFile(path, []byte(body), 0o644))
		}
	}
	must(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, made, made)
	}))
	return root
}

func treeFile(t *testing.T, name string) (root string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	return tree(t, string(text))
}

// in are the options for a tree.
func in(root string) Options {
	return Options{
		ProcFS: filepath.Join(root, "proc"), SysFS: filepath.Join(root, "sys"), RootFS: root,
		Timeout: time.Minute, Log: slog.New(slog.DiscardHandler),
	}
}

// gather is what /metrics would show.
func gather(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Error("gather:", err)
	}
	var out bytes.Buffer
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&out, f)
		must(t, err)
	}
	return out.String()
}

// figures are the lines that are no comment, with long ids cut.
func figures(text string, names ...string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		keep := len(names) == 0 && !strings.HasPrefix(l, "#")
		for _, n := range names {
			keep = keep || strings.HasPrefix(l, n+"{") || strings.HasPrefix(l, n+" ")
		}
		if keep {
			b.WriteString(l)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s (-update writes it): got\n%s", path, got)
	}
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got != strings.TrimSpace(want) {
		t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
