package hostfiles

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

var errNotFolder = errors.New("a part of the path is a file where a folder should be")

// missing is how long the file that a link leads to may be missing before it is said: a rotation takes milliseconds.
const missing = time.Second

// unread are compressions that leatd does not read.
var unread = [...]string{".xz", ".bz2", ".zst", ".lz4", ".Z", ".zip"}

// A candidate is what a look found under one path.
type candidate struct {
	glob  *glob
	path  string
	files []found
	fresh bool // one of its folders changed
}

// found is a file with what it is sorted by.
type found struct {
	pipeline.LogFile
	suffix string
	link   bool // reached by a link
}

// A search is one look at everything.
type search struct {
	by    map[string]*candidate
	list  []*candidate // by glob, then as listed
	stuck map[*glob]bool

	dangling map[string]time.Time // links whose file is missing, since when
}

// look finds what the globs match now and tells of it: of all targets if whole, else of those that changed.
func (w *Watcher) look(whole bool) {
	w.pass++
	s := &search{by: make(map[string]*candidate), stuck: make(map[*glob]bool), dangling: make(map[string]time.Time)}
	for i := range w.globs {
		g := &w.globs[i]
		if w.seek(s, g, "", g.parts) {
			w.complaints.Over(g.path, "host files: can be looked for again", "path", g.path)
		}
	}
	w.dangling = s.dangling
	w.sweep()
	w.tell(s, whole)
}

// seek follows a pattern from dir on. It returns false if a folder that should be looked into could not be; what was
// known of the glob's files then stays.
func (w *Watcher) seek(s *search, g *glob, dir string, parts []string) bool {
	for len(parts) > 1 && !wild(parts[0]) {
		dir, parts = dir+"/"+parts[0], parts[1:]
	}
	f, err := w.enter(dir + "/")
	if err != nil {
		s.stuck[g] = true
		w.complaints.Once(g.path, "host files: cannot look for files; trying again", "path", g.path, "err", err)
		return false
	}
	if f == nil {
		return true // awaited
	}
	f.seek(parts[0])
	if len(parts) == 1 {
		for _, e := range f.entries {
			w.add(s, g, f, dir, e)
		}
		return true
	}
	ok := true
	for _, e := range f.entries {
		if (e.IsDir() || e.Type()&os.ModeSymlink != 0) && match(parts[0], e.Name()) {
			if sub := dir + "/" + e.Name(); w.isDir(sub) {
				ok = w.seek(s, g, sub, parts[1:]) && ok
			}
		}
	}
	return ok
}

// isDir keeps a link to a file, or to nothing, from being taken for a folder to wait for.
func (w *Watcher) isDir(path string) bool {
	path, err := dirwatch.Resolve(w.RootFS, path)
	if err != nil {
		return false
	}
	stamp, err := dirwatch.StampOf(path)
	return err == nil && stamp.IsDir()
}

// enter returns the folder at dir, or none if it is not there yet and is awaited.
func (w *Watcher) enter(dir string) (*folder, error) {
	for range 3 { // it may come and go meanwhile
		path, err := dirwatch.Resolve(w.RootFS, dir)
		if err == nil {
			f, err := w.folder(path, true)
			if !dirwatch.Gone(err) {
				return f, err
			}
			if stamp, err := dirwatch.StampOf(path); err == nil && !stamp.IsDir() {
				return nil, errNotFolder
			}
		} else if !dirwatch.Gone(err) {
			return nil, err
		}
		if there, err := w.await(dir); err != nil || !there {
			return nil, err
		}
	}
	return nil, nil
}

// add takes one entry of a folder for the candidate that it belongs to.
func (w *Watcher) add(s *search, g *glob, f *folder, dir string, e os.DirEntry) {
	name := e.Name()
	part := g.parts[len(g.parts)-1]
	for _, ext := range unread {
		if plain, ok := strings.CutSuffix(name, ext); ok {
			if _, _, ok := split(part, plain); ok || match(part, name) {
				w.complaints.Once(dir+"/"+name, "host files: compressed in a way that is not read; left out", "path", dir+"/"+name)
			}
			return
		}
	}
	base, suffix, ok := split(part, name)
	if !ok || e.IsDir() {
		return
	}
	path := dir + "/" + base
	if !printable(path) || !printable(name) {
		w.complaints.Once(dir+"/"+name, "host files: a name that cannot be shown; left out", "path", dir+"/"+name)
		return
	}
	c := s.by[path]
	if c == nil {
		c = &candidate{glob: g, path: path}
	} else if c.glob != g {
		return // an earlier glob has it
	}
	switch {
	case e.Type().IsRegular():
		c.files = append(c.files, found{logFile(filepath.Join(f.path, name)), suffix, false})
	case e.Type()&os.ModeSymlink != 0:
		w.addLink(s, c, f, filepath.Join(f.path, name), suffix)
	default:
		w.complaints.Once(dir+"/"+name, "host files: neither a file nor a link; left out", "path", dir+"/"+name)
	}
	c.fresh = c.fresh || f.fresh
	if s.by[path] == nil && len(c.files) > 0 {
		s.by[path] = c
		s.list = append(s.list, c)
	}
}

// addLink adds the file that a link leads to. If the link is the target's own name, it adds what a rotation made of that
// file as well.
func (w *Watcher) addLink(s *search, c *candidate, f *folder, link, suffix string) {
	path, err := dirwatch.Resolve(w.RootFS, link)
	dir, base := filepath.Split(path)
	var to *folder
	if path != "" {
		if folder, ferr := w.folder(filepath.Clean(dir), true); ferr == nil {
			to = folder
		} else if err == nil {
			err = ferr
		}
	}
	there := false
	if to != nil {
		to.seekName(base)
		c.fresh = c.fresh || to.fresh
		for _, e := range to.entries {
			stem, more := dirwatch.SplitRotation(e.Name())
			own := e.Name() == base
			if !e.Type().IsRegular() || !own && (stem != base || suffix != "") {
				continue
			}
			if own {
				more = suffix
			}
			there = there || own
			c.files = append(c.files, found{logFile(dir + e.Name()), more, true})
		}
	}
	if there {
		w.complaints.Over(link, "host files: link leads to a file again", "path", link)
		return
	}
	if stamp, serr := dirwatch.StampOf(path); serr == nil && stamp.IsDir() {
		return
	}
	f.settled = false
	since, ok := w.dangling[link]
	if !ok {
		since = time.Now()
	}
	s.dangling[link] = since
	if time.Since(since) > missing {
		w.complaints.Once(link, "host files: link leads to no file; left out, trying again", "path", link, "err", err)
	}
}

func logFile(path string) pipeline.LogFile {
	return pipeline.LogFile{Path: path, Name: filepath.Base(path), Gzip: strings.HasSuffix(path, ".gz")}
}
