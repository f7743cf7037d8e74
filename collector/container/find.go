package container

import (
	"cmp"
	"path/filepath"

	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sys/unix"
)

// A cgroup is that of a container, or of a pod's pause container.
type cgroup struct {
	path, id string
	uid      string // the pod's; empty for plain Docker
	folders  [controllers]string
	had      [controllers]bool // the folder was there
	round    uint64            // in which it was seen last

	name
	docker  bool // a plain Docker container
	sandbox bool
	image   string
	asked   bool // for the runtime's record
	start   float64
	labels  []*dto.LabelPair // none while it has no name
	cpu     []*dto.LabelPair // the same and the label cpu

	// Of the gathering under way.
	shown bool
	pids  []int // some of its processes
}

// deepest bounds the search for containers: kubelet.slice/kubelet-kubepods.slice/…-burstable.slice/…-pod<uid>.slice has four.
const deepest = 6

// find looks through a folder of the hierarchy and those in it that can hold containers; uid is that of the pod whose
// folder it is in.
func (s *source) find(path, uid string, depth int) {
	full := s.hierarchy.roots[s.hierarchy.walk] + path
	fd, err := open(unix.AT_FDCWD, full, unix.O_DIRECTORY)
	if err != nil {
		if !missing(err) || depth == 0 {
			s.fail(failure("list", full, err))
		}
		return
	}
	type below struct{ path, uid string }
	var todo []below
	err = folders(fd, s.entries, func(name []byte) {
		id, bare, ok := containerID(name)
		pod, isPod := podUID(name)
		switch {
		case ok && (!bare || uid != "" || filepath.Base(path) == "docker"):
			s.found(path, name, id, cmp.Or(pod, uid))
		case isPod && uid == "":
			todo = append(todo, below{path + "/" + string(name), pod})
		case uid == "" && depth < deepest && holds(name, depth == 0):
			todo = append(todo, below{path + "/" + string(name), ""})
		}
	})
	unix.Close(fd)
	if err != nil && !missing(err) {
		s.fail(failure("list", full, err))
	}
	for _, b := range todo {
		s.find(b.path, b.uid, depth+1)
	}
}

// found notes a container's cgroup.
func (s *source) found(folder string, base, id []byte, uid string) {
	path := folder + "/" + string(base)
	c := s.known[path]
	if c == nil {
		c = &cgroup{path: path, id: string(id), uid: uid}
		for i, root := range s.hierarchy.roots {
			if root != "" {
				c.folders[i] = root + path
			}
		}
		s.known[path] = c
	}
	c.round, c.pids, c.shown = s.round, c.pids[:0], false
	s.cgroups = append(s.cgroups, c)
}
