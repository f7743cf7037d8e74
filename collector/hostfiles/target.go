package hostfiles

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

// A target is a target that was told of.
type target struct {
	*pipeline.Target
	glob  *glob
	files []pipeline.LogFile // as told last
	empty bool               // it had no file at the last pass over everything
	pass  int
}

// tell compares what was found with what was told, and tells the difference, or all of it if whole.
func (w *Watcher) tell(s *search, whole bool) {
	for _, c := range w.claim(s) {
		t := w.targets[c.path]
		if t == nil {
			t = &target{glob: c.glob, Target: &pipeline.Target{
				Key: c.path, Path: c.path, Labels: c.glob.labels, Node: w.Node, Raw: true,
			}}
			w.targets[c.path] = t
			c.fresh = true
		}
		t.pass, t.empty = w.pass, false
		if files := order(c.files); c.fresh || !slices.Equal(files, t.files) {
			t.files = files
		} else if !whole {
			continue
		}
		w.Files.Sync(t.Target, t.files)
	}
	for path, t := range w.targets {
		if t.pass == w.pass || s.stuck[t.glob] {
			continue
		}
		if whole && t.empty {
			delete(w.targets, path)
			w.Files.Gone(t.Target)
			continue
		}
		t.empty = t.empty || whole
		if len(t.files) > 0 || whole {
			if len(t.files) > 0 {
				t.files = nil
			}
			w.Files.Sync(t.Target, t.files)
		}
	}
}

// claim gives every file to one candidate: those that hold it by name before those that reach it by a link, and then by
// the order of the globs. A candidate that gets nothing is left out.
func (w *Watcher) claim(s *search) []*candidate {
	claimed := make(map[string]*candidate)
	for _, byLink := range [...]bool{false, true} {
		for _, c := range s.list {
			for _, f := range c.files {
				if f.link == byLink && claimed[f.Path] == nil {
					claimed[f.Path] = c
				}
			}
		}
	}
	return slices.DeleteFunc(s.list, func(c *candidate) bool {
		c.files = slices.DeleteFunc(c.files, func(f found) bool { return claimed[f.Path] != c })
		if len(c.files) == 0 {
			w.complaints.Once("claim "+c.path, "host files: leads to a file that is read under another name; left out", "path", c.path)
		}
		return len(c.files) == 0
	})
}

// order sorts by age.
func order(files []found) []pipeline.LogFile {
	slices.SortFunc(files, func(a, b found) int {
		return cmp.Or(dirwatch.CompareSuffix(a.suffix, b.suffix), strings.Compare(a.Path, b.Path))
	})
	out := make([]pipeline.LogFile, 0, len(files))
	for _, f := range files {
		if !slices.Contains(out, f.LogFile) {
			out = append(out, f.LogFile)
		}
	}
	return out
}

// printable keeps out what would spoil a log line, a label or saved state.
func printable(name string) bool {
	return utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
}
