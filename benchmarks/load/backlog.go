package load

import (
	"errors"
	"time"
)

// A Backlog is logs that are complete before an agent starts.
type Backlog struct {
	Files int
	Bytes int64 // of all files together, at least; each file has a line at least
}

// step is the time between two lines of a container, on average.
const step = 137 * time.Microsecond

// Write makes the files below root, and returns their paths as well. Their lines end about now.
func (b Backlog) Write(root string) (sum *Written, paths []string, err error) {
	writers, err := newWriters(root, b.Files, 1<<20, 0)
	if err != nil {
		return nil, nil, err
	}
	each := b.Bytes / int64(b.Files)
	begin := time.Now().Add(-time.Duration(each/150+1) * step)
	for i, w := range writers {
		// No two containers write at the same nanosecond: files that begin alike would be one file for some agents.
		at, n := begin.Add(time.Duration(i)*1009*time.Nanosecond), int64(0)
		for more := true; more || w.RecordBytes() < each; {
			at = at.Add(step + time.Duration(n%97-48)*1009*time.Nanosecond)
			if more, err = w.next(at); err != nil {
				return nil, nil, errors.Join(err, exit(writers))
			}
			n++
		}
		paths = append(paths, w.Path())
	}
	return written(writers), paths, exit(writers)
}
