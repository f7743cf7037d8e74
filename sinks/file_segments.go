package sinks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	segmentSuffix = ".ndjson.zst"
	segmentLayout = "20060102T150405.000000Z" // sorts by time
	unnamedFile   = "next.tmp"                // a segment until its first frame is synced
	lockFile      = "LOCK"
)

var errInUse = errors.New("another process uses this folder")

// A segmentFile is what is asked of a file.
type segmentFile interface {
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error // data, and the size
	Stat() (os.FileInfo, error)
	Close() error
}

type osFile struct{ *os.File }

func (f osFile) Sync() error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync "+f.Name(), err)
		}
	}
}

func createFile(path string, flag int) (segmentFile, error) {
	f, err := os.OpenFile(path, flag|syscall.O_CLOEXEC, 0o640)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

type segment struct {
	name string
	size int64
}

// A segmentFolder is the folder of a File sink, or of DeadLetters. One goroutine uses it at a time; the counters may be read by any.
type segmentFolder struct {
	path                   string
	segmentBytes, maxBytes int64
	now                    func() time.Time
	create                 func(path string, flag int) (segmentFile, error)

	lock   *os.File    // nil: the folder is not open
	all    []segment   // by name; the last one is written to if file is not nil
	total  int64       // of their sizes
	file   segmentFile // owned; nil: the next frame begins a segment
	ragged bool        // file may hold something beyond the segment's size

	deleted, deletedBytes, torn atomic.Int64
}

// open locks the folder and takes stock of it. A folder that is not there is not made.
func (d *segmentFolder) open() (err error) {
	lock, err := os.OpenFile(filepath.Join(d.path, lockFile), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	d.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%s: %w", d.path, errInUse)
		}
		return os.NewSyscallError("flock "+lock.Name(), err)
	}
	if err := os.Remove(filepath.Join(d.path, unnamedFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	d.all, d.total = nil, 0
	for _, e := range entries { // sorted by name
		if _, _, ok := parseSegmentName(e.Name()); !ok || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		d.all = append(d.all, segment{e.Name(), info.Size()})
		d.total += info.Size()
	}
	if err := d.resume(); err != nil {
		return err
	}
	return d.makeRoom(0)
}

// resume takes up the newest segment, less what a crash left of an unfinished frame: frames before the last one were
// synced before it was begun, so only the last can be torn, and the last whole one may hold garbage.
func (d *segmentFolder) resume() error {
	if len(d.all) == 0 {
		return nil
	}
	last := &d.all[len(d.all)-1]
	path := filepath.Join(d.path, last.name)
	good, err := soundLength(path)
	if err != nil {
		return err
	}
	if good == 0 { // segments get their name with a synced frame in them: this is something else, and not ours to cut
		if err := os.Rename(path, path+".damaged"); err != nil {
			return err
		}
		d.total -= last.size
		d.all = d.all[:len(d.all)-1]
		return d.syncFolder()
	}
	file, err := d.create(path, os.O_RDWR)
	if err != nil {
		return err
	}
	d.file, d.ragged = file, good < last.size
	d.torn.Add(last.size - good)
	d.total -= last.size - good
	last.size = good
	return d.trim()
}

// trim cuts off what stands behind the segment's last good frame.
func (d *segmentFolder) trim() error {
	if d.file == nil || !d.ragged {
		return nil
	}
	if err := d.file.Truncate(d.all[len(d.all)-1].size); err != nil {
		return err
	}
	if err := d.file.Sync(); err != nil {
		return err
	}
	d.ragged = false
	return nil
}

// put appends a frame. It looks first whether the folder is still the one that was opened: a file that was deleted while
// it is held open can be written to and synced, and is gone all the same.
func (d *segmentFolder) put(frame []byte) error {
	if d.lock != nil && !d.stillThere() {
		d.close()
	}
	if d.lock == nil {
		if err := d.open(); err != nil {
			return err
		}
	}
	return d.append(frame)
}

// append writes one frame and syncs it.
func (d *segmentFolder) append(frame []byte) error {
	if err := d.trim(); err != nil {
		return err
	}
	if d.file != nil && d.all[len(d.all)-1].size+int64(len(frame)) > d.segmentBytes {
		err := d.file.Close() // all of it is synced
		d.file = nil
		if err != nil {
			return err
		}
	}
	if err := d.makeRoom(int64(len(frame))); err != nil {
		return err
	}
	if d.file == nil {
		return d.begin(frame)
	}
	last := &d.all[len(d.all)-1]
	d.ragged = true
	if err := writeFrame(d.file, frame, last.size); err != nil {
		return errors.Join(err, d.trim())
	}
	d.ragged = false
	last.size += int64(len(frame))
	d.total += int64(len(frame))
	return nil
}

// begin makes a new segment with its first frame. It has another name until the frame is synced: `zstd -dc` takes an
// empty file for a damaged one.
func (d *segmentFolder) begin(frame []byte) error {
	unnamed := filepath.Join(d.path, unnamedFile)
	file, err := d.create(unnamed, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	name := d.nextName()
	path := filepath.Join(d.path, name)
	if err = writeFrame(file, frame, 0); err == nil {
		if err = os.Rename(unnamed, path); err == nil {
			if err = d.syncFolder(); err != nil {
				unnamed = path // it may stay or not, so it must not: the frame will be written again
			}
		}
	}
	if err != nil {
		file.Close()
		os.Remove(unnamed)
		return err
	}
	d.file, d.ragged = file, false
	d.all = append(d.all, segment{name, int64(len(frame))})
	d.total += int64(len(frame))
	return nil
}

func writeFrame(f segmentFile, frame []byte, at int64) error {
	if _, err := f.WriteAt(frame, at); err != nil {
		return err
	}
	return f.Sync()
}

// makeRoom deletes the oldest segments until n more bytes fit. A segment that is being written to goes last.
func (d *segmentFolder) makeRoom(n int64) error {
	for len(d.all) > 0 && d.total+n > d.maxBytes {
		oldest := d.all[0]
		if len(d.all) == 1 && d.file != nil {
			err := d.file.Close()
			d.file = nil
			if err != nil {
				return err
			}
		}
		if err := os.Remove(filepath.Join(d.path, oldest.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		d.all = slices.Delete(d.all, 0, 1)
		d.total -= oldest.size
		d.deleted.Add(1)
		d.deletedBytes.Add(oldest.size)
	}
	return nil
}

// nextName sorts behind all names before it, even if the clock went back.
func (d *segmentFolder) nextName() string {
	at, number := d.now().UTC().Truncate(time.Microsecond), 1
	if len(d.all) > 0 {
		before, n, _ := parseSegmentName(d.all[len(d.all)-1].name)
		number = n + 1
		if !at.After(before) {
			at = before.Add(time.Microsecond)
		}
	}
	return fmt.Sprintf("%s-%06d%s", at.Format(segmentLayout), number, segmentSuffix)
}

func parseSegmentName(name string) (at time.Time, number int, ok bool) {
	stem, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return at, 0, false
	}
	date, digits, ok := strings.Cut(stem, "-")
	if !ok || len(digits) < 6 {
		return at, 0, false
	}
	at, err := time.Parse(segmentLayout, date)
	number, err2 := strconv.Atoi(digits)
	return at, number, err == nil && err2 == nil && number > 0 && at.Format(segmentLayout) == date
}

// stillThere says whether the folder's lock and the segment are the files that are held open.
func (d *segmentFolder) stillThere() bool {
	same := func(name string, held interface{ Stat() (os.FileInfo, error) }) bool {
		there, err := os.Stat(filepath.Join(d.path, name))
		if err != nil {
			return false
		}
		ours, err := held.Stat()
		return err == nil && os.SameFile(there, ours)
	}
	return same(lockFile, d.lock) && (d.file == nil || same(d.all[len(d.all)-1].name, d.file))
}

func (d *segmentFolder) syncFolder() error {
	dir, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// close gives up what is held open. What is not synced was not accepted.
func (d *segmentFolder) close() {
	if d.file != nil {
		d.file.Close()
		d.file = nil
	}
	if d.lock != nil {
		d.lock.Close() // and with it the lock
		d.lock = nil
	}
}
