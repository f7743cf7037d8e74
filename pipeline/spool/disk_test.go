package spool

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
)

// A memDisk is a file system in memory that fails or stops at a call of the test's choice, and knows what a power cut may
// leave of it: what was synced, anything of what was written since, and any beginning of the list of names made and removed.
type memDisk struct {
	mu    sync.Mutex
	names map[string]*inode // as the process sees them
	kept  map[string]*inode // as of the last sync of the folder
	since []change
	calls int
	fail  func(call int, op string) fault
}

type inode struct{ data, synced []byte }

type change struct {
	path string
	node *inode // nil: removed
}

type fault int

const (
	works   fault = iota
	errs          // the call fails and does nothing
	half          // a write fails after half of it, a sync or truncate after all of it
	crashes       // the process ends before the call
)

var (
	errDisk  = errors.New("input/output error")
	errCrash = errors.New("crash")
)

func newMemDisk() *memDisk { return &memDisk{names: map[string]*inode{}, kept: map[string]*inode{}} }

// call is entered with mu held by its caller.
func (d *memDisk) call(op string) fault {
	d.calls++
	if d.fail == nil {
		return works
	}
	f := d.fail(d.calls, op)
	if f == crashes {
		d.mu.Unlock()
		panic(errCrash)
	}
	return f
}

func (d *memDisk) simple(op string, do func() error) error {
	d.mu.Lock()
	f := d.call(op)
	defer d.mu.Unlock()
	if f == errs {
		return errDisk
	}
	err := do()
	if f == half {
		err = errDisk
	}
	return err
}

func (d *memDisk) MkdirAll(string) error { return d.simple("mkdir", func() error { return nil }) }

func (d *memDisk) List(dir string) (names []string, err error) {
	err = d.simple("list", func() error {
		for path := range d.names {
			names = append(names, filepath.Base(path))
		}
		slices.Sort(names)
		return nil
	})
	return names, err
}

func (d *memDisk) Create(path string) (f diskFile, err error) {
	err = d.simple("create", func() error {
		if d.names[path] != nil {
			return fs.ErrExist
		}
		n := new(inode)
		d.names[path] = n
		d.since = append(d.since, change{path, n})
		f = &memFile{d, n}
		return nil
	})
	return f, err
}

func (d *memDisk) Open(path string) (f diskFile, err error) {
	err = d.simple("open", func() error {
		n := d.names[path]
		if n == nil {
			return fs.ErrNotExist
		}
		f = &memFile{d, n}
		return nil
	})
	return f, err
}

func (d *memDisk) Remove(path string) error {
	return d.simple("remove", func() error {
		if d.names[path] == nil {
			return fs.ErrNotExist
		}
		delete(d.names, path)
		d.since = append(d.since, change{path, nil})
		return nil
	})
}

func (d *memDisk) SyncFolder(string) error {
	return d.simple("sync folder", func() error {
		d.kept, d.since = maps.Clone(d.names), nil
		return nil
	})
}

type memFile struct {
	d *memDisk
	n *inode
}

func (f *memFile) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	how := f.d.call("write")
	defer f.d.mu.Unlock()
	switch how {
	case errs:
		return 0, errDisk
	case half:
		f.n.data = append(f.n.data, p[:len(p)/2]...)
		return len(p) / 2, errDisk
	}
	f.n.data = append(f.n.data, p...)
	return len(p), nil
}

func (f *memFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.d.simple("read", func() error {
		if off < int64(len(f.n.data)) {
			n = copy(p, f.n.data[off:])
		}
		if n < len(p) {
			return io.EOF
		}
		return nil
	})
	if err == errDisk {
		n = 0
	}
	return n, err
}

func (f *memFile) Sync() error {
	return f.d.simple("sync", func() error { f.n.synced = bytes.Clone(f.n.data); return nil })
}

func (f *memFile) Truncate(size int64) error {
	return f.d.simple("truncate", func() error { f.n.data = f.n.data[:size:size]; return nil })
}

func (f *memFile) Size() (n int64, err error) {
	err = f.d.simple("size", func() error { n = int64(len(f.n.data)); return nil })
	return n, err
}

func (f *memFile) Close() error { return f.d.simple("close", func() error { return nil }) }

// crash makes the disk that the next life finds. With a power cut that is one of those which it may leave.
func (d *memDisk) crash(power bool, rnd *rand.Rand) *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newMemDisk()
	names := d.names
	if power {
		names = maps.Clone(d.kept)
		for _, c := range d.since[:rnd.IntN(len(d.since)+1)] {
			if c.node == nil {
				delete(names, c.path)
			} else {
				names[c.path] = c.node
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(names)) { // a seed has to play the same again
		n := names[path]
		data := bytes.Clone(n.data)
		if power {
			data = torn(n, rnd)
		}
		next.names[path] = &inode{data, bytes.Clone(data)}
	}
	next.kept = maps.Clone(next.names)
	return next
}

// torn is what a power cut may leave of a file: all that was synced, and of the rest any pages.
func torn(n *inode, rnd *rand.Rand) []byte {
	if bytes.Equal(n.data, n.synced) {
		return bytes.Clone(n.data)
	}
	long := n.data
	if len(n.synced) > len(long) {
		long = n.synced // a truncation that never reached the disk
	}
	out := bytes.Clone(long)
	same := 0
	for same < len(n.data) && same < len(n.synced) && n.data[same] == n.synced[same] {
		same++
	}
	switch rnd.IntN(4) {
	case 0:
		return out[:max(same, len(n.synced))]
	case 1:
		return out[:same+rnd.IntN(len(out)-same+1)]
	case 2:
		if len(n.synced) <= same {
			clear(out[same+rnd.IntN(len(out)-same):]) // its length was kept, its bytes were not
		}
	}
	if len(out) < len(n.synced) {
		return bytes.Clone(n.synced)
	}
	return out
}
