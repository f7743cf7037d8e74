package dirwatch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An Op is what an event is about.
type Op uint8

const (
	// Name: the name appeared in the owner's folder or left it; look which.
	Name Op = iota
	// Self: the folder itself was deleted, moved or unmounted; look whether it is still what it was.
	Self
	// Overflow: events were lost; look at everything. It has no owner.
	Overflow
)

// An Event is one thing that happened. It says where to look, never what is there now.
type Event[T any] struct {
	Owner T
	Op    Op
	Name  string // base name, for Name
}

var past = time.Unix(1, 0)

// Wait returns the events of one read as soon as there is one, none when until has come, and an error only when ctx has
// ended. The slice is good until the next Wait.
func (w *Watcher[T]) Wait(ctx context.Context, until time.Time) ([]Event[T], error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w.file == nil {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		select {
		case <-t.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n, err := w.read(ctx, until)
	clear(w.events)
	w.events = w.events[:0]
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
	case err != nil:
		w.lose(err)
		w.events = append(w.events, Event[T]{Op: Overflow})
	default:
		parse(w.buf[:n], w.take)
	}
	return w.events, nil
}

// read waits by way of the file's deadline, so that the end of ctx can cut it short without a goroutine that stays.
func (w *Watcher[T]) read(ctx context.Context, until time.Time) (int, error) {
	file, cut := w.file, make(chan struct{})
	if err := file.SetReadDeadline(until); err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = file.SetReadDeadline(past)
		close(cut)
	})
	n, err := file.Read(w.buf)
	if !stop() {
		<-cut
	}
	return n, err
}

// take turns one event of the kernel into those of the owners.
func (w *Watcher[T]) take(wd int32, mask uint32, name []byte) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		w.events = append(w.events, Event[T]{Op: Overflow})
		return
	}
	op := Name
	if mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_UNMOUNT|unix.IN_IGNORED) != 0 {
		op = Self
	} else if len(name) == 0 {
		return
	}
	text := string(name)
	for _, watch := range w.watches[wd] { // none: removed since, the event is nobody's
		if mask&unix.IN_IGNORED != 0 {
			watch.dead, watch.ended = true, true
		}
		w.events = append(w.events, Event[T]{Owner: watch.owner, Op: op, Name: text})
	}
	if mask&unix.IN_IGNORED != 0 {
		delete(w.watches, wd)
	}
}

// parse walks over what inotify(7) calls struct inotify_event: wd, mask, cookie, length, then the name, padded with NUL.
// It stops at bytes that cannot be one.
func parse(b []byte, each func(wd int32, mask uint32, name []byte)) {
	for len(b) >= unix.SizeofInotifyEvent {
		wd, mask := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
		size := uint64(binary.NativeEndian.Uint32(b[12:]))
		b = b[unix.SizeofInotifyEvent:]
		if size > uint64(len(b)) {
			return
		}
		name, _, _ := bytes.Cut(b[:size], []byte{0})
		b = b[size:]
		each(int32(wd), mask, name)
	}
}
