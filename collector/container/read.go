package container

import (
	"bytes"
	"errors"
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sys/unix"
)

// reading is the container that is read, and the folder of its that is open.
type reading struct {
	of     *cgroup
	in     controller
	folder int // -1: none
	gone   bool
	labels []*dto.LabelPair
}

// enter opens the container's folder of one controller, unless it is open. It returns false if there is none.
func (s *source) enter(c *cgroup, in controller) bool {
	if s.folder >= 0 && s.of == c && s.in == in {
		return true
	}
	s.leave()
	path := c.folders[in]
	if path == "" {
		return false
	}
	fd, err := open(unix.AT_FDCWD, path, unix.O_DIRECTORY)
	switch {
	case err == nil:
		s.of, s.in, s.folder, c.had[in] = c, in, fd, true
		return true
	case !missing(err):
		s.fail(failure("open", path, err))
	case c.had[in] || in == s.hierarchy.walk:
		s.gone = true
	}
	return false
}

func (s *source) leave() {
	if s.folder >= 0 {
		unix.Close(s.folder)
	}
	s.folder = -1
}

// file reads a file of the folder that is open. It is nil if this kernel has none, or has it switched off.
func (s *source) file(name string) []byte {
	fd, err := open(s.folder, name, 0)
	var text []byte
	if err == nil {
		text, s.buf, err = slurp(fd, s.buf)
		unix.Close(fd)
	}
	switch {
	case err == nil:
		return text
	case errors.Is(err, unix.ENODEV):
		s.gone = true
	case !missing(err) && !errors.Is(err, unix.EOPNOTSUPP):
		s.fail(failure("read", s.of.folders[s.in]+"/"+name, err))
	}
	return nil
}

// value reads a file that holds one number. "max" is the largest.
func (s *source) value(name string) (n uint64, ok bool) {
	text := s.file(name)
	if n, ok = number(text); !ok && string(bytes.TrimSpace(text)) == "max" {
		return math.MaxUint64, true
	}
	return n, ok
}

func (s *source) show(f family, v float64) {
	s.samples = append(s.samples, sample{f, s.labels, v})
}

// showFile shows the number in a file.
func (s *source) showFile(f family, name string) {
	if n, ok := s.value(name); ok {
		s.show(f, float64(n))
	}
}

// noLimit is what a limit is that is none: cgroup v1 has the largest multiple of a page that fits 63 bits, and programs
// write other numbers of that size. cAdvisor has the same bound.
const noLimit = 1 << 62

// showLimit shows the limit in a file; 0 where there is none.
func (s *source) showLimit(f family, name string) {
	if n, ok := s.value(name); ok && n <= noLimit {
		s.show(f, float64(n))
	} else if ok {
		s.show(f, 0)
	}
}

// read reads a container's figures. If it ends meanwhile none of them are shown.
func (s *source) read(c *cgroup, now time.Time) {
	before := len(s.samples)
	s.gone, s.labels = false, c.labels
	s.show(lastSeen, float64(now.Unix()))
	if c.start > 0 {
		s.show(startTime, c.start)
	}
	if s.enter(c, memoryV1) {
		s.readMemoryV1()
	} else if s.enter(c, unified) {
		s.readMemory()
	}
	if s.enter(c, cpuacctV1) {
		s.readUsageV1(c)
	}
	if s.enter(c, cpuV1) {
		s.readCPUV1()
	}
	if s.enter(c, unified) {
		if !c.had[cpuacctV1] || !c.had[cpuV1] {
			s.readCPU(c)
		}
		s.readPressure("cpu.pressure", cpuWaiting, cpuStalled)
		s.readPressure("memory.pressure", memoryWaiting, memoryStalled)
		s.readPressure("io.pressure", ioWaiting, ioStalled)
	}
	if s.enter(c, blkioV1) {
		s.readIOV1()
	} else if s.enter(c, unified) {
		s.readIO()
	}
	if s.enter(c, pidsV1) || s.enter(c, unified) {
		s.showFile(threads, "pids.current")
		s.showLimit(threadsMax, "pids.max")
	}
	if n, ok := s.readPids(c); ok {
		s.show(processes, float64(n))
	}
	if s.gone {
		s.samples, c.shown = s.samples[:before], false
	}
}

// readPids counts the container's processes and notes some of them.
func (s *source) readPids(c *cgroup) (count int, ok bool) {
	if s.privatePIDs && s.hierarchy.walk != unified || !s.enter(c, s.hierarchy.walk) { // v1 leaves out what we can't see
		return 0, false
	}
	text := s.file("cgroup.procs")
	if c.pids == nil {
		c.pids = make([]int, 0, 8)
	}
	var hidden bool
	count, c.pids, hidden = pids(text, c.pids[:0])
	if hidden && len(c.pids) == 0 && !s.privatePIDs { // of that it was said at the start
		s.fail(failure("read", c.folders[s.in]+"/cgroup.procs", errHidden))
	}
	return count, text != nil
}

var errHidden = errors.New("the processes are in another PID namespace, so the pod's network cannot be read: leatd needs the host's (hostPID: true)")

// readPressure reads a pressure file, in microseconds.
func (s *source) readPressure(name string, waiting, stalled family) {
	some, full, hasSome, hasFull := pressure(s.file(name))
	if hasSome {
		s.show(waiting, float64(some)/1e6)
	}
	if hasFull {
		s.show(stalled, float64(full)/1e6)
	}
}

// showWorkingSet shows what is in use less the page cache that can be dropped at once.
func (s *source) showWorkingSet(usage, inactive uint64) {
	s.show(memoryUsage, float64(usage))
	s.show(memoryWorkingSet, float64(usage-min(usage, inactive)))
}
