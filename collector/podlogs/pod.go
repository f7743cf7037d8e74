package podlogs

import (
	"os"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

// A pod is one pod's folder.
type pod struct {
	name, path          string
	namespace, pod, uid string
	listing
	watch      *dirwatch.Watch[place]
	containers map[string]*container
	gone       bool
}

// lookPod makes what is known of a name in the root true. With whole it also looks at everything below; without,
// events tell of that.
func (w *Watcher) lookPod(name string, whole bool) {
	r := &w.root
	if r.path == "" {
		return
	}
	var path string
	p := r.pods[name]
	if p != nil {
		path = p.path
	} else {
		path = r.path + "/" + name
	}
	stamp, err := dirwatch.StampOf(path)
	if p != nil && (dirwatch.Gone(err) || err == nil && !stamp.Same(p.stamp) || p.watch.Ended()) {
		w.dropPod(p)
		p = nil
	}
	if err != nil {
		w.unreadable(path, err)
		return
	}
	if p != nil {
		if whole {
			w.scanPod(p, stamp)
		}
		return
	}
	namespace, podName, uid, ok := parsePod(name)
	switch {
	case !stamp.IsDir():
		w.complaints.Once(path, "pod logs: not a folder where a pod's folder should be; left out", "path", path)
		return
	case !ok:
		w.complaints.Once(path, "pod logs: folder is not called NAMESPACE_POD_UID; left out", "path", path)
		return
	}
	p = &pod{name: name, path: path, namespace: namespace, pod: podName, uid: uid, containers: make(map[string]*container)}
	p.stamp = stamp
	r.pods[name] = p
	w.scanPod(p, stamp)
}

func (w *Watcher) scanPod(p *pod, stamp dirwatch.Stamp) {
	if !p.watch.Alive() {
		var err error
		if p.watch, err = w.watch.Add(p.path, place{pod: p}); err != nil && w.watch.Err() == nil {
			w.unreadable(p.path, err)
			p.settled = false
			return
		}
		p.settled = p.settled && !p.watch.Alive() // what came before the watch has no event
	}
	var entries []os.DirEntry
	if !p.current(stamp) {
		p.begin(stamp)
		var err error
		if entries, err = os.ReadDir(p.path); err != nil {
			p.settled = false
			w.unreadable(p.path, err)
			return
		}
		w.complaints.Over(p.path, "pod logs: can be read again", "path", p.path)
	}
	for name := range p.containers {
		w.lookContainer(p, name, true)
	}
	for _, e := range entries {
		if p.containers[e.Name()] == nil {
			w.lookContainer(p, e.Name(), true)
		}
	}
}

func (w *Watcher) dropPod(p *pod) {
	for _, c := range p.containers {
		w.dropContainer(c)
	}
	p.gone = true
	w.watch.Remove(p.watch)
	w.complaints.Forget(p.path)
	delete(w.root.pods, p.name)
}

// lookContainer makes what is known of a name in a pod's folder true.
func (w *Watcher) lookContainer(p *pod, name string, whole bool) {
	var path string
	c := p.containers[name]
	if c != nil {
		path = c.path
	} else {
		path = p.path + "/" + name
	}
	stamp, err := dirwatch.StampOf(path)
	if c != nil && (dirwatch.Gone(err) || err == nil && !stamp.Same(c.stamp) || c.watch.Ended()) {
		w.dropContainer(c)
		c = nil
	}
	if err != nil {
		w.unreadable(path, err)
		return
	}
	if c != nil {
		if whole {
			w.scanContainer(c, stamp)
		}
		return
	}
	switch {
	case !stamp.IsDir():
		w.complaints.Once(path, "pod logs: not a folder where a container's folder should be; left out", "path", path)
		return
	case !printable(name):
		w.complaints.Once(path, "pod logs: a container's folder has a name that cannot be shown; left out", "path", path)
		return
	case !w.Include(p.namespace, p.pod, name):
		return
	}
	c = &container{pod: p, name: name, path: path, target: &pipeline.Target{
		Key: p.name + "/" + name, Namespace: p.namespace, Pod: p.pod, UID: p.uid, Container: name,
		Labels: w.Labels, Node: w.Node,
	}}
	c.stamp = stamp
	p.containers[name] = c
	w.scanContainer(c, stamp)
}

// unreadable reports a path that is there and cannot be looked at, and forgets one that is not there.
func (w *Watcher) unreadable(path string, err error) {
	if dirwatch.Gone(err) {
		w.complaints.Forget(path)
		return
	}
	w.complaints.Once(path, "pod logs: cannot be read; left out, trying again", "path", path, "err", err)
}
