package pipeline

import (
	"strconv"
	"strings"
)

// A Target is one container's log, or one host file, over all its files: whose lines they are.
// It is immutable once discovery has made it and is shared by all lanes.
type Target struct {
	// Key names the target on this node and in saved state: "NAMESPACE_POD_UID/CONTAINER" for a container,
	// the path for a host file. It never changes and is never used twice.
	Key string

	// Namespace, Pod, UID and Container are set for a container's log and empty for a host file.
	Namespace, Pod, UID, Container string

	// Path is the host file's path; empty for a container's log.
	Path string

	// Labels are the owner's own, sorted by name: those of the whole configuration and those of the file.
	Labels []Label

	// Node is the node's name, the same in all targets.
	Node string

	// Raw marks a file whose lines carry no format of a container runtime: each line is a body as it is.
	Raw bool
}

// targetOf makes a target of a key alone, for the ledger: its log is gone.
func targetOf(key string) *Target {
	t := &Target{Key: key}
	name, container, ok := strings.Cut(key, "/")
	parts := strings.Split(name, "_")
	if !ok || len(parts) != 3 {
		t.Path, t.Raw = key, true
		return t
	}
	t.Namespace, t.Pod, t.UID, t.Container = parts[0], parts[1], parts[2], container
	return t
}

// A Label is one name with its value.
type Label struct{ Name, Value string }

// A LogFile is one file of a target as discovery found it in its folder.
type LogFile struct {
	Path    string // where to open it
	Name    string // base name, "0.log.20260102-030405"
	Restart int    // the number before ".log"; 0 for a host file
	Gzip    bool   // the name ends in ".gz"
}

// A GenerationID tells one file of a target from every other that the target ever had, whatever it is called and
// wherever its bytes lie: the restart number and a hash of the first line (at most 256 bytes).
type GenerationID struct {
	Restart int
	Hash    uint64
}

// String is the form of saved state, "RESTART-HASH" with the hash in 16 hexadecimal digits.
func (id GenerationID) String() string {
	b := strconv.AppendInt(make([]byte, 0, 24), int64(id.Restart), 10)
	return string(appendHex16(append(b, '-'), id.Hash))
}

func appendHex16(b []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}
