package dirwatch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is the kernel's own bound on the links of one path.
const maxLinks = 40

// Resolve follows every link in path, which is absolute, as a process would whose root folder is root: a link to
// /var/lib/x leads to root/var/lib/x, and .. does not lead out. A path that does not lie beneath root (a folder mounted
// elsewhere) is walked from "/" until a link takes it beneath root. The last part need not exist: then the
// path where it would be comes with an error for which Gone is true. Other errors come with an empty path.
func Resolve(root, path string) (string, error) {
	at, rest, err := walk(root, path)
	if err != nil && (rest || !Gone(err)) {
		return "", err
	}
	return at, err
}

// Ancestor is for a folder that is not there yet: the deepest folder above path that is, with its links followed
// beneath root, and the name in it that has to come first. For a path that is there it returns that and no name.
func Ancestor(root, path string) (dir, missing string, err error) {
	at, _, err := walk(root, path)
	switch {
	case err == nil:
		return at, "", nil
	case Gone(err):
		dir, missing = filepath.Dir(at), filepath.Base(at)
		for dir != "/" { // root itself need not be there
			if _, err := StampOf(dir); !Gone(err) {
				break
			}
			dir, missing = filepath.Dir(dir), filepath.Base(dir)
		}
		return dir, missing, nil
	}
	return "", "", err
}

// walk goes as far as it gets. With an error, at is the path that it met it at, and rest says that more was to come.
func walk(root, path string) (at string, rest bool, err error) {
	root, path = filepath.Clean(root), filepath.Clean(path)
	top, todo := "/", path
	if under, ok := beneath(root, path); ok {
		top, todo = root, under
	}
	at, links := top, 0
	for todo != "" {
		var part string
		part, todo, _ = strings.Cut(strings.TrimLeft(todo, "/"), "/")
		switch part {
		case "", ".":
			continue
		case "..":
			if at != top {
				at = filepath.Dir(at)
			}
			continue
		}
		next := filepath.Join(at, part)
		stamp, err := StampOf(next)
		if err != nil {
			return next, strings.Trim(todo, "/") != "", err
		}
		if !stamp.IsLink() {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return next, true, fmt.Errorf("link: %s: %w", path, unix.ELOOP)
		}
		to, err := os.Readlink(next)
		if err != nil {
			return next, true, err
		}
		todo = to + "/" + todo
		if filepath.IsAbs(to) {
			top, at = root, root
		}
	}
	return at, false, nil
}

// beneath returns path without root, if it lies there.
func beneath(root, path string) (string, bool) {
	if root == "/" {
		return path, true
	}
	rest, ok := strings.CutPrefix(path, root)
	return rest, ok && (rest == "" || rest[0] == '/')
}
