package tail

import (
	"bytes"
	"cmp"
	"math"
	"path/filepath"
	"regexp"

	"github.com/leatd/leat/pipeline"
)

// order is how the generations of a target follow each other.
type order struct {
	restart int
	current bool   // it has the name that the runtime writes to
	first   int64  // time of the first record, or of its making
	known   bool   // first is for good
	seq     int    // of discovery
	batch   uint64 // of files that were found at once
}

func (a order) compare(b order) int {
	if a.restart == b.restart && a.current != b.current {
		if a.current {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.restart, b.restart), cmp.Compare(a.first, b.first), cmp.Compare(a.seq, b.seq))
}

// firstTime is the time of a file's first record, or where there is none among its first lines the time when the file was
// made. While it is empty it is not known, and the file comes last.
func firstTime(f *file, readAt func([]byte, int64) (int, error)) (t int64, known bool) {
	if f.raw {
		return f.mtime, true
	}
	var head [1 << 10]byte
	buf := head[:]
	n, err := readAt(buf, 0)
	if err == nil && n > 0 {
		if t, known = timeAmong(buf[:n]); !known && n == len(buf) { // a Docker line has its time at its end
			buf = make([]byte, 64<<10)
			if n, err = readAt(buf, 0); err == nil {
				t, known = timeAmong(buf[:n])
			}
		}
	}
	switch {
	case err != nil || n == 0:
		return math.MaxInt64, false
	case known:
		return t, true
	}
	return cmp.Or(f.key.born, f.mtime), bytes.IndexByte(buf[:n], '\n') >= 0
}

// timeAmong is the time of the first line that has one.
func timeAmong(lines []byte) (t int64, ok bool) {
	var c clock
	var ln line
	for len(lines) > 0 {
		raw, _ := firstLine(lines)
		if c.cri(raw, &ln) || c.docker(raw, &ln) {
			return ln.time, true
		}
		lines = lines[min(len(raw)+1, len(lines)):]
	}
	return 0, false
}

// before places an empty file that has lost its name: what may still come of it is older than what is in the files that
// were found after it.
func before(f *file, files []*file) (first int64) {
	first = math.MaxInt64
	for _, other := range files {
		if other.restart == f.restart && other.order.batch > f.order.batch && other.order.known {
			first = min(first, other.order.first-1)
		}
	}
	return first
}

var currentName = regexp.MustCompile(`^[0-9]+\.log$|-json\.log$`)

// isCurrent tells whether a name is the one that the runtime writes to.
func isCurrent(name string, t *pipeline.Target) bool {
	if t.Raw {
		return name == filepath.Base(t.Path)
	}
	return currentName.MatchString(name)
}
