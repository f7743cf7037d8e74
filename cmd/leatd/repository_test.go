package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// repository is the root of the checkout.
const repository = "../.."

// A goFile is one source file of the module, its path from the root.
type goFile struct {
	path string
	*ast.File
	set *token.FileSet
}

// goFiles are all of the module's, tests included; nested modules are not the module's.
func goFiles(t *testing.T) (files []goFile) {
	t.Helper()
	err := filepath.WalkDir(repository, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != repository:
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || e.Name() == "testdata" || e.Name() == ".git" {
				return filepath.SkipDir
			}
			return nil
		case filepath.Ext(path) != ".go":
			return nil
		}
		rel, err := filepath.Rel(repository, path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, goFile{filepath.ToSlash(rel), file, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d Go files were found", len(files))
	}
	return files
}

func (f *goFile) folder() string {
	i := strings.LastIndexByte(f.path, '/')
	return f.path[:max(i, 0)]
}

func (f *goFile) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// within tells whether a package is one of those, or below one.
func within(pkg string, folders ...string) bool {
	for _, f := range folders {
		if pkg == f || strings.HasPrefix(pkg, f+"/") {
			return true
		}
	}
	return false
}

// TestImportOrder: data flows down the list of imports, never up, and siblings never meet.
//
//	pipeline (standard library only)  <-  pipeline/spool, collector/*, sinks, exporter  <-  cmd/leatd
func TestImportOrder(t *testing.T) {
	t.Parallel()
	const module = "github.com/leatd/leat/"
	allowed := func(from, to string) bool {
		switch {
		case within(from, "cmd", "benchmarks", "deploy", ".ci") || within(to, from):
			return !within(to, "cmd") || within(from, "cmd")
		case from == "pipeline":
			return false
		case within(from, "collector/podlogs", "collector/hostfiles") && to == "collector/dirwatch":
			return true
		case within(from, "collector/node", "collector/container") && to == "collector/cutoff":
			return true
		case within(from, "sinks/sinktest"):
			return to == "pipeline"
		}
		return to == "pipeline"
	}
	for _, f := range goFiles(t) {
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			to, ours := strings.CutPrefix(path, module)
			host, _, _ := strings.Cut(path, "/")
			switch {
			case f.test() && !ours: // tests may use what helps them
			case f.test() && to == "benchmarks/servers": // whoever works with real ones is tested with them
			case f.test() && to == "sinks/sinktest": // whoever sends is tested with it
			case f.test() && (to == "collector/simulate" || to == "pipeline"):
			case f.test() && within(f.folder(), "sinks") && to == "sinks":
			case ours && !allowed(f.folder(), to):
				t.Errorf("%s imports %s", f.set.Position(spec.Pos()), path)
			case !ours && f.folder() == "pipeline" && strings.Contains(host, "."):
				t.Errorf("%s imports %s: the pipeline's core needs nothing but the standard library", f.set.Position(spec.Pos()), path)
			}
		}
	}
}

// TestPackageComments: every package says in its comment what it is for.
func TestPackageComments(t *testing.T) {
	t.Parallel()
	said := map[string]bool{}
	for _, f := range goFiles(t) {
		if f.test() {
			continue
		}
		said[f.folder()] = said[f.folder()] || f.Doc != nil && len(f.Doc.Text()) > 40
	}
	for _, folder := range slices.Sorted(maps.Keys(said)) {
		if !said[folder] {
			t.Errorf("package %s has no comment that says what it is for", folder)
		}
	}
}

// TestNoSleep: a test that sleeps is slow or fails now and then, mostly both. Polls with a deadline may, and tests whose
// time is testing/synctest's.
func TestNoSleep(t *testing.T) {
	t.Parallel()
	files := goFiles(t)
	virtual := map[string]bool{}
	for _, f := range files {
		for _, s := range f.Imports {
			virtual[f.folder()] = virtual[f.folder()] || f.test() && s.Path.Value == `"testing/synctest"`
		}
	}
	for _, f := range files {
		if !f.test() || virtual[f.folder()] {
			continue
		}
		var polls []*ast.ForStmt
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ForStmt:
				if calls(n, "Before") || calls(n, "After") {
					polls = append(polls, n)
				}
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				if !ok || pkg.Name != "time" || n.Sel.Name != "Sleep" {
					return true
				}
				if !slices.ContainsFunc(polls, func(p *ast.ForStmt) bool { return p.Pos() < n.Pos() && n.End() < p.End() }) {
					t.Errorf("%s sleeps", f.set.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

// calls tells whether a method of that name is called somewhere in the statement.
func calls(in ast.Node, method string) (found bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if s, ok := call.Fun.(*ast.SelectorExpr); ok {
				pkg, ofTime := s.X.(*ast.Ident)
				found = found || s.Sel.Name == method && !(ofTime && pkg.Name == "time")
			}
		}
		return !found
	})
	return found
}

// TestGoVersion: go.mod, the nested modules and the Dockerfile name the same Go.
func TestGoVersion(t *testing.T) {
	t.Parallel()
	want := goVersion(t, "go.mod", `(?m)^go (\d+\.\d+)`)
	text, err := os.ReadFile(filepath.Join(repository, "Dockerfile"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIPPED: there is no Dockerfile")
	}
	if err != nil {
		t.Fatal(err)
	}
	images := regexp.MustCompile(`(?m)^FROM .*golang:(\d+\.\d+)`).FindAllStringSubmatch(string(text), -1)
	if len(images) == 0 {
		t.Error("the Dockerfile does not say which Go it builds with")
	}
	for _, image := range images {
		if image[1] != want {
			t.Errorf("the Dockerfile builds with Go %s, go.mod says %s", image[1], want)
		}
	}
}

func goVersion(t *testing.T, name, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(text)
	if m == nil {
		t.Fatalf("%s does not say which Go it is for", name)
	}
	return string(m[1])
}

// TestMetricsAreDocumented: whatever /metrics shows of leatd's own stands in the README.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIPPED: there is no README.md")
	}
	if err != nil {
		t.Fatal(err)
	}
	h, store := newHost(t), newDepot(t, "http")
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "hello"))
	d := start(t, "--config.file", h.config("http", store.URL))
	d.metric(1, "leat_log_delivered_lines_total")
	s, own := d.metrics(), 0
	d.stop()
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !strings.HasPrefix(name, "leat_") {
			continue
		}
		own++
		if !regexp.MustCompile(`\b` + name + `\b`).Match(readme) {
			t.Errorf("README.md says nothing about %s: %s", name, s[name].GetHelp())
		}
	}
	if own < 15 {
		t.Errorf("only %d metrics of leatd's own: %v", own, slices.Sorted(maps.Keys(s)))
	}
}
