package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var sinkName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$`)

// lokiMaxLabels is how many labels Loki takes with its default limits.
const lokiMaxLabels = 15

// sinks fills the mapping of sinks, each by its type.
func (d *decoder) sinks(n *yaml.Node, path string, v reflect.Value) {
	if !d.is(n, yaml.MappingNode, path) {
		return
	}
	var all Sinks
	d.mapping(n, path, func(key, value *yaml.Node) {
		if !sinkName.MatchString(key.Value) {
			d.hide(value)
			d.problem(key, path, "a sink's name has at most 63 letters, digits, - and _, and begins with a letter or digit")
			return
		}
		at := join(path, key.Value)
		d.places[at] = place{key, value}
		typ := d.typeOf(value)
		s := defaultSink(typ)
		s.Name = key.Value
		switch {
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			d.value(value, reflect.ValueOf(&s).Elem(), at, "")
			return
		case !isNull(value):
			if !d.is(value, yaml.MappingNode, at) {
				return
			}
			d.structure(value, reflect.ValueOf(&s).Elem(), at, typ)
		}
		if _, given := d.places[at+".type"]; !given || s.Type == "" {
			d.problem(key, at, "has no type: add type: loki, otlp, http, remote_write, file or console")
		}
		all = append(all, s)
	})
	slices.SortFunc(all, func(a, b Sink) int { return strings.Compare(a.Name, b.Name) })
	v.Set(reflect.ValueOf(all))
}

// typeOf is the type of a sink, "" if there is none or it is none that leatd knows.
func (d *decoder) typeOf(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "type" && n.Content[i+1].Kind == yaml.ScalarNode {
			typ, _, _ := expand(n.Content[i+1].Value, d.env)
			if slices.Contains(sinkTypes, typ) {
				return typ
			}
		}
	}
	return ""
}

// checkSink checks a sink as a whole. folders are those of the file sinks before it, with their names.
func (d *decoder) checkSink(s *Sink, c *Config, folders map[string]string) {
	path := join("sinks", s.Name)
	if s.MaxRate != 0 && s.MaxRate < KiB {
		d.reject(path+".max_rate", "must be 0 for no limit, or at least 1KiB (a second)")
	}
	switch s.Type {
	case TypeFile:
		if s.SegmentBytes > s.MaxBytes/2 {
			d.reject(path+".segment_bytes", "must be at most half of max_bytes, %s: the oldest file is removed for the newest", s.MaxBytes)
		}
		dir := filepath.Clean(s.Path)
		if s.Path == "" {
			dir = filepath.Join(c.State, "logs")
		}
		if other, taken := folders[dir]; taken {
			d.reject(path+".path", "the sink %s keeps its files in the same folder: give each a path of its own", other)
		}
		folders[dir] = s.Name
	case TypeLoki:
		d.checkLoki(s, c, path)
		fallthrough
	case TypeOTLP, TypeHTTP, TypeRemoteWrite:
		d.checkHTTP(s, path)
		d.checkSignals(s, path)
	}
}

// checkHTTP checks what all sinks have in common that send requests.
func (d *decoder) checkHTTP(s *Sink, path string) {
	_, given := d.places[path+".url"]
	switch u := s.URL.URL; {
	case u == nil && !given:
		d.reject(path, "has no url: add one, such as url: http://HOST:PORT")
	case u == nil:
		d.reject(path+".url", "is empty: write the server's address, such as http://HOST:PORT")
	default:
		d.checkURL(path+".url", u, s.ownPath())
	}
	if known := compressions[s.Type]; known != nil && !slices.Contains(known, s.Compression) {
		d.reject(path+".compression", "must be %s for a sink of type %s", strings.Join(known, " or "), s.Type)
	}
	if n := s.Spool.MaxBytes; n != 0 && n < minSpool {
		d.reject(path+".spool.max_bytes", "must be 0 for no spool, or at least %s", minSpool)
	}
	if n := s.DeadLetter.MaxBytes; n != 0 && n < MiB {
		d.reject(path+".dead_letter.max_bytes", "must be 0 to keep none, or at least 1MiB")
	}
	d.checkClient(path, &s.HTTP, s.Tenant)
}

// logsOnly are the keys that say how logs are sent.
var logsOnly = []string{"max_wait", "max_batch", "max_rate", "max_shards", "record_id", "dead_letter"}

// checkSignals checks what a sink is sent beside logs, or in their place.
func (d *decoder) checkSignals(s *Sink, path string) {
	if s.Type == TypeOTLP {
		known := []string{SignalLogs, SignalMetrics}
		for i, name := range s.Signals {
			at := fmt.Sprintf("%s.signals[%d]", path, i)
			if !slices.Contains(known, name) {
				d.reject(at, "%s", oneOf(name, strings.Join(known, ","), false))
			} else if slices.Contains(s.Signals[:i], name) {
				d.reject(at, "is named twice: remove one")
			}
		}
		if len(s.Signals) == 0 {
			d.reject(path+".signals", "is empty: name logs, metrics or both, or remove the sink")
		}
		if u := s.URL.URL; u != nil && s.TakesLogs() && s.TakesMetrics() && (strings.HasSuffix(u.Path, paths[TypeOTLP]) || strings.HasSuffix(u.Path, otlpMetrics)) {
			d.reject(path+".url", "is the path of one signal, and there are two: leave %s and %s away, they are added", paths[TypeOTLP], otlpMetrics)
		}
	}
	if s.TakesLogs() {
		return
	}
	for _, key := range logsOnly {
		if p, given := d.places[join(path, key)]; given {
			d.problem(p.key, path, "%s is about logs, and this sink takes none: remove it", key)
		}
	}
	if s.Spool.WhenFull != DropOldest {
		if _, given := d.places[path+".spool.when_full"]; given {
			d.reject(path+".spool.when_full", "must be drop_oldest for a sink that takes no logs: metrics can't wait where they are")
		}
		s.Spool.WhenFull = DropOldest
	}
}

// checkLoki checks what Loki would refuse whole requests for.
func (d *decoder) checkLoki(s *Sink, c *Config, path string) {
	if s.MaxBatch > lokiMaxBatch {
		d.reject(path+".max_batch", "must be at most %s: Loki refuses a request of more than 4 MiB", lokiMaxBatch)
	}
	if c.Logs.MaxLine > lokiMaxBatch {
		d.reject("logs.max_line", "must be at most %s where there is a sink of type loki: it refuses a request of more than 4 MiB", lokiMaxBatch)
	}
	if least := (lokiBlock + c.Logs.MaxLine) / 4; s.StreamRate != 0 && s.StreamRate < least {
		d.reject(path+".stream_rate", "must be 0 for no limit, or at least %s (a second), a quarter of 256KiB and max_line: a block of lines must pass", least)
	}
	own := c.OwnLabels()
	known := slices.Concat(LokiFields[:], own)
	seen := make(map[string]string)
	fields := func(key string, names []string) {
		for i, name := range names {
			at := fmt.Sprintf("%s.%s[%d]", path, key, i)
			switch {
			case !slices.Contains(known, name):
				d.reject(at, "%s", oneOf(name, strings.Join(known, ","), false))
			case seen[name] != "":
				d.reject(at, "is named twice: it is in %s already", seen[name])
			case key == "labels" && name == "restart_count":
				d.reject(at, "would begin a new stream at every restart: put it under structured_metadata")
			}
			seen[name] = key
		}
	}
	fields("labels", s.Labels)
	fields("structured_metadata", s.StructuredMetadata)
	if s.Labels == nil {
		if n := 5 + len(own); n > lokiMaxLabels {
			d.reject(path, "would send %d labels, and Loki takes %d: name those that matter with labels, and others with structured_metadata", n, lokiMaxLabels)
		}
		return
	}
	if len(s.Labels) > lokiMaxLabels {
		d.reject(path+".labels", "has %d names, and Loki takes %d: move some to structured_metadata", len(s.Labels), lokiMaxLabels)
	}
	if err := someLabel(s.Labels, c); err != nil {
		d.reject(path+".labels", "%s", err)
	}
}

// someLabel makes sure that no line is without any label: Loki answers 204 to those, and drops them.
func someLabel(labels []string, c *Config) error {
	has := func(names ...string) bool {
		return slices.ContainsFunc(labels, func(l string) bool { return slices.Contains(names, l) || c.Labels[l] != "" })
	}
	if c.Logs.Pods != "" && !has("node_name", "namespace", "pod", "container", "pod_uid", "stream") {
		return errors.New("containers' lines would have no label, and Loki silently drops those: add namespace or node_name")
	}
	if len(c.Logs.Files) > 0 && !has("node_name", "filename") {
		return errors.New("host files' lines would have no label, and Loki silently drops those: add filename or node_name")
	}
	return nil
}
