package hostfiles

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

// CheckPath says what is wrong with a Glob's path.
func CheckPath(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("glob %q: give an absolute path", path)
	}
	if strings.HasSuffix(path, "/") {
		return fmt.Errorf("glob %q: it names a folder; name the files in it, as in %q", path, path+"*.log")
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return fmt.Errorf("glob %q: give the path without \"..\"", path)
		}
		if _, err := filepath.Match(part, ""); err != nil {
			return fmt.Errorf("glob %q: %q: %w: a [ needs its ], and a name that holds one is written \\[", path, part, err)
		}
	}
	return nil
}

// A glob is a Glob ready to be sought.
type glob struct {
	path   string
	parts  []string // of the pattern
	labels []pipeline.Label
}

func newGlob(g Glob, labels []pipeline.Label) glob {
	out := glob{path: g.Path}
	for part := range strings.SplitSeq(g.Path, "/") {
		if part != "" && part != "." {
			out.parts = append(out.parts, part)
		}
	}
	out.labels = slices.Clone(g.Labels)
	for _, l := range labels {
		if !slices.ContainsFunc(out.labels, func(own pipeline.Label) bool { return own.Name == l.Name }) {
			out.labels = append(out.labels, l)
		}
	}
	slices.SortFunc(out.labels, func(a, b pipeline.Label) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func wild(part string) bool { return strings.ContainsAny(part, `*?[\`) }

// match is filepath.Match, and that a leading dot has to be written.
func match(part, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(part, ".") {
		return false
	}
	ok, err := filepath.Match(part, name)
	return ok && err == nil // CheckPath found no error
}

// split says which target of the pattern's folder a file belongs to, if it belongs to one, and what a rotation added.
func split(part, name string) (base, suffix string, ok bool) {
	base, suffix = dirwatch.SplitRotation(name)
	if match(part, base) {
		return base, suffix, true
	}
	return name, "", match(part, name)
}
