package tail

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/pipeline"
)

// A file is one generation of a log: an open descriptor and what tells it from all others. It is shared by all lanes;
// each holds it from the moment it was opened until that lane has settled all of it, and the last one closes it. Reading
// is pread(2), so lanes don't disturb each other and need no lock.
type file struct {
	fd      int
	restart int
	raw     bool
	key     inode
	order   order // owned by the set
	lease   func(fd int) writers
	size    int64 // when it was opened
	mtime   int64 // the same, ns
	early   bool  // it was there before discovery had seen the node once

	gzip  bool   // it holds what a plain file held once, and never changes
	isize uint32 // of a gzip file: how much it holds, as its end says

	users   atomic.Int32           // lanes that have not done with it
	listed  atomic.Bool            // it still has a name in its folder
	path    atomic.Pointer[string] // as discovery saw it last
	settled []atomic.Int64         // by lane: how far that has all of it for good
	deleted time.Time              // since when it has no name; guarded by Set.mu
	given   atomic.Bool            // given up: it has been held for as long as the owner allows
	broken  atomic.Bool            // a gzip file of which not all can be decompressed: some lane has said so

	mu      sync.Mutex // guards what follows: lanes find it out for themselves, whoever comes first
	id      *pipeline.GenerationID
	headIs  [headLength]byte // how the file began when it was identified
	headLen int
}

// inode is what the kernel calls a file. Numbers are used again at once after a deletion; with the time of birth they
// tell files apart as long as nothing but this process's life is asked of them. Files that we hold open keep theirs.
type inode struct {
	dev, ino uint64
	born     int64 // ns; 0 where the file system does not know
}

var errNotRegular = errors.New("not a regular file")

// openFile opens a path for reading without ever waiting: a FIFO in a log folder must not stop discovery. Reading leaves
// the file's access time alone where the kernel allows it (O_NOATIME is for the owner of the file, open(2)): to write that
// down again and again costs more than to read a line.
func openFile(path string) (fd int, err error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOATIME
	for {
		fd, err = unix.Open(path, flags, 0)
		if err == unix.EPERM && flags&unix.O_NOATIME != 0 {
			flags &^= unix.O_NOATIME
		} else if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}

// inodeOf asks the kernel about a path (fd is AT_FDCWD) or about an open file (path is empty).
func inodeOf(fd int, path string) (key inode, size, mtime int64, err error) {
	var st unix.Statx_t
	flags := 0
	if path == "" {
		flags = unix.AT_EMPTY_PATH
	}
	mask := unix.STATX_TYPE | unix.STATX_INO | unix.STATX_SIZE | unix.STATX_MTIME | unix.STATX_BTIME
	if err := unix.Statx(fd, path, flags, mask, &st); err != nil {
		return key, 0, 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return key, 0, 0, errNotRegular
	}
	key = inode{dev: uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), ino: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		key.born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return key, int64(st.Size), st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec), nil
}

// name is what the file was called last.
func (f *file) name() string { return filepath.Base(*f.path.Load()) }

// inPlace tells whether the file still has the path under which discovery saw it last: if not, there will be news.
func (f *file) inPlace() bool {
	key, _, _, err := inodeOf(unix.AT_FDCWD, *f.path.Load())
	return err == nil && key == f.key
}

// readAt is pread(2): n < len(p) without an error is the end of the file.
func (f *file) readAt(p []byte, off int64) (n int, err error) {
	for {
		n, err = unix.Pread(f.fd, p, off)
		if err == nil {
			return n, nil
		}
		if err != unix.EINTR {
			return 0, fmt.Errorf("read %s: %w", *f.path.Load(), err)
		}
	}
}

// length is what fstat(2) says, 0 on an error. Of a gzip file it is a guess that holds for all but strange ones.
func (f *file) length() int64 {
	if f.gzip {
		return f.guess()
	}
	var st unix.Stat_t
	if unix.Fstat(f.fd, &st) != nil {
		return 0
	}
	return st.Size
}

// hold keeps the descriptor open for somebody who is no lane, until release. It is false if it is closed already: then the
// number is another file's.
func (f *file) hold() bool {
	for {
		n := f.users.Load()
		if n <= 0 {
			return false
		}
		if f.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release ends one lane's use. The last one closes the descriptor.
func (f *file) release() {
	if f.users.Add(-1) == 0 {
		unix.Close(f.fd)
	}
}

// closed tells that no lane wants the file any more.
func (f *file) closed() bool { return f.users.Load() <= 0 }

// headLength is how much of a first line tells generations apart: a CRI line begins with its time. A Docker line ends
// with it, so there it takes the whole line.
const (
	headLength       = 256
	dockerHeadLength = 128 << 10
)

// identify finds out which generation this is: a hash of the first line, or of its first 256 bytes. It can't be told
// before that much is there, unless the file is known to grow no more.
func (f *file) identify(complete bool) (pipeline.GenerationID, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.id != nil {
		return *f.id, true
	}
	id, ok := f.head(f.readAt, complete)
	if ok {
		f.id = &id
	}
	return id, ok
}

// changed tells whether the file begins otherwise than it did when it was identified as this generation: it was truncated
// and written anew, and has by now grown past where it was read. Another lane may have noticed before. now
// is room to read to.
func (f *file) changed(was pipeline.GenerationID, now *[headLength]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gzip {
		return false
	}
	if f.id == nil || *f.id != was {
		return true
	}
	n, err := f.readAt(now[:f.headLen], 0)
	return err == nil && (n < f.headLen || string(now[:n]) != string(f.headIs[:n]))
}

// renew forgets the identity after a truncation, once for all lanes.
func (f *file) renew(was pipeline.GenerationID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.id != nil && *f.id == was {
		f.id = nil
	}
}

func (f *file) head(readAt func([]byte, int64) (int, error), complete bool) (id pipeline.GenerationID, ok bool) {
	var small [headLength]byte
	buf := small[:]
	n, err := readAt(buf, 0)
	if err == nil && n == headLength && buf[0] == '{' {
		buf = make([]byte, dockerHeadLength)
		n, err = readAt(buf, 0)
	}
	if err != nil || n == 0 {
		return id, false
	}
	line, ended := firstLine(buf[:n])
	f.headIs = [headLength]byte{}
	f.headLen = copy(f.headIs[:], line)
	if !ended && n < len(buf) && !complete {
		return id, false
	}
	h := fnv.New64a()
	h.Write(line)
	if f.raw || detect(line) == unknown {
		// Such lines need not differ from file to file. Their inode survives the renames of a rotation, though no
		// compression: what was compressed is read anew then.
		fmt.Fprintf(h, "\n%d %d %d", f.key.dev, f.key.ino, f.key.born)
	}
	return pipeline.GenerationID{Restart: f.restart, Hash: h.Sum64()}, true
}

// firstLine is what stands before the first newline, or everything if there is none.
func firstLine(b []byte) (line []byte, ended bool) {
	line, _, ended = bytes.Cut(b, []byte{'\n'})
	return line, ended
}
