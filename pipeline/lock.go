package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrInUse says that another process has the state folder.
var ErrInUse = errors.New("in use by another leatd")

// LockState takes the state folder for this process, and makes it if it is missing. Two leatd on one folder would send
// every line twice and overwrite each other's cursors, so the second is refused, by ErrInUse. The lock goes with the process,
// however that ends.
func LockState(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			return nil, fmt.Errorf("state: %w: it, or what it should lie in, is a file: set state: (or --state) to a folder", err)
		}
		return nil, fmt.Errorf("state: %w: make the folder writable for leatd, or set state: (or --state) to another one", err)
	}
	path := filepath.Join(dir, "LOCK")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil { // a full or read-only disk still lets us lock a file that is there
		var readable error
		if f, readable = os.Open(path); readable != nil {
			return nil, fmt.Errorf("state: %w: make the folder writable for leatd, or set state: (or --state) to another one", err)
		}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("state: %s is %w (pid %s): stop it, or set state: (or --state) to another folder",
				dir, ErrInUse, cmp.Or(strings.TrimSpace(string(holder)), "unknown"))
		}
		return nil, fmt.Errorf("state: lock %s: %w", path, err)
	}
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for whoever is refused; the lock does not need it
	}
	return func() { f.Close() }, nil
}
