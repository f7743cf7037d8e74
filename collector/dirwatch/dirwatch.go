// Package dirwatch is what discovery needs of folders: to be told at once when a name appears in one or leaves it, to
// see cheaply that nothing changed, and to follow links beneath the node's root.
//
// # Watching
//
// A Watcher is one inotify instance, used by one goroutine, its owner's. Wait gives the events of everything that one
// read finds, so a storm becomes a few passes. It watches folders only, and of their events only those of names: created,
// moved in, moved out, deleted, and the folder's own end. Writing to a file in the folder is not among them, which is
// why this is not fsnotify: that always asks for IN_MODIFY, and a container runtime writes once a line. 100,000 lines
// written to two files in turn were 100,002 events of fsnotify 1.10.1 and 330 ms of its CPU, and the writer itself took
// 323 ms instead of 186; here they are 2 events and 1 ms.
//
// # What may be missed
//
// Nothing of a folder whose watch was added before it was listed, except after an Overflow event, when the kernel's
// queue was full and the owner must look at everything. Where a watch cannot be had (the kernel's limits, or no inotify
// at all), Err says why and what to raise: the owner then looks at its folders more often, by their Stamps, and calls
// Retry to try again. A Watcher never fails as a whole.
//
// # Owner
//
// All methods are for the owner's goroutine; there is no lock and no goroutine. The runtime's poller waits for the
// descriptor. Close ends everything.
package dirwatch

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// mask is the events that matter. IN_MODIFY, IN_ATTRIB and IN_CLOSE_WRITE are left out on purpose.
const mask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW

// retryAfter is how long a limit that was met is believed.
const retryAfter = 10 * time.Second

// A Watcher watches folders. T is what the owner wants to find in an event: whose folder it is.
type Watcher[T any] struct {
	fd      int
	file    *os.File // nil while inotify cannot be had
	buf     []byte
	events  []Event[T]
	watches map[int32][]*Watch[T] // one inode has one number in the kernel, and any number of owners here

	err     error // why some folder is not watched
	retryAt time.Time
}

// A Watch is one owner's interest in one folder.
type Watch[T any] struct {
	owner T
	wd    int32
	dead  bool
	ended bool
}

// Alive says that the folder is watched. It is false for nil, after Remove, and after inotify was lost.
func (w *Watch[T]) Alive() bool { return w != nil && !w.dead }

// Ended says that the kernel ended the watch: the folder that it was put on is gone, whatever has its name now.
func (w *Watch[T]) Ended() bool { return w != nil && w.ended }

// New makes a Watcher. Where inotify cannot be had it still waits, and Err says why it sees nothing.
func New[T any]() *Watcher[T] {
	w := &Watcher[T]{buf: make([]byte, 64<<10), watches: make(map[int32][]*Watch[T])}
	w.open()
	return w
}

func (w *Watcher[T]) open() {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		w.fail(initError(err))
		return
	}
	w.fd, w.file = fd, os.NewFile(uintptr(fd), "inotify")
}

func (w *Watcher[T]) fail(err error) { w.err, w.retryAt = err, time.Now().Add(retryAfter) }

func initError(err error) error {
	if errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("inotify: no instance left: %w: raise the sysctl fs.inotify.max_user_instances, or the limit of open files", err)
	}
	return fmt.Errorf("inotify: cannot be had here: %w", err)
}

func addError(err error, watched int) error {
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("inotify: no watch left after %d of this process: %w: raise the sysctl fs.inotify.max_user_watches", watched, err)
	}
	return fmt.Errorf("inotify: no watch left: %w", err)
}

// Add watches the folder at path, which must be a folder and no link, and names owner in its events. Add the watch
// first and list the folder then, and nothing is missed between. An error that is the kernel's limit stays in Err until
// Retry; any other (no such folder, not a folder) concerns this path alone.
func (w *Watcher[T]) Add(path string, owner T) (*Watch[T], error) {
	if w.err != nil {
		return nil, w.err
	}
	n, err := unix.InotifyAddWatch(w.fd, path, mask)
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.ENOMEM):
		w.fail(addError(err, len(w.watches)))
		return nil, w.err
	case err != nil:
		return nil, &os.PathError{Op: "watch", Path: path, Err: err}
	}
	watch := &Watch[T]{owner: owner, wd: int32(n)}
	w.watches[watch.wd] = append(w.watches[watch.wd], watch)
	return watch, nil
}

// Remove ends one owner's interest. Events that are already on the way are not given out.
func (w *Watcher[T]) Remove(watch *Watch[T]) {
	if !watch.Alive() {
		return
	}
	watch.dead = true
	rest := w.watches[watch.wd]
	if i := slices.Index(rest, watch); i >= 0 {
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 {
		w.watches[watch.wd] = rest
		return
	}
	delete(w.watches, watch.wd)
	if w.file != nil {
		_, _ = unix.InotifyRmWatch(w.fd, uint32(watch.wd)) // it may have ended by itself meanwhile
	}
}

// Err says why some folder that was asked for is not watched; nil while all are.
func (w *Watcher[T]) Err() error { return w.err }

// Watches is the number of folders that are watched.
func (w *Watcher[T]) Watches() int { return len(w.watches) }

// Retry lets Add try again after a limit was met. Call it before a pass over all folders that adds the watches that are
// missing; it does nothing more often than every 10 s.
func (w *Watcher[T]) Retry() {
	if w.err == nil || time.Now().Before(w.retryAt) {
		return
	}
	w.err = nil
	if w.file == nil {
		w.open()
	}
}

// lose ends all watches after a read failed in a way that inotify does not know; the owner is told to look at everything.
func (w *Watcher[T]) lose(err error) {
	w.end()
	w.fail(fmt.Errorf("inotify: read: %w", err))
}

var errClosed = errors.New("inotify: closed")

// Close ends all watches and gives the descriptor back. What is left is a Watcher that sees nothing.
func (w *Watcher[T]) Close() {
	w.end()
	w.err, w.retryAt = errClosed, time.Now().AddDate(1000, 0, 0)
}

func (w *Watcher[T]) end() {
	for wd, watches := range w.watches {
		for _, watch := range watches {
			watch.dead = true
		}
		delete(w.watches, wd)
	}
	if w.file != nil {
		_ = w.file.Close() // nothing was written to it
		w.file = nil
	}
}
