package hostfiles

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

func globs(top string, paths ...string) (out []Glob) {
	for _, p := range paths {
		out = append(out, Glob{Path: filepath.Join(top, p)})
	}
	return out
}

// passes makes a Watcher without events, whose passes the test makes by hand.
func passes(t *testing.T, top string, o Options) (*Watcher, *record, *logText) {
	t.Helper()
	r, text := newRecord(), &logText{}
	r.top = top + "/"
	o.Files, o.Log = r, slog.New(slog.NewTextHandler(text, nil))
	w := New(o)
	for _, g := range o.Globs {
		must(t, CheckPath(g.Path))
		w.globs = append(w.globs, newGlob(g, o.Labels))
	}
	w.watch = dirwatch.New[*folder]()
	w.watch.Close()
	return w, r, text
}

// What is a target, and what a generation of one.
func TestTargets(t *testing.T) {
	for _, c := range []struct {
		name  string
		files string
		globs string
		want  string
	}{
		{"one file", "auth.log auth.log.1 auth.log.2.gz other.log", "auth.log", "auth.log: auth.log.2.gz, auth.log.1, auth.log"},
		{"the glob matches generations", "auth.log auth.log.1 auth.log.10.gz auth.log.2.gz a.log a.log-20260102 a.log-20260101.gz", "*.log*",
			"a.log: a.log-20260101.gz, a.log-20260102, a.log\nauth.log: auth.log.10.gz, auth.log.2.gz, auth.log.1, auth.log"},
		{"the file is missing", "auth.log.1 auth.log.2.gz", "*.log*", "auth.log: auth.log.2.gz, auth.log.1"},
		{"counts that are no generations", "worker.1 worker.2", "worker.*", "worker.1: worker.1\nworker.2: worker.2"},
		{"named itself", "app.1 app", "app.1", "app.1: app.1"},
		{"addresses", "10.0.0.1 10.0.0.2", "*", "10.0.0.1: 10.0.0.1\n10.0.0.2: 10.0.0.2"},
		{"dates before the ending", "a-20260101.log a-20260102.log", "*.log", "a-20260101.log: a-20260101.log\na-20260102.log: a-20260102.log"},
		{"hidden", ".x.log a.log", "*.log", "a.log: a.log"},
		{"hidden on purpose", ".x.log a.log", ".*.log", ".x.log: .x.log"},
		{"folders of any name", "a/x.log b/x.log b/x.log.1 c.log", "*/*.log", "a/x.log: x.log\nb/x.log: x.log.1, x.log"},
		{"a folder is no file", "a.log/x", "*.log", ""},
		{"two globs, each file once", "a.log b.log", "b.* *.log", "a.log: a.log\nb.log: b.log"},
		{"generation named first by itself", "a.log a.log.1", "a.log.1 *.log", "a.log.1: a.log.1\na.log: a.log"},
		{"other compressions", "a.log a.log.1.xz a.log.2.zst", "a.log*", "a.log: a.log"},
		{"nothing there", "", "no/such/*.log", ""},
		{"a file in the way", "no", "no/such/*.log", ""},
		{"escaped", "a*.log ab.log", "a\\*.log", "a*.log: a*.log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := t.TempDir()
			for f := range strings.FieldsSeq(c.files) {
				write(t, filepath.Join(top, f), "x\n")
			}
			w, r, _ := passes(t, top, Options{Globs: globs(top, strings.Fields(c.globs)...)})
			for pass := range 3 {
				w.look(true)
				if got := r.state(); got != c.want {
					t.Fatalf("pass %d: got\n%s\nwant\n%s", pass, got, c.want)
				}
			}
			for _, files := range r.files {
				for _, f := range files {
					if f.Gzip != strings.HasSuffix(f.Name, ".gz") || filepath.Base(f.Path) != f.Name || f.Restart != 0 {
						t.Errorf("%+v", f)
					}
				}
			}
			if len(r.gone) > 0 {
				t.Error("gone:", r.gone)
			}
		})
	}
}

