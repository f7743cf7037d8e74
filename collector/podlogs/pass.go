package podlogs

import (
	"time"

	"github.com/leatd/leat/collector/dirwatch"
)

// A place is whose folder an event is about: a container's (its own, or one that its links lead to), a pod's, the root
// if both are nil, and the folder where the root is awaited.
type place struct {
	pod       *pod
	container *container
	await     bool
}

// marks are what the events of one Wait are about, each once.
type marks struct {
	names      []mark // in the root or a pod's folder
	containers []*container
	seen       map[any]struct{}
}

type mark struct {
	pod  *pod // nil: the root
	name string
}

func (m *marks) reset() {
	clear(m.names)
	clear(m.containers)
	m.names, m.containers = m.names[:0], m.containers[:0]
	if m.seen == nil {
		m.seen = make(map[any]struct{})
	}
	clear(m.seen)
}

func (m *marks) first(what any) bool {
	_, seen := m.seen[what]
	m.seen[what] = struct{}{}
	return !seen
}

func (m *marks) name(p *pod, name string) {
	if k := (mark{p, name}); m.first(k) {
		m.names = append(m.names, k)
	}
}

func (m *marks) container(c *container) {
	if m.first(c) {
		m.containers = append(m.containers, c)
	}
}

// apply looks where the events point, each place once. It returns true when everything has to be looked at.
func (w *Watcher) apply(events []dirwatch.Event[place]) (everything bool) {
	w.marks.reset()
	for _, e := range events {
		self := e.Op == dirwatch.Self
		switch at := e.Owner; {
		case e.Op == dirwatch.Overflow:
			w.Log.Info("pod logs: the kernel's queue of events was full; looking at every folder")
			return true
		case at.await:
			everything = everything || self || e.Name == w.await.name
		case at.container != nil:
			if self {
				w.marks.name(at.pod, at.container.name)
			}
			w.marks.container(at.container)
		case at.pod != nil && self:
			w.marks.name(nil, at.pod.name)
		case at.pod != nil:
			w.marks.name(at.pod, e.Name)
		case self:
			everything = true
		default:
			w.marks.name(nil, e.Name)
		}
	}
	for _, m := range w.marks.names {
		if m.pod == nil {
			w.lookPod(m.name, false)
		} else if !m.pod.gone {
			w.lookContainer(m.pod, m.name, false)
		}
	}
	for _, c := range w.marks.containers {
		if !c.gone {
			w.list(c)
		}
	}
	return everything
}

// rescan looks at everything: by its mtime where that is enough, by listing it where it is not.
func (w *Watcher) rescan() {
	w.watch.Retry()
	if w.scanRoot() && !w.ready {
		w.ready = true
		w.Ready()
	}
}

// listing is what is known of a folder's last listing.
type listing struct {
	stamp   dirwatch.Stamp
	settled bool // nothing but a new stamp can have changed it
}

// current says that a folder with this stamp still holds what it held.
func (l *listing) current(now dirwatch.Stamp) bool {
	return l.settled && l.stamp.Changed == now.Changed
}

// begin is called before the folder is listed, with the stamp taken before.
func (l *listing) begin(stamp dirwatch.Stamp) {
	l.stamp, l.settled = stamp, stamp.Settled(time.Now())
}
