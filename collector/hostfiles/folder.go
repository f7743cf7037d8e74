package hostfiles

import (
	"os"
	"slices"
	"time"

	"github.com/leatd/leat/collector/dirwatch"
)

// A folder is one that is looked into, or in which a part of a glob's path has to appear.
type folder struct {
	path    string // links followed
	watch   *dirwatch.Watch[*folder]
	stamp   dirwatch.Stamp
	settled bool // the entries are all there is until the stamp changes
	touched bool // an event since the last look said that a file changed its name
	entries []os.DirEntry
	parts   []string // patterns that names are held against
	names   []string // names of interest, by themselves or as rotated
	pass    int      // the last look that came here
	fresh   bool     // listed anew in this look
}

// wants says that an event about name can change what was found.
func (f *folder) wants(name string) bool {
	base, _ := dirwatch.SplitRotation(name)
	return slices.Contains(f.names, name) || slices.Contains(f.names, base) ||
		slices.ContainsFunc(f.parts, func(part string) bool { return match(part, name) || match(part, base) })
}

func (f *folder) seek(part string) {
	if !slices.Contains(f.parts, part) {
		f.parts = append(f.parts, part)
	}
}

func (f *folder) seekName(name string) {
	if !slices.Contains(f.names, name) {
		f.names = append(f.names, name)
	}
}

// folder watches the folder at path and, if list is true, knows its entries. The first call of a look does the work.
func (w *Watcher) folder(path string, list bool) (*folder, error) {
	f := w.folders[path]
	if f != nil && f.pass == w.pass && (!list || f.entries != nil) {
		return f, nil
	}
	stamp, err := dirwatch.StampOf(path)
	if err != nil {
		return nil, err
	}
	if f == nil || !f.stamp.Same(stamp) || f.watch.Ended() {
		if f != nil {
			w.watch.Remove(f.watch)
		}
		f = &folder{path: path, stamp: stamp, touched: true}
		w.folders[path] = f
	}
	if f.pass != w.pass {
		f.pass, f.fresh = w.pass, f.touched
		f.touched = false
		f.parts, f.names = f.parts[:0], f.names[:0]
	}
	if !f.watch.Alive() {
		if f.watch, err = w.watch.Add(path, f); err != nil && w.watch.Err() == nil {
			return nil, err
		}
		f.settled = f.settled && !f.watch.Alive() // what came before the watch has no event
	}
	if !list || f.entries != nil && f.settled && f.stamp.Changed == stamp.Changed {
		return f, nil
	}
	f.fresh = f.fresh || f.stamp.Changed != stamp.Changed
	f.stamp, f.settled = stamp, stamp.Settled(time.Now())
	entries, err := os.ReadDir(path)
	if err != nil {
		f.settled = false
		return nil, err
	}
	f.entries = append(make([]os.DirEntry, 0, len(entries)), entries...) // never nil
	return f, nil
}

// await watches for the first part of dir that is missing. It returns true if dir is there by now.
func (w *Watcher) await(dir string) (there bool, err error) {
	var last *folder
	for {
		at, name, err := dirwatch.Ancestor(w.RootFS, dir)
		if err != nil || name == "" {
			return err == nil, err
		}
		f, err := w.folder(at, false)
		if dirwatch.Gone(err) {
			if stamp, err := dirwatch.StampOf(at); err == nil && !stamp.IsDir() {
				return false, errNotFolder
			}
			continue
		}
		if err != nil {
			return false, err
		}
		f.seekName(name)
		if f == last {
			return false, nil
		}
		last = f
	}
}

// sweep ends the watches of folders that the last look had no use for.
func (w *Watcher) sweep() {
	for path, f := range w.folders {
		if f.pass != w.pass {
			w.watch.Remove(f.watch)
			delete(w.folders, path)
		}
	}
}
