package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Config is the whole of leatd's configuration, every default filled in.
type Config struct {
	// Node is the name of this node, on everything that leaves it.
	Node string `yaml:"node"`

	// Labels are the owner's own, on everything that leaves the node.
	Labels map[string]string `yaml:"labels"`

	// State is the folder of cursors. A relative path counts from the working directory.
	State string `yaml:"state"`

	// MemoryLimit is what GOMEMLIMIT is set to, and what bounds the lanes' blocks. Where it is not given, the cgroup may
	// ask for less.
	MemoryLimit Size `yaml:"memory_limit" range:"32MiB,1TiB"`
	memoryGiven bool

	Logs    Logs    `yaml:"logs"`
	Metrics Metrics `yaml:"metrics"`
	Traces  Traces  `yaml:"traces"`

	// Sinks are sorted by name; there is at least one where logs are read.
	Sinks Sinks `yaml:"sinks"`
}

// Logs says which logs are read, and how.
type Logs struct {
	// Pods is the folder where the kubelet keeps the logs of containers; empty: none are read.
	Pods string `yaml:"pods"`

	// Start is StartBeginning or StartEnd: where files begin to be read that are there when a sink runs for the first
	// time. Records older than StartMaxAge are then left out.
	Start       string        `yaml:"start" oneof:"beginning,end"`
	StartMaxAge time.Duration `yaml:"start_max_age" range:"1s,100y"`

	// MaxLine is how much of a line is kept.
	MaxLine Size `yaml:"max_line" range:"1KiB,16MiB"`

	// HoldMaxBytes and HoldMaxAge bound what is held open of files that were deleted before every sink had them.
	HoldMaxBytes Size          `yaml:"hold_max_bytes" range:"0,1PiB"`
	HoldMaxAge   time.Duration `yaml:"hold_max_age" range:"0s,100y"`

	// Include and Exclude are patterns of containers; see Wants.
	Include []string `yaml:"include"`
	Exclude []string `yaml:"exclude"`

	// Files are host files.
	Files []File `yaml:"files"`
}

// Where the files are begun that are there at the first run.
const (
	StartBeginning = "beginning"
	StartEnd       = "end"
)

// A File is one glob of host files, and what labels their lines carry beside those of the whole configuration.
type File struct {
	Path   string            `yaml:"path"`
	Labels map[string]string `yaml:"labels"`
}

// DefaultPods is where the kubelet keeps the logs of containers.
const DefaultPods = "/var/log/pods"

// LocalSink is the name of the sink that leatd makes up where none is configured.
const LocalSink = "local"

// Default is the configuration of a leatd without a file: the node's container logs, kept in a folder on the node.
// The node's name is NODE_NAME of env, else the hostname.
func Default(env func(name string) (value string, ok bool)) *Config {
	c := &Config{
		Node:        nodeName(env),
		State:       "/var/lib/leat",
		MemoryLimit: 64 * MiB,
		Logs: Logs{
			Pods:        DefaultPods,
			Start:       StartBeginning,
			StartMaxAge: 24 * time.Hour,
			MaxLine:     256 * KiB,

			HoldMaxBytes: GiB,
			HoldMaxAge:   24 * time.Hour,
		},
		Metrics: defaultMetrics(),
		Traces:  defaultTraces(),
	}
	c.fill()
	return c
}

func nodeName(env func(string) (string, bool)) string {
	if name, ok := env("NODE_NAME"); ok && name != "" {
		return name
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "unknown"
}

// fill adds what follows from other keys.
func (c *Config) fill() {
	if len(c.Sinks) == 0 && c.ReadsLogs() {
		s := defaultSink(TypeFile)
		s.Name = LocalSink
		c.Sinks = Sinks{s}
	}
	for i := range c.Sinks {
		if s := &c.Sinks[i]; s.Type == TypeFile && s.Path == "" {
			s.Path, s.inState = filepath.Join(c.State, "logs"), true
		}
	}
}

// ReadsLogs tells that there is a place where logs are looked for.
func (c *Config) ReadsLogs() bool { return c.Logs.Pods != "" || len(c.Logs.Files) > 0 }

// MemoryGiven tells that MemoryLimit is the owner's word and not the default.
func (c *Config) MemoryGiven() bool { return c.memoryGiven }

// SetState moves the state folder, and the folders of file sinks that lie in it for want of a path of their own.
func (c *Config) SetState(dir string) {
	c.State = dir
	for i := range c.Sinks {
		if s := &c.Sinks[i]; s.inState {
			s.Path = filepath.Join(dir, "logs")
		}
	}
}

// String is a short account of the configuration, without secrets.
func (c *Config) String() string {
	return fmt.Sprintf("node %s, state %s, sinks %v", c.Node, c.State, []Sink(c.Sinks))
}

// OwnLabels are the names of all labels that the owner gave, sorted.
func (c *Config) OwnLabels() []string {
	var names []string
	add := func(labels map[string]string) {
		for name := range labels {
			names = append(names, name)
		}
	}
	add(c.Labels)
	for _, f := range c.Logs.Files {
		add(f.Labels)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
