package container

import (
	"math"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// started says when a container was started, in seconds since the epoch; 0 if nothing says so. That is the earliest of
// what its cgroup's folders and its oldest processes say. The kernel forgets a folder's time when it drops the inode,
// and the first process can have ended.
func (s *source) started(c *cgroup) float64 {
	start := math.Inf(1)
	for _, folder := range c.folders {
		for _, name := range []string{"", "/cgroup.clone_children", "/cgroup.events"} {
			var st unix.Stat_t
			if folder != "" && unix.Stat(folder+name, &st) == nil {
				start = min(start, float64(st.Mtim.Sec))
			}
		}
	}
	boot := s.bootTime()
	if _, ok := s.readPids(c); ok && boot > 0 {
		for _, pid := range c.pids {
			if n, ok := startTicks(s.proc(pid, "stat")); ok {
				start = min(start, float64(boot+n/ticks))
			}
		}
	}
	if math.IsInf(start, 1) {
		return 0
	}
	return max(start, float64(boot)) // some kernels show 1970
}

// bootTime is when the machine was started, in seconds since the epoch; 0 if nothing says so.
func (s *source) bootTime() uint64 {
	text, _ := s.absolute(filepath.Join(s.procfs, "stat"))
	for key, n, rest := keyed(text); key != nil; key, n, rest = keyed(rest) {
		if string(key) == "btime" {
			return n
		}
	}
	return 0
}

// proc reads a file of a process. It is nil if the process has ended.
func (s *source) proc(pid int, name string) []byte {
	text, err := s.absolute(s.procPath(pid, name))
	if err != nil && !missing(err) {
		s.fail(failure("read", s.procPath(pid, name), err))
	}
	return text
}

func (s *source) procPath(pid int, name string) string {
	return s.procfs + "/" + strconv.Itoa(pid) + "/" + name
}

func (s *source) absolute(path string) (text []byte, err error) {
	fd, err := open(unix.AT_FDCWD, path, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	text, s.buf, err = slurp(fd, s.buf)
	return text, err
}
