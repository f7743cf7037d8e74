package kubetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A folder holds everything of a node on disk. It is locked for as long as its owner lives.
type folder struct {
	path string
	lock *os.File
}

func newFolder() (*folder, error) {
	path, err := os.MkdirTemp("", prefix)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o755); err != nil { // pods of any uid pass through it
		return nil, err
	}
	lock, err := lockFolder(path, os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	return &folder{path, lock}, nil
}

// errHeld means that another process holds the lock.
var errHeld = errors.New("held by a running process")

func lockFolder(path string, flags int) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errHeld
		}
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return lock, nil
}

// remove removes the folder and the cgroup of the same name. The node has ended, and with it its mounts.
func (f *folder) remove() error {
	err := removeCgroup(filepath.Base(f.path))
	if os.Getenv("LEAT_KUBETEST_KEEP") == "" {
		err = errors.Join(err, os.RemoveAll(f.path))
	} else {
		fmt.Fprintln(os.Stderr, "kubetest: kept", f.path, "(the next run removes it)")
	}
	return errors.Join(err, f.lock.Close())
}

// removeLeftovers removes what runs have left that were killed.
func removeLeftovers() error {
	paths, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		lock, err := lockFolder(path, 0)
		if errors.Is(err, errHeld) || errors.Is(err, os.ErrNotExist) {
			continue // it is in use, or not one of ours
		}
		if err != nil {
			return err
		}
		f := folder{path, lock}
		if err := f.remove(); err != nil {
			return fmt.Errorf("remove what an earlier run has left: %w", err)
		}
	}
	return nil
}
