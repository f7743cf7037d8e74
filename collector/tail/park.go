package tail

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/nxadm/tail/watch"
	"golang.org/x/sys/unix"
)

// A parker watches quiet files, so that they cost nothing until something is written to them. It uses the inotify
// tracker of github.com/nxadm/tail/watch: one inotify descriptor and one goroutine for all, and here one goroutine per
// parked file that takes its events. Parking is for one event: it wakes the sources and ends the watch, for a
// busy file must never be watched. Several lanes may park on the same file.
//
// Files are watched as /proc/self/fd/N: such a name is unique while the descriptor is open, survives every rename, and
// leads to the file that we hold even after its deletion. A watch therefore ends before its descriptor is closed.
type parker struct {
	off bool // inotify can't be had: quiet files are polled like busy ones

	mu     sync.Mutex
	parked map[*file]*parking
}

type parking struct {
	sources []*source
	ended   chan struct{} // nil while the watch stands; closed when it has been removed
}

func newParker(log *slog.Logger) *parker {
	p := &parker{parked: make(map[*file]*parking)}
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

func watchName(f *file) string { return fmt.Sprintf("/proc/self/fd/%d", f.fd) }

// park asks for src to be woken by the next write to f. It is false if f can't be watched. The caller must look at the
// file once more afterwards: a write just before is no event.
func (p *parker) park(f *file, src *source) bool {
	if p.off {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.parked[f]; at != nil {
		if at.ended != nil {
			return false // just woken
		}
		at.sources = append(at.sources, src)
		return true
	}
	name := watchName(f)
	if err := watch.Watch(name); err != nil {
		return false // usually fs.inotify.max_user_watches: this one is polled
	}
	p.parked[f] = &parking{sources: []*source{src}}
	events := watch.Events(name)
	go func() {
		// The tracker waits for whoever takes its events, and everybody waits for the tracker: so they are taken until
		// the watch is removed, whatever fire waits for.
		for fired := false; ; fired = true {
			if _, ok := <-events; !ok {
				return
			}
			if !fired {
				go p.fire(f)
			}
		}
	}()
	return true
}

// fire ends the watch and wakes everybody who parked on the file.
func (p *parker) fire(f *file) {
	p.mu.Lock()
	at := p.parked[f]
	if at == nil || at.ended != nil {
		p.mu.Unlock()
		return // unpark was faster
	}
	p.end(f, at)
	for _, src := range at.sources {
		src.lane.wake(src)
	}
}

// unpark ends src's wait for f. When it returns, f may be closed as far as src is concerned.
func (p *parker) unpark(f *file, src *source) {
	p.mu.Lock()
	at := p.parked[f]
	if at == nil {
		p.mu.Unlock()
		return
	}
	if at.ended != nil {
		p.mu.Unlock()
		<-at.ended
		return
	}
	at.sources = slices.DeleteFunc(at.sources, func(s *source) bool { return s == src })
	if len(at.sources) > 0 {
		p.mu.Unlock()
		return
	}
	p.end(f, at)
}

// end removes the watch and then the parking. It is called with mu held and leaves it free: the tracker must not be
// waited for under a lock, and nobody may park on the file meanwhile.
func (p *parker) end(f *file, at *parking) {
	at.ended = make(chan struct{})
	p.mu.Unlock()
	_ = watch.RemoveWatch(watchName(f)) // fails only for a watch that the kernel has ended by itself
	p.mu.Lock()
	delete(p.parked, f)
	p.mu.Unlock()
	close(at.ended)
}
