package container

import (
	"bytes"

	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sys/unix"
)

// A podNetwork is a pod, or a plain Docker container, whose interfaces are to be read.
type podNetwork struct {
	who     *cgroup
	cgroups []*cgroup
	start   float64 // of its youngest container
}

// readNetworks reads the interfaces of each pod, and of each plain Docker container. Of two pods with the same name,
// while one takes the other's place, it is the younger one.
func (s *source) readNetworks() {
	var pods []podNetwork
	at := map[name]int{}
	for rest := s.cgroups; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].uid != "" && rest[n].uid == rest[0].uid {
			n++
		}
		p := podNetwork{who: s.owner(rest[:n]), cgroups: rest[:n]}
		rest = rest[n:]
		if p.who == nil {
			continue
		}
		for _, c := range p.cgroups {
			p.start = max(p.start, c.start)
		}
		key := p.who.name
		if !p.who.docker {
			key.container = ""
		}
		if i, twice := at[key]; !twice {
			at[key] = len(pods)
			pods = append(pods, p)
		} else if pods[i].start < p.start {
			pods[i] = p
		}
	}
	if len(pods) == 0 {
		return
	}
	seen := map[uint64]bool{}
	if _, err := s.netDev(1, seen); err != nil {
		s.fail(failure("find the host's network namespace by", s.procPath(1, "net/dev"), err))
		return
	}
	for _, p := range pods {
		s.readNetwork(p, seen)
	}
}

// owner is whose name a pod's network goes by: that of a container, or the pod's folder of logs if no container runs.
func (s *source) owner(pod []*cgroup) *cgroup {
	for _, c := range pod {
		if c.labels != nil {
			return c
		}
	}
	if of, ok := s.names.byUID[pod[0].uid]; ok {
		return &cgroup{name: of}
	}
	return nil
}

// readNetwork reads the interfaces of one pod through one of its processes: best that of its pause container, which has
// no name, for a container may have made a namespace of its own.
func (s *source) readNetwork(p podNetwork, seen map[uint64]bool) {
	for _, named := range []bool{false, true} {
		for _, c := range p.cgroups {
			if c.labels != nil != named {
				continue
			}
			if !c.shown {
				s.readPids(c)
				s.leave()
			}
			for _, pid := range c.pids {
				switch text, err := s.netDev(pid, seen); {
				case err == nil:
					s.showNetwork(p.who, c, text)
					return
				case !missing(err):
					s.fail(failure("read", s.procPath(pid, "net/dev"), err))
				}
			}
		}
	}
}

// netDev reads the interfaces that a process sees. It is nil for a namespace that was seen before: the host's, or that
// of another Docker container. The kernel makes the files of /proc/PID/net once for each namespace.
func (s *source) netDev(pid int, seen map[uint64]bool) ([]byte, error) {
	fd, err := open(unix.AT_FDCWD, s.procPath(pid, "net/dev"), 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || seen[st.Ino] {
		return nil, err
	}
	var text []byte
	if text, s.buf, err = slurp(fd, s.buf); err == nil {
		seen[st.Ino] = true
	}
	return text, err
}

// showNetwork shows the interfaces, seen by a process in the cgroup by.
func (s *source) showNetwork(who, by *cgroup, text []byte) {
	base := who.labels
	if !who.docker {
		base = s.labelsOf(&cgroup{name: who.name, path: by.path}, "")
	}
	for n, rest, ok := netDev(text); ok; n, rest, ok = netDev(rest) {
		if inner(n.name) || !printable(string(n.name)) {
			continue
		}
		labels := merge(base, []*dto.LabelPair{pair("interface", string(n.name))})
		for i, f := range []family{receivedBytes, receivedPackets, receivedErrors, receivedDropped} {
			s.samples = append(s.samples, sample{f, labels, float64(n.received[i])})
		}
		for i, f := range []family{sentBytes, sentPackets, sentErrors, sentDropped} {
			s.samples = append(s.samples, sample{f, labels, float64(n.sent[i])})
		}
	}
}

// inner says that an interface leads nowhere or to other containers. cAdvisor leaves out the same.
func inner(name []byte) bool {
	for _, prefix := range []string{"lo", "veth", "docker", "nerdctl"} {
		if bytes.HasPrefix(name, []byte(prefix)) {
			return true
		}
	}
	return false
}
