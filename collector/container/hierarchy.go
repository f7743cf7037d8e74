package container

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A controller is one thing that cgroups do.
type controller int

// Under cgroup v1 each controller has a hierarchy of folders of its own. In the order in which one of them is chosen to
// be looked through for containers.
const (
	memoryV1 controller = iota
	cpuV1
	cpuacctV1
	pidsV1
	blkioV1
	unified // all of them under v2, in a hybrid what no v1 hierarchy has taken
	controllers
)

var mountedAs = [controllers][]string{
	memoryV1:  {"memory"},
	cpuV1:     {"cpu", "cpu,cpuacct", "cpuacct,cpu"},
	cpuacctV1: {"cpuacct", "cpu,cpuacct", "cpuacct,cpu"},
	pidsV1:    {"pids"},
	blkioV1:   {"blkio"},
	unified:   {"unified"},
}

// hierarchies are the folders in which the kernel shows its cgroups, by controller; empty for what is not there.
type hierarchies struct {
	v2    bool
	roots [controllers]string
	walk  controller // where to look for containers
}

// findHierarchies looks where systemd and everybody else mounts cgroups, under /sys/fs/cgroup.
func findHierarchies(sysfs string) (h hierarchies, err error) {
	top := filepath.Join(sysfs, "fs/cgroup")
	var st unix.Stat_t
	switch err := unix.Stat(filepath.Join(top, "cgroup.controllers"), &st); {
	case err == nil:
		h.v2, h.walk, h.roots[unified] = true, unified, top
		return h, nil
	case err != unix.ENOENT:
		return h, failure("find cgroups in", top, err)
	}
	h.walk = controllers
	for c := range controllers {
		for _, name := range mountedAs[c] {
			path := filepath.Join(top, name)
			if unix.Stat(path, &st) == nil {
				h.roots[c], h.walk = path, min(h.walk, c)
				break
			}
		}
	}
	if h.walk == controllers {
		return h, failure("find cgroups in", top, unix.ENOENT)
	}
	return h, nil
}
