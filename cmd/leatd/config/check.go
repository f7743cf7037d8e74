package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_.]*$`)

// reserved are the names that leatd itself gives to what it knows of a line; a label of the same name would be a second
// value, and stores refuse that.
var reserved = append([]string{
	"truncated", "unfinished", "log_record_uid", "time", "msg",
	"k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.container.name", "k8s.container.restart_count",
	"k8s.node.name", "log.iostream", "log.file.path", "log.record.uid", "leat.truncated", "leat.unfinished",
}, LokiFields[:]...)

// maxLabelValue is the longest value in bytes that Loki takes with its default limits.
const maxLabelValue = 2048

// reject notes what is wrong with the value of a key, unless something is already.
func (d *decoder) reject(path, format string, args ...any) {
	if d.bad[path] {
		return
	}
	d.problem(d.where(path), path, format, args...)
}

// check looks at what is not a matter of one key's form. It runs on what could be filled in, whatever else is wrong.
func (d *decoder) check(c *Config) {
	if c.Node == "" {
		c.Node = nodeName(d.env)
	}
	if c.State == "" {
		d.reject("state", "must name a folder: leatd keeps there how far it has read")
	}
	d.labels("labels", c.Labels, nil)
	if c.Logs.Pods != "" && !filepath.IsAbs(c.Logs.Pods) {
		d.reject("logs.pods", "must begin with /, or be \"\" to read no containers' logs")
	}
	patterns := func(path string, all []string) {
		for i, p := range all {
			if err := checkPattern(p); err != nil {
				d.reject(fmt.Sprintf("%s[%d]", path, i), "%s", err)
			}
		}
	}
	patterns("logs.include", c.Logs.Include)
	patterns("logs.exclude", c.Logs.Exclude)
	for i, f := range c.Logs.Files {
		path := fmt.Sprintf("logs.files[%d]", i)
		same := func(other File) bool { return other.Path == f.Path }
		if _, err := filepath.Match(f.Path, ""); !filepath.IsAbs(f.Path) || err != nil {
			d.reject(path+".path", "must be a path or a glob that begins with /, such as /var/log/*.log")
		} else if slices.ContainsFunc(c.Logs.Files[:i], same) {
			d.reject(path+".path", "is given twice: a file has one entry, with all its labels")
		}
		d.labels(path+".labels", f.Labels, c.Labels)
	}
	d.checkMetrics(&c.Metrics)
	d.checkTraces(&c.Traces)
	folders := make(map[string]string)
	for i := range c.Sinks {
		d.checkSink(&c.Sinks[i], c, folders)
	}
	if len(d.problems) == 0 { // it adds up what must be good
		d.checkMemory(c)
	}
}

// labels checks labels that the owner gives to lines that have those of base already.
func (d *decoder) labels(path string, labels, base map[string]string) {
	// Stores that know no dots write an underscore instead.
	plain := func(name string) string { return strings.ReplaceAll(name, ".", "_") }
	above, here := make(map[string]string), make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(base)) {
		above[plain(name)] = name
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value, at := labels[name], join(path, name)
		n := d.places[at].key
		if other, taken := here[plain(name)]; taken {
			d.problem(n, at, "some stores write it as %s, and so is %s: rename one", plain(name), other)
		}
		here[plain(name)] = name
		if other, taken := above[plain(name)]; taken && other != name {
			d.problem(n, at, "some stores write it as %s, and so is %s of the labels at the top level: rename one", plain(name), other)
		}
		switch {
		case !labelName.MatchString(name):
			d.problem(n, path, "a label's name has letters, digits, _ and dots, and begins with a letter or _")
		case slices.Contains(reserved, name):
			d.problem(n, at, "leatd gives a label of this name itself: choose another")
		case len(value) > maxLabelValue:
			d.reject(at, "is longer than %d bytes, and stores refuse that", maxLabelValue)
		}
	}
}
