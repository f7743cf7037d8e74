package container

import (
	"cmp"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// identify gives names to those that have none yet, and decides who is shown.
func (s *source) identify(now time.Time) {
	unnamed := func(c *cgroup) bool { return c.labels == nil && !c.sandbox }
	if slices.ContainsFunc(s.cgroups, unnamed) {
		if err := s.names.refresh(now); err != nil {
			s.fail(err)
		}
	}
	young := map[name]*cgroup{}
	for _, c := range s.cgroups {
		if unnamed(c) {
			s.identifyOne(c)
		}
		if c.labels == nil {
			continue
		}
		if c.start == 0 {
			c.start = s.started(c)
		}
		if c.shown = true; s.withID {
			continue
		}
		if other := young[c.name]; other != nil {
			if other.start > c.start {
				c.shown = false
				continue
			}
			other.shown = false
		}
		young[c.name] = c
	}
}

func (s *source) identifyOne(c *cgroup) {
	who, linked := s.names.byID[c.id]
	var r record
	if !c.asked && (!linked || s.withImage) {
		r, s.buf = findRecord(s.rootfs, c.id, s.buf)
		c.asked, c.sandbox, c.image = true, r.sandbox, r.image
	}
	switch {
	case r.sandbox:
		return
	case linked:
		c.name = who
	case c.uid != "" && r.namespace != "" && r.pod != "" && r.container != "":
		c.name = r.name
	case c.uid == "":
		c.docker, c.name = true, name{container: cmp.Or(r.container, c.id[:12])}
	default:
		return
	}
	c.labels = s.labelsOf(c, c.container)
	c.cpu = merge(c.labels, []*dto.LabelPair{pair("cpu", "total")})
}

// labelsOf makes a container's labels, or with no container those of its pod.
func (s *source) labelsOf(c *cgroup, container string) (labels []*dto.LabelPair) {
	add := func(name, value string) {
		if value != "" {
			labels = append(labels, pair(name, value))
		}
	}
	add("container", container)
	if s.withID {
		add("id", strings.ToValidUTF8(c.path, "?"))
	}
	if s.withImage && container != "" {
		add("image", c.image)
	}
	if c.docker {
		add("name", container)
	}
	add("namespace", c.namespace)
	add("pod", c.pod)
	return labels
}