func TestTarget(t *testing.T) {
	top := t.TempDir()
	write(t, top+"/a.log", "x\n")
	own := []pipeline.Label{{Name: "job", Value: "auth"}, {Name: "cluster", Value: "own"}}
	common := []pipeline.Label{{Name: "cluster", Value: "prod"}, {Name: "zone", Value: "z"}}
	w, r, _ := passes(t, top, Options{Globs: []Glob{{top + "/*.log", own}, {top + "/a*", nil}}, Labels: common, Node: "n1"})
	w.look(true)
	got := r.target(top + "/a.log")
	if got == nil || got.Path != got.Key || !got.Raw || got.Node != "n1" || got.Namespace != "" ||
		fmt.Sprint(got.Labels) != "[{cluster own} {job auth} {zone z}]" {
		t.Errorf("%+v", got)
	}
	if fmt.Sprint(own) != "[{job auth} {cluster own}]" {
		t.Error("the owner's labels were changed")
	}
}

func TestEvents(t *testing.T) {
	top := t.TempDir()
	r := newRecord()
	r.top = top + "/"
	_, text := start(t, Options{Globs: globs(top, "log/auth.log", "srv/*/logs/*.log*"), Files: r})
	write(t, top+"/log/auth.log", "x\n") // the folder comes with the file
	r.untilState(t, "log/auth.log: auth.log")
	one := r.target(top + "/log/auth.log")
	must(t, os.Rename(top+"/log/auth.log", top+"/log/auth.log.1"))
	r.untilState(t, "log/auth.log: auth.log.1")
	write(t, top+"/log/auth.log", "x\n")
	r.untilState(t, "log/auth.log: auth.log.1, auth.log")
	before := r.told(one.Key)
	write(t, top+"/log/new", "x\n") // of no interest
	must(t, os.Rename(top+"/log/new", top+"/log/auth.log"))
	r.until(t, "another slice", func() bool { return &r.told(one.Key)[0] != &before[0] })

	write(t, top+"/srv/a/logs/x.log", "x\n")
	write(t, top+"/srv/b/logs/y.log", "x\n")
	r.untilState(t, "log/auth.log: auth.log.1, auth.log", "srv/a/logs/x.log: x.log", "srv/b/logs/y.log: y.log")
	must(t, os.RemoveAll(top+"/srv/a"))
	r.untilState(t, "log/auth.log: auth.log.1, auth.log", "srv/a/logs/x.log: ", "srv/b/logs/y.log: y.log")
	write(t, top+"/srv/a/logs/x.log", "x\n") // back before it was gone: the same target
	r.untilState(t, "log/auth.log: auth.log.1, auth.log", "srv/a/logs/x.log: x.log", "srv/b/logs/y.log: y.log")
	if r.ended() != 0 || r.target(one.Key) != one {
		t.Error("a target ended")
	}
	if text.String() != "" {
		t.Error(text)
	}
}

// A target ends after it had no file at two passes; its folder's events alone do not end it.
func TestGone(t *testing.T) {
	top := t.TempDir()
	write(t, top+"/a.log", "x\n")
	w, r, _ := passes(t, top, Options{Globs: globs(top, "*.log")})
	w.look(true)
	one := r.target(top + "/a.log")
	must(t, os.Remove(top+"/a.log"))
	for _, step := range []struct {
		whole bool
		want  string
	}{{false, "a.log: "}, {false, "a.log: "}, {true, "a.log: "}, {true, ""}, {true, ""}} {
		if w.look(step.whole); r.state() != step.want {
			t.Fatalf("%+v: %q", step, r.state())
		}
	}
	if r.ended() != 1 {
		t.Error(r.gone)
	}
	write(t, top+"/a.log", "x\n")
	if w.look(true); r.target(one.Key) == nil || r.target(one.Key) == one {
		t.Error("not a new target")
	}
}

