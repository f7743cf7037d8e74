package push

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// diskRest is how long the keeper leaves a disk alone that has failed.
	diskRest = 5 * time.Second
	// mostFile is the longest file that is read: no sink makes requests of a tenth of it.
	mostFile = 64 << 20
)

// open finds what an earlier life has left in the folder.
func (t *target) open() error {
	files, err := t.files.List(t.Dir)
	if err != nil {
		return err
	}
	q := t.queue
	for _, f := range files {
		b, ok := parseName(strings.TrimSuffix(f.name, unwhole))
		if !ok {
			continue // not ours
		}
		if strings.HasSuffix(f.name, unwhole) {
			q.trash = append(q.trash, litter{f.name, 0})
			continue
		}
		b.file, b.onDisk = f.size, true
		q.bodies = append(q.bodies, &b)
		q.last = max(q.last, b.number)
		q.samples += b.samples
		q.pending += b.samples
		q.disk += takes(b.file)
	}
	slices.SortFunc(q.bodies, func(a, b *body) int { return strings.Compare(a.name(), b.name()) })
	if q.kept = len(q.bodies); q.kept > 0 {
		t.log.Info("the spool holds metrics of an earlier run: they go first", "samples", q.pending, "bytes", q.disk)
	}
	return nil
}

// keep moves bodies to the disk and removes those that are settled, until stop; then it writes all that is left.
func (t *target) keep(stop <-chan struct{}) {
	for last := false; ; {
		err := errors.Join(t.tidy(), t.keepAll(last))
		if t.report(err); last {
			return
		}
		bell, rest := t.queue.keeper, (<-chan time.Time)(nil)
		if err != nil {
			bell, rest = nil, time.After(diskRest)
		}
		select {
		case <-bell:
		case <-rest:
		case <-stop:
			last = true
		}
	}
}

// keepAll writes the bodies that are not to stay in memory; with last, all.
func (t *target) keepAll(last bool) error {
	q := t.queue
	if err := t.makeRoom(0); err != nil {
		return err
	}
	for {
		b, bytes := q.unkept(last)
		if b == nil {
			return nil
		}
		err := t.makeRoom(takes(b.file))
		if err == nil && q.touch(b) {
			err = t.write(b, bytes)
		}
		if err != nil {
			return err
		}
		if q.keep(b) {
			continue
		}
		if err := t.tidy(); err != nil { // what is next needs its room
			return err
		}
	}
}

// unkept is the oldest body that is to be written now, nil if there is none. With all, those are written too that wait for
// their first request.
func (q *queue) unkept(all bool) (b *body, bytes []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.maxBytes == 0 || q.kept == len(q.bodies) {
		return nil, nil
	}
	b = q.bodies[q.kept]
	if !all && !q.failing && q.kept == 0 && b.round == q.round {
		return nil, nil
	}
	return b, b.bytes
}

// touch tells that a body is still to be written. If it is settled after that, the trash has its file; the keeper alone
// empties that, and does so no more until it has written the file.
func (q *queue) touch(b *body) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	b.touched = true
	return !b.gone
}

// keep notes that a body is on disk. One that was settled meanwhile is not: its file, if it has one, is in the trash.
func (q *queue) keep(b *body) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if b.gone {
		return false
	}
	q.memory -= int64(len(b.bytes))
	b.onDisk, b.bytes = true, nil
	q.kept++
	q.disk += takes(b.file)
	ring(q.sender)
	return true
}

// write writes a body's file, and syncs it before it has its name.
func (t *target) write(b *body, bytes []byte) (err error) {
	if !t.made {
		if err := errors.Join(t.files.MkdirAll(t.Dir), t.files.SyncFolder(filepath.Dir(t.Dir))); err != nil {
			return err
		}
		t.made = true
	}
	name := b.name()
	path := filepath.Join(t.Dir, name)
	defer func() {
		if err != nil {
			t.made = false                 // somebody may have removed the folder
			t.files.Remove(path + unwhole) // it may take the room that others need; the trash has it, too
		}
	}()
	f, err := t.files.Create(path + unwhole)
	if err != nil {
		return err
	}
	t.scratch = appendFile(t.scratch[:0], name, bytes)
	_, err = f.Write(t.scratch)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := t.files.Rename(path+unwhole, path); err != nil {
		return err
	}
	return t.files.SyncFolder(t.Dir)
}

// tidy removes the files of bodies that are settled.
func (t *target) tidy() error {
	q := t.queue
	for {
		q.mu.Lock()
		if len(q.trash) == 0 {
			q.trash = nil
			q.mu.Unlock()
			return nil
		}
		f := q.trash[0]
		q.mu.Unlock()
		if err := t.files.Remove(filepath.Join(t.Dir, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("what is done with cannot be removed: %w", err)
		}
		q.mu.Lock()
		q.trash = q.trash[1:]
		q.disk -= f.size
		q.mu.Unlock()
	}
}

// report tells once that the disk fails, and once that it does no more.
func (t *target) report(err error) {
	if err != nil {
		if t.disk.fails("") {
			t.log.Error("metrics cannot be kept on disk: they wait in memory, 2 MiB at most; make room or the folder writable",
				"folder", t.Dir, "error", err)
		}
	} else if after, failures, tell := t.disk.ends(); tell {
		t.log.Info("metrics can be kept on disk again", "after", after, "failures", failures)
	}
}
