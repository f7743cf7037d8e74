package tail

import (
	"slices"

	"golang.org/x/sys/unix"
)

// younger is where in what discovery found those files begin that can't be copies of what was read: all of them, but for
// host files at a later look. There they begin behind the last name that leads to a known file, since they were written
// after that was; so nothing is missed where a file was rotated twice between two looks. Where no known file is left
// nothing can be said, and it is the end.
func (l *log) younger(known []*file) int {
	if !l.target.Raw || l.version.Load() == 0 {
		return 0
	}
	for i := len(l.found) - 1; i >= 0; i-- {
		key, _, _, err := inodeOf(unix.AT_FDCWD, l.found[i].Path)
		if err == nil && slices.ContainsFunc(known, func(f *file) bool { return f.key == key }) {
			return i + 1
		}
	}
	return len(l.found)
}
