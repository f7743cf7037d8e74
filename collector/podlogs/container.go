package podlogs

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

// A container is one container's folder and the target that it is.
type container struct {
	pod        *pod
	name, path string
	target     *pipeline.Target
	listing
	watch    *dirwatch.Watch[place]
	links    map[string]*linked   // by folder; nil without links
	dangling map[string]time.Time // links whose file is missing, since when; nil without
	files    []pipeline.LogFile   // as told last
	gone     bool
}

// scanContainer is a rescan's look: it lists the folder only if its stamp, or that of a folder that its links lead to,
// says that it changed. Sync is called in any case.
func (w *Watcher) scanContainer(c *container, stamp dirwatch.Stamp) {
	if (c.watch.Alive() || w.watch.Err() != nil) && c.current(stamp) && w.linksCurrent(c) {
		w.Files.Sync(c.target, c.files)
		return
	}
	w.list(c)
}

// found is a file with what it is sorted by.
type found struct {
	pipeline.LogFile
	suffix string
}

// list lists the folder and tells what is in it.
func (w *Watcher) list(c *container) {
	if !c.watch.Alive() {
		var err error
		if c.watch, err = w.watch.Add(c.path, place{pod: c.pod, container: c}); err != nil && w.watch.Err() == nil {
			w.unreadable(c.path, err)
			c.settled = false
			return
		}
	}
	stamp, err := dirwatch.StampOf(c.path)
	if err != nil {
		w.unreadable(c.path, err)
		return
	}
	if !stamp.Same(c.stamp) { // the event that says so is on its way, and the rescan behind it
		c.settled = false
		return
	}
	c.begin(stamp)
	entries, err := os.ReadDir(c.path)
	if err != nil {
		c.settled = false
		w.unreadable(c.path, err)
		return
	}
	w.complaints.Over(c.path, "pod logs: can be read again", "path", c.path)
	files := make([]found, 0, len(entries))
	var links walk
	for _, e := range entries {
		name := e.Name()
		if strings.HasSuffix(name, ".tmp") {
			continue
		}
		path := c.path + "/" + name
		restart, suffix, ok := parseLog(name)
		switch {
		case !ok:
			w.complaints.Once(path, "pod logs: file is not called RESTART.log; left out", "path", path)
		case e.Type().IsRegular():
			files = append(files, found{logFile(path, restart), suffix})
		case e.Type()&os.ModeSymlink != 0:
			files = w.followLink(c, &links, path, restart, files)
		default:
			w.complaints.Once(path, "pod logs: neither a file nor a link; left out", "path", path)
		}
	}
	w.keepLinks(c, links)
	c.files = order(files)
	w.Files.Sync(c.target, c.files)
}

func logFile(path string, restart int) pipeline.LogFile {
	return pipeline.LogFile{
		Path: path, Name: path[strings.LastIndexByte(path, '/')+1:],
		Restart: restart, Gzip: strings.HasSuffix(path, ".gz"),
	}
}

// order sorts by restart, then age, and leaves out a file that was reached in two ways.
func order(files []found) []pipeline.LogFile {
	slices.SortFunc(files, func(a, b found) int {
		return cmp.Or(
			cmp.Compare(a.Restart, b.Restart),
			dirwatch.CompareSuffix(a.suffix, b.suffix),
			strings.Compare(a.Path, b.Path),
		)
	})
	out := make([]pipeline.LogFile, 0, len(files))
	for _, f := range files {
		if !slices.ContainsFunc(out, func(o pipeline.LogFile) bool { return o.Path == f.Path }) {
			out = append(out, f.LogFile)
		}
	}
	return out
}

func (w *Watcher) dropContainer(c *container) {
	c.gone = true
	w.watch.Remove(c.watch)
	w.keepLinks(c, walk{})
	w.complaints.Forget(c.path)
	delete(c.pod.containers, c.name)
	w.Files.Gone(c.target)
}
