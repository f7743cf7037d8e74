package tail

import (
	"time"

	"golang.org/x/sys/unix"
)

// watch looks whether a source's file grows and nobody reads it, though nothing keeps the lane from it. That is no case
// that is meant to be: a descriptor that shows an old state of its file (network file systems can), an event that was
// lost, a mistake of ours. The file is opened anew then; the reader goes on where it stood. One that another file has
// taken the place of is a matter of discovery.
func (r *Reader) watch(src *source) {
	g, _ := src.current()
	if g == nil || g.file.gzip || !g.file.listed.Load() || r.waits(src) {
		src.stuck = time.Time{}
		return
	}
	key, size, _, err := inodeOf(unix.AT_FDCWD, *g.file.path.Load())
	switch {
	case err != nil || key != g.file.key || size <= g.reached:
		src.stuck = time.Time{}
		if src.reopened > 0 && err == nil && size <= g.reached {
			r.lane.set.opts.Log.Info("a log file that was stuck is read again", "target", src.target.Key, "reopened", src.reopened)
			src.reopened = 0
		}
	case src.stuck.IsZero() || src.stuckAt != g.reached:
		src.stuck, src.stuckAt = r.now, g.reached
	case r.now.Sub(src.stuck) >= r.lane.set.times.stuck && r.now.Sub(r.strained) >= r.lane.set.times.stuck:
		src.stuck = time.Time{}
		r.reopen(src, g)
	}
}

// reopen puts a new descriptor in the place of a file's, under the same number and for all lanes. A read that is
// under way keeps the old one.
func (r *Reader) reopen(src *source, g *generation) {
	log := r.lane.set.opts.Log
	fd, err := openFile(*g.file.path.Load())
	if err != nil {
		return // discovery will tell what became of it
	}
	defer unix.Close(fd)
	if key, _, _, err := inodeOf(fd, ""); err != nil || key != g.file.key {
		return
	}
	if err := unix.Dup3(fd, g.file.fd, unix.O_CLOEXEC); err != nil {
		log.Error("a log file that grows unread cannot be opened anew", "target", src.target.Key, "file", *g.file.path.Load(), "error", err)
		return
	}
	r.lane.reopened.Add(1)
	if src.reopened++; src.reopened == 1 {
		log.Warn("a log file had grown for a minute without being read and was opened anew; please report it",
			"target", src.target.Key, "file", *g.file.path.Load(), "read", g.read, "seen", g.reached)
	}
	src.unpark()
	r.poll(src)
}
