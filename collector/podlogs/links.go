package podlogs

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/leatd/leat/collector/dirwatch"
)

// linked is a folder that links of one container lead to. It is watched and listed like the container's own.
type linked struct {
	listing
	watch   *dirwatch.Watch[place]
	entries []os.DirEntry // during a listing
}

// missing is how long the file that a link leads to may be missing before it is said: a rotation takes milliseconds.
const missing = time.Second

// linksCurrent says that none of the folders that the links lead to changed, and that all are watched that can be.
func (w *Watcher) linksCurrent(c *container) bool {
	for dir, l := range c.links {
		stamp, err := dirwatch.StampOf(dir)
		if err != nil || !stamp.Same(l.stamp) || !l.current(stamp) || l.watch.Ended() || !l.watch.Alive() && w.watch.Err() == nil {
			return false
		}
	}
	return true
}

// walk is the links of one listing: the folders that they lead to now, and the links whose file is missing, since when.
type walk struct {
	folders  map[string]*linked
	dangling map[string]time.Time
}

// followLink adds the file that a link leads to, and those beside it that a rotation made of it.
func (w *Watcher) followLink(c *container, links *walk, link string, restart int, files []found) []found {
	path, err := dirwatch.Resolve(w.RootFS, link)
	if path == "" && dirwatch.Gone(err) {
		w.dangles(c, links, link, err)
		return files
	}
	if path == "" {
		c.settled = false
		w.complaints.Once(link, "pod logs: link cannot be followed; left out, trying again", "path", link, "err", err)
		return files
	}
	dir, base := filepath.Split(path)
	l, listErr := w.listLinked(c, links, filepath.Clean(dir))
	if listErr != nil {
		c.settled = false
		w.unreadable(link, listErr)
		return files
	}
	there := false
	for _, e := range l.entries {
		suffix, ok := strings.CutPrefix(e.Name(), base)
		if !ok || !e.Type().IsRegular() || suffix != "" && !dirwatch.IsCount(suffix) {
			continue
		}
		there = there || suffix == ""
		files = append(files, found{logFile(dir+e.Name(), restart), suffix})
	}
	switch {
	case there:
		w.complaints.Over(link, "pod logs: link leads to a file again", "path", link)
	case err == nil && !isFile(path):
		w.complaints.Once(link, "pod logs: link leads to no regular file; left out", "path", link, "leads_to", path)
	default:
		w.dangles(c, links, link, err)
	}
	return files
}

func isFile(path string) bool {
	stamp, err := dirwatch.StampOf(path)
	return dirwatch.Gone(err) || stamp.IsFile()
}

// dangles is for a link whose file is not there: for the moment of a rotation, or for good.
func (w *Watcher) dangles(c *container, links *walk, link string, err error) {
	c.settled = false // nothing tells for sure when it will be there
	since, ok := c.dangling[link]
	if !ok {
		since = time.Now()
	}
	if links.dangling == nil {
		links.dangling = make(map[string]time.Time)
	}
	links.dangling[link] = since
	if time.Since(since) > missing {
		w.complaints.Once(link, "pod logs: the file that a link leads to is missing; left out, trying again", "path", link, "err", err)
	}
}

// listLinked watches and lists a folder that links lead to, once a listing.
func (w *Watcher) listLinked(c *container, links *walk, dir string) (*linked, error) {
	if l := links.folders[dir]; l != nil {
		return l, nil
	}
	stamp, err := dirwatch.StampOf(dir)
	if err != nil {
		return nil, err
	}
	l := c.links[dir]
	if l == nil || !l.stamp.Same(stamp) || l.watch.Ended() {
		l = &linked{}
	}
	if !l.watch.Alive() {
		watch, err := w.watch.Add(dir, place{pod: c.pod, container: c})
		if err != nil && w.watch.Err() == nil {
			return nil, err
		}
		l.watch = watch
	}
	l.begin(stamp)
	if l.entries, err = os.ReadDir(dir); err != nil {
		w.watch.Remove(l.watch)
		return nil, err
	}
	if links.folders == nil {
		links.folders = make(map[string]*linked)
	}
	links.folders[dir] = l
	return l, nil
}

// keepLinks ends the watches of folders that no link leads to any more.
func (w *Watcher) keepLinks(c *container, links walk) {
	for dir, l := range c.links {
		if links.folders[dir] != l {
			w.watch.Remove(l.watch)
		}
	}
	for _, l := range links.folders {
		l.entries = nil
	}
	c.links, c.dangling = links.folders, links.dangling
}
