package podlogs

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/leatd/leat/collector/dirwatch"
)

// The root is the folder of the pods' folders, once it is there.
type root struct {
	path string // with its links followed; empty while it is not there
	listing
	watch *dirwatch.Watch[place]
	pods  map[string]*pod
}

// await is where the root is expected to appear.
type await struct {
	path, name string
	watch      *dirwatch.Watch[place]
}

// scanRoot looks at the root and all below it. It returns false while the root cannot be read.
func (w *Watcher) scanRoot() bool {
	path, err := dirwatch.Resolve(w.RootFS, w.Root)
	if dirwatch.Gone(err) {
		w.dropRoot()
		if !w.awaitRoot() {
			return true
		}
		path, err = dirwatch.Resolve(w.RootFS, w.Root) // it came meanwhile
	}
	if err != nil {
		return w.rootFailed(err)
	}
	stamp, err := dirwatch.StampOf(path)
	if err != nil {
		return w.rootFailed(err)
	}
	r := &w.root
	if path != r.path || !stamp.Same(r.stamp) || r.watch.Ended() {
		w.dropRoot()
		r.path, r.pods, r.stamp = path, make(map[string]*pod), stamp
	}
	if !stamp.IsDir() {
		return w.rootFailed(errors.New("it is a file; logs.pods must name a folder"))
	}
	w.endAwait()
	if !r.watch.Alive() {
		if r.watch, err = w.watch.Add(path, place{}); err != nil && w.watch.Err() == nil {
			return w.rootFailed(err)
		}
		r.settled = r.settled && !r.watch.Alive() // what came before the watch has no event
	}
	var entries []os.DirEntry
	if !r.current(stamp) {
		r.begin(stamp)
		if entries, err = os.ReadDir(path); err != nil {
			r.settled = false
			return w.rootFailed(err)
		}
	}
	w.known = w.known[:0]
	for name := range r.pods {
		w.known = append(w.known, name)
	}
	for _, name := range w.known {
		w.lookPod(name, true)
	}
	for _, e := range entries {
		if r.pods[e.Name()] == nil {
			w.lookPod(e.Name(), true)
		}
	}
	w.complaints.Over(w.Root, "pod logs: folder is there and can be read", "path", w.Root)
	return true
}

func (w *Watcher) rootFailed(err error) bool {
	w.complaints.Once(w.Root, "pod logs: folder cannot be read: no new pod is found until it can; trying again", "path", w.Root, "err", err)
	return false
}

// dropRoot ends all targets.
func (w *Watcher) dropRoot() {
	r := &w.root
	names := make([]string, 0, len(r.pods))
	for name := range r.pods {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		w.dropPod(r.pods[name])
	}
	w.watch.Remove(r.watch)
	*r = root{}
}

// awaitRoot watches the folder in which the next part of the root's path has to appear. It returns true if the root is
// there by now: the watch is put on first, then it looks.
func (w *Watcher) awaitRoot() (there bool) {
	for {
		dir, name, err := dirwatch.Ancestor(w.RootFS, w.Root)
		if err != nil {
			return true // scanRoot meets the same error and reports it
		}
		if name == "" {
			w.endAwait()
			return true
		}
		if stamp, err := dirwatch.StampOf(dir); err == nil && !stamp.IsDir() {
			w.rootFailed(fmt.Errorf("%s is a file; logs.pods must name a folder", dir))
			w.endAwait()
			return false
		}
		if w.await.watch.Alive() && w.await.path == dir && w.await.name == name {
			return false
		}
		w.complaints.Once(w.Root, "pod logs: folder does not exist; waiting for it", "path", w.Root)
		w.endAwait()
		watch, err := w.watch.Add(dir, place{await: true})
		if err != nil && !dirwatch.Gone(err) {
			return false // the rescan finds it
		}
		w.await = await{path: dir, name: name, watch: watch}
	}
}

func (w *Watcher) endAwait() {
	w.watch.Remove(w.await.watch)
	w.await = await{}
}
