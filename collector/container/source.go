package container

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A source reads everything once for each Update. It is a cutoff.Source.
type source struct {
	procfs, sysfs, rootfs string
	withID, withImage     bool
	privatePIDs           bool // see PrivatePIDs

	names names
	known map[string]*cgroup // by path

	// Of the gathering under way.
	round     uint64
	hierarchy hierarchies
	cgroups   []*cgroup // as found: those of one pod follow each other
	samples   []sample
	devices   map[device]*blockDevice
	failed    error // the first that could not be read
	failures  int

	reading
	buf     []byte // for a file
	entries []byte // for a folder
}

func newSource(o Options) *source {
	root := cmp.Or(o.RootFS, "/")
	return &source{
		procfs: cmp.Or(o.ProcFS, "/proc"), sysfs: cmp.Or(o.SysFS, "/sys"), rootfs: root,
		withID: o.ID, withImage: o.Image, privatePIDs: PrivatePIDs(o.ProcFS),
		names: namesBeside(cmp.Or(o.Pods, filepath.Join(root, "var/log/pods"))),
		known: map[string]*cgroup{}, devices: map[device]*blockDevice{},
		reading: reading{folder: -1}, entries: make([]byte, 16<<10),
	}
}

// Update reads everything once, and shows what could be read. The error is the first thing that could not.
func (s *source) Update(ch chan<- prometheus.Metric) error {
	now := time.Now()
	s.round++
	s.cgroups, s.failed, s.failures = s.cgroups[:0], nil, 0
	s.samples = make([]sample, 0, len(s.samples)+64) // the last ones belong to those they were shown to
	clear(s.devices)
	if cap(s.buf) > maxKept {
		s.buf = nil
	}
	var err error
	if s.hierarchy, err = findHierarchies(s.sysfs); err != nil {
		return err
	}
	s.find("", "", 0)
	for path, c := range s.known {
		if c.round != s.round {
			delete(s.known, path)
		}
	}
	s.identify(now)
	for _, c := range s.cgroups {
		if c.shown {
			s.read(c, now)
		}
	}
	s.leave()
	if !s.privatePIDs {
		s.readNetworks()
	}
	for i := range s.samples {
		ch <- &s.samples[i]
	}
	if s.failures > 1 {
		return fmt.Errorf("%w; and %d more could not be read", s.failed, s.failures-1)
	}
	return s.failed
}

// fail remembers what could not be read.
func (s *source) fail(err error) {
	if s.failures++; s.failures == 1 {
		s.failed = err
	}
}

func failure(what, path string, err error) error {
	hint := "look for the mount of the host's folder and the rights of leatd's user"
	if errors.Is(err, errTooLarge) {
		hint = "it was left out"
	}
	return fmt.Errorf("containers: %s %s: %w: %s", what, path, err, hint)
}