func TestLinks(t *testing.T) {
	top := t.TempDir()
	host := top + "/host"
	write(t, host+"/data/app/current", "x\n")
	write(t, host+"/data/app/current.1", "x\n")
	must(t, os.MkdirAll(host+"/log", 0o755))
	must(t, os.Symlink("/data/app/current", host+"/log/app.log")) // absolute, beneath the node's root
	write(t, host+"/log/real.log", "x\n")
	must(t, os.Symlink("real.log", host+"/log/alias.log")) // read as real.log
	must(t, os.Symlink("loop.log", host+"/log/loop.log"))
	must(t, os.Symlink("/nowhere", host+"/log/none.log"))
	must(t, os.Symlink("/data", host+"/log/folder.log"))
	must(t, os.Symlink("/data", host+"/linked"))
	w, r, text := passes(t, host, Options{Globs: globs(host, "log/*.log"), RootFS: host})
	w.look(true)
	w.look(true)
	if got := r.state(); got != "log/app.log: current.1, current\nlog/real.log: real.log" {
		t.Error(got)
	}
	if got := r.told(host + "/log/app.log")[1].Path; got != host+"/data/app/current" {
		t.Error(got)
	}
	for link := range w.dangling {
		w.dangling[link] = w.dangling[link].Add(-2 * missing)
	}
	w.look(true)
	w.look(true)
	for name, want := range map[string]int{"alias.log": 1, "loop.log ": 1, "none.log ": 1, "folder.log": 0} {
		if n := strings.Count(text.String(), "path="+host+"/log/"+name); n != want {
			t.Errorf("%s: %d complaints, want %d\n%s", name, n, want, text)
		}
	}
	// A path that holds the file by name goes before one that is a link, whatever the order of the globs.
	w, r, _ = passes(t, host, Options{Globs: globs(host, "log/app.log", "linked/*/current"), RootFS: host})
	if w.look(true); r.state() != "linked/app/current: current.1, current" {
		t.Error(r.state())
	}

	// With events: the file that a link leads to is rotated where it lies.
	r = newRecord()
	r.top = host + "/"
	start(t, Options{Globs: globs(host, "linked/app/current"), RootFS: host, Files: r})
	r.untilState(t, "linked/app/current: current.1, current")
	must(t, os.Rename(host+"/data/app/current", host+"/data/app/current.2"))
	r.untilState(t, "linked/app/current: current.2, current.1")
	write(t, host+"/link", "x\n")
	must(t, os.Symlink("/link", host+"/data/app/current"))
	r.untilState(t, "linked/app/current: current.2, current.1, link")
	must(t, os.Rename(host+"/link", host+"/link.1"))
	write(t, host+"/link", "x\n")
	r.until(t, "rotation behind two links", func() bool {
		return strings.Contains(r.state(), "link.1") && strings.HasSuffix(r.state(), ", link")
	})
}

func TestFolderThatCannotBeRead(t *testing.T) {
	top := t.TempDir()
	write(t, top+"/d/a.log", "x\n")
	w, r, text := passes(t, top, Options{Globs: globs(top, "d/*.log", "*.txt")})
	write(t, top+"/b.txt", "x\n")
	w.look(true)
	must(t, os.Rename(top+"/d", top+"/e"))
	must(t, os.Symlink("d", top+"/d")) // fails otherwise than by being missing
	for range 4 {
		w.look(true)
	}
	if r.state() != "b.txt: b.txt\nd/a.log: a.log" || strings.Count(text.String(), "cannot look for files") != 1 {
		t.Errorf("what was known should stay: %s\n%s", r.state(), text)
	}
	must(t, os.Remove(top+"/d"))
	must(t, os.Rename(top+"/e", top+"/d"))
	if w.look(true); r.state() != "b.txt: b.txt\nd/a.log: a.log" || !strings.Contains(text.String(), "can be looked for again") || r.ended() != 0 {
		t.Errorf("%s\n%s", r.state(), text)
	}
}

// An unchanged pass tells every target, with the slice of before.
func TestSameSlice(t *testing.T) {
	top := t.TempDir()
	write(t, top+"/a.log", "x\n")
	w, r, _ := passes(t, top, Options{Globs: globs(top, "*.log")})
	w.look(true)
	first := r.told(top + "/a.log")
	w.look(true)
	if again := r.told(top + "/a.log"); &again[0] != &first[0] || r.count != 2 {
		t.Errorf("another slice, or %d calls", r.count)
	}
}

func TestCheckPath(t *testing.T) {
	for path, want := range map[string]string{
		"/var/log/*.log": "", "/var/log/[ab].log": "", "/*": "", "/a/\\[b": "",
		"var/log": "absolute", "": "absolute", "/var/log/": "names a folder", "/var/../x": "..", "/var/[a/x": "syntax error",
	} {
		err := CheckPath(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if err := New(Options{Globs: []Glob{{Path: "/["}}, Files: newRecord()}).Run(context.Background()); err == nil {
		t.Error("a bad glob was accepted")
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("*.log*", "auth.log.1")
	f.Add("[a-", "x")
	f.Add("\\", "\\")
	f.Fuzz(func(t *testing.T, part, name string) {
		if base, suffix, ok := split(part, name); ok && (base+suffix != name || !match(part, base)) {
			t.Errorf("%q %q: %q %q", part, name, base, suffix)
		}
	})
}
