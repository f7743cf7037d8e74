package tail

import (
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
	"github.com/nxadm/tail/watch"
	"golang.org/x/sys/unix"
)

// A parker watches quiet files, so that they cost nothing until something is written to them. It uses the inotify
// tracker of github.com/nxadm/tail/watch: one inotify descriptor and two goroutines for all. Parking is for one event: it
// ends the watch and wakes the sources, for a busy file must never be watched. Several lanes may park on the same file.
//
// Files are watched as /proc/self/fd/N: such a name is unique while the descriptor is open, survives every rename, and
// leads to the file that we hold even after its deletion. A watch therefore ends before its descriptor is closed.
//
// Nobody waits in a circle. The tracker adds watches, removes them and hands events over, one thing after the other; it
// waits until an event is taken, or its watch is about to be removed. Takers (take.go) take events and wait for nothing
// else. Who ends a watch goes to the tracker first and takes mu afterwards, for mu is held while a watch is added.
type parker struct {
	off bool // inotify can't be had: quiet files are polled like busy ones

	mu      sync.Mutex
	parked  map[*file]*parking
	removed sync.Cond     // a parking has left the map
	takers  int           // how many run
	given   chan *parking // what they are to hold; closed when nothing is parked, which ends them
}

// A parking is a watch and who waits for it. It stays in the map until the watch has been removed.
type parking struct {
	file    *file
	name    string
	events  <-chan fsnotify.Event
	sources []*source   // guarded by parker.mu until ended
	ending  atomic.Bool // set by the one who ends the watch
}

func newParker(log *slog.Logger) *parker {
	p := &parker{parked: make(map[*file]*parking)}
	p.removed.L = &p.mu
	// The tracker ends the process if it cannot have its inotify descriptor, so try before it does.
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		log.Warn("no inotify: quiet files are polled; raise fs.inotify.max_user_instances", "error", err)
		p.off = true
		return p
	}
	unix.Close(fd)
	return p
}

// park asks for src to be woken by the next write to f. It is false if f can't be watched. The caller must look at the
// file once more afterwards: a write just before is no event.
func (p *parker) park(f *file, src *source) bool {
	if p.off {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.parked[f]; at != nil {
		at.sources = append(at.sources, src) // if the watch is being ended, src is woken when it has been
		return true
	}
	name := "/proc/self/fd/" + strconv.Itoa(f.fd)
	if err := watch.Watch(name); err != nil {
		return false // usually fs.inotify.max_user_watches: this one is polled
	}
	at := &parking{file: f, name: name, events: watch.Events(name), sources: []*source{src}}
	p.parked[f] = at
	p.give(at)
	return true
}

// unpark ends src's wait for f. When it returns, f may be closed as far as src is concerned.
func (p *parker) unpark(f *file, src *source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.parked[f]
	if at == nil {
		return
	}
	at.sources = slices.DeleteFunc(at.sources, func(s *source) bool { return s == src })
	if len(at.sources) > 0 {
		return // they hold the file open
	}
	if at.ending.CompareAndSwap(false, true) {
		go p.end(at)
	}
	for p.parked[f] == at {
		p.removed.Wait()
	}
}

// end removes the watch, then the parking, and wakes everybody who is still parked there. It is for the one who has set
// ending.
func (p *parker) end(at *parking) {
	_ = watch.RemoveWatch(at.name) // fails only for a watch that the kernel has ended by itself
	p.mu.Lock()
	delete(p.parked, at.file)
	if len(p.parked) == 0 {
		p.dismiss()
	}
	p.removed.Broadcast()
	p.mu.Unlock()
	for _, src := range at.sources { // nobody else finds them any more
		src.lane.wake(src)
	}
}
