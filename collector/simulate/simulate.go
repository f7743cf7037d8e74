// Package simulate plays the writers of a node's container logs: containerd and the kubelet, or Docker. It makes the
// files that collectors have to read, byte for byte and step for step as those do, in a folder that stands for
// /var/log/pods. The demo, the end-to-end tests and the load of the benchmarks stand on it.
//
// What is played, as measured on a node with kubelet 1.34 and containerd 1.6:
//
//   - A record is "TIME STREAM P|F MESSAGE". The time is RFC 3339 in UTC with its trailing zeros trimmed, so its width
//     varies. A line beyond 16384 bytes is written in parts of exactly that many, each marked P, and a rest marked F.
//     A carriage return before the newline goes, as containerd drops it. Standard output and error share the file.
//   - A rotation deletes the oldest .gz, gzips the previous rotated file (into .tmp, then renames it to .gz, then
//     deletes the plain one), renames N.log to N.log.YYYYMMDD-HHMMSS, creates the new N.log, and only then closes the
//     old file: until then lines still go to it. A line that is unfinished at that moment leaves a short P at the end
//     of the old file; its rest goes to the new one and ends in F.
//   - A container that exits without a newline leaves a P and never an F. When restart N exits, all files of N-1 go.
//   - Docker writes {"log":…,"stream":…,"time":…}; a part of 16384 bytes has no "\n" in its log. It rotates beside the
//     link's target: ID-json.log to .1, .1 to .2; the link in the pod's folder stays. It closes before it renames, so
//     no line is late. With one file only it truncates.
//
// One thing differs from the kubelet, which rotates a file at most once in some seconds: the second file that a log
// leaves within one second has "-001" added to its name, and so on, so that fast tests lose nothing. Readers must not
// care.
//
// There is no clock here: a line carries the time that its writer gives, and Node.Now names the rotated files. So two
// runs with the same lines and times make the same files. A Container may be used by several goroutines; each line is
// whole, and a rotation does not stop them from writing.
//
// Next to the writer stand Lines, which makes up realistic lines with a sequence number in them, and Verifier, which
// checks by those numbers that every line arrived, once and in order.
package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// PartSize is how many bytes of a line both runtimes write at most in one record.
const PartSize = 16384

// A Stream is one of a container's two outputs.
type Stream uint8

const (
	Stdout Stream = iota
	Stderr
)

func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// A Format is how a runtime writes a line down.
type Format uint8

const (
	CRI    Format = iota // containerd
	Docker               // Docker's json-file driver
)

// A Node is a folder that plays the node's /var/log/pods.
type Node struct {
	// Root is the folder; it is made when the first container starts.
	Root string

	// Docker is where Docker's own folders of containers lie. The default is Root with "-docker" added.
	Docker string

	// Now names rotated files; in local time, as the kubelet does. The default is time.Now.
	Now func() time.Time

	// OnEvent, if set, is told what happens to files and containers, in order for each container. It must not call
	// the container's methods other than Spec and Key.
	OnEvent func(Event)
}

// An Event is something that happened to a container or its files.
type Event struct {
	Kind      EventKind
	Container *Container
	File      string // the base name that the file has now; empty for Exited and Deleted
	Late      int    // with Reopened: records that went to the old file after it was renamed
}

// An EventKind says what happened.
type EventKind uint8

const (
	Started  EventKind = iota // a log file N.log appeared, of restart N
	Rotated                   // the log was renamed
	Gzipped                   // an older file was compressed
	Removed                   // the oldest file was deleted
	Reopened                  // the new file is written to from now on
	Exited                    // the container ended
	Deleted                   // the container's folder is gone
)

// A Spec says what container to play.
type Spec struct {
	Namespace, Pod, Name string

	// UID is the pod's; if empty it is made of the namespace and the pod's name, in the usual form.
	UID string

	Format Format

	// MaxSize is the size in bytes at which a log is rotated, before the line that follows. 0: only by Rotate.
	MaxSize int64

	// MaxFiles is how many files are kept, the current one included; the default is 5, the kubelet's.
	MaxFiles int

	// Late is how many lines still go to the old file when it is rotated by MaxSize: half of them before the new
	// file is there, half of them after. Docker has no late lines.
	Late int

	// Buffer is how many bytes are gathered before they are written; the load of a benchmark wants 1 MiB. With 0
	// each record is one write(2), as containerd does it. Flush, a rotation and the end write what is left.
	Buffer int
}

// Key is the container's: "NAMESPACE_POD_UID/CONTAINER", as in pipeline.Target.Key.
func (s Spec) Key() string { return s.Namespace + "_" + s.Pod + "_" + s.uid() + "/" + s.Name }

func (s Spec) uid() string {
	if s.UID != "" {
		return s.UID
	}
	h := hash(s.Namespace, s.Pod)
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:32])
}

// Start makes the container's folder and its first log.
func (n *Node) Start(spec Spec) (*Container, error) {
	switch {
	case spec.Namespace == "" || spec.Pod == "" || spec.Name == "":
		return nil, fmt.Errorf("simulate: container %q: namespace, pod and name must be given", spec.Name)
	case spec.MaxFiles < 0 || spec.Format == CRI && spec.MaxFiles == 1:
		return nil, fmt.Errorf("simulate: container %q: %d files: the kubelet keeps two at least", spec.Name, spec.MaxFiles)
	}
	spec.UID = spec.uid()
	if spec.MaxFiles == 0 {
		spec.MaxFiles = 5
	}
	c := &Container{node: n, spec: spec, key: spec.Key()}
	if err := os.MkdirAll(c.dir(), 0o750); err != nil {
		return nil, fmt.Errorf("simulate: folder of a container: %w", err)
	}
	if err := c.begin(0); err != nil {
		return nil, err
	}
	return c, nil
}

func (n *Node) now() time.Time {
	if n.Now != nil {
		return n.Now()
	}
	return time.Now()
}

func (n *Node) dockerRoot() string {
	if n.Docker != "" {
		return n.Docker
	}
	return filepath.Clean(n.Root) + "-docker"
}

// hash is 64 hexadecimal digits, the form of a container's id, that depend on the words alone.
func hash(words ...string) string {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s,", len(w), w)
	}
	return hex.EncodeToString(h.Sum(nil))
}
