package push

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// A memDisk is a file system in memory that fails or stops at a call of the test's choice, and knows what a power cut may
// leave of it: what was synced, any beginning of what was written since, and any beginning of the list of changes to names.
type memDisk struct {
	mu    sync.Mutex
	names map[string]*inode // as the process sees them
	kept  map[string]*inode // as of the last sync of the folder
	since []change
	calls int
	peak  int64                           // the most that the files have ever taken
	fail  func(call int, op string) error // nil: it works
	stop  chan struct{}                   // if it is not nil every call waits for it
}

type inode struct{ data, synced []byte }

type change struct {
	path string
	node *inode // nil: removed
}

var errDisk = errors.New("input/output error")

func newMemDisk() *memDisk { return &memDisk{names: map[string]*inode{}, kept: map[string]*inode{}} }

func (d *memDisk) call(op string, do func() error) error {
	d.mu.Lock()
	stop := d.stop
	d.mu.Unlock()
	if stop != nil {
		<-stop
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.fail != nil {
		if err := d.fail(d.calls, op); err != nil {
			return err
		}
	}
	defer func() { d.peak = max(d.peak, d.takes()) }()
	return do()
}

func (d *memDisk) set(path string, n *inode) {
	if d.since = append(d.since, change{path, n}); n == nil {
		delete(d.names, path)
	} else {
		d.names[path] = n
	}
}

func (d *memDisk) MkdirAll(string) error { return d.call("mkdir", func() error { return nil }) }

func (d *memDisk) List(string) (files []found, err error) {
	err = d.call("list", func() error {
		for path, n := range d.names {
			files = append(files, found{filepath.Base(path), int64(len(n.data))})
		}
		return nil
	})
	return files, err
}

func (d *memDisk) Read(path string, most int64) (text []byte, err error) {
	err = d.call("read", func() error {
		n := d.names[path]
		if n == nil {
			return fs.ErrNotExist
		}
		text = bytes.Clone(n.data[:min(most, int64(len(n.data)))])
		return nil
	})
	return text, err
}

func (d *memDisk) Create(path string) (f diskFile, err error) {
	err = d.call("create", func() error {
		n := d.names[path]
		if n == nil {
			n = new(inode)
			d.set(path, n)
		}
		n.data = nil
		f = &memFile{d, n}
		return nil
	})
	return f, err
}

func (d *memDisk) Rename(from, to string) error {
	return d.call("rename", func() error {
		n := d.names[from]
		if n == nil {
			return fs.ErrNotExist
		}
		d.set(to, n)
		d.set(from, nil)
		return nil
	})
}

func (d *memDisk) Remove(path string) error {
	return d.call("remove", func() error {
		if d.names[path] == nil {
			return fs.ErrNotExist
		}
		d.set(path, nil)
		return nil
	})
}

func (d *memDisk) SyncFolder(string) error {
	return d.call("sync folder", func() error { d.kept, d.since = maps.Clone(d.names), nil; return nil })
}

type memFile struct {
	d *memDisk
	n *inode
}

func (f *memFile) Write(p []byte) (int, error) {
	done := 0
	err := f.d.call("write", func() error { f.n.data = append(f.n.data, p...); done = len(p); return nil })
	if err != nil { // half of it
		f.d.mu.Lock()
		defer f.d.mu.Unlock()
		done = len(p) / 2
		f.n.data = append(f.n.data, p[:done]...)
	}
	return done, err
}

func (f *memFile) Sync() error {
	return f.d.call("sync", func() error { f.n.synced = bytes.Clone(f.n.data); return nil })
}

func (f *memFile) Close() error { return f.d.call("close", func() error { return nil }) }

// crash makes the disk that the next life finds. With a power cut that is one of those which it may leave.
func (d *memDisk) crash(power bool, rnd *rand.Rand) *memDisk {
	d.mu.Lock()
	defer d.mu.Unlock()
	next, names := newMemDisk(), d.names
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
		data := names[path].data
		if synced := names[path].synced; power && !bytes.Equal(data, synced) {
			data = append(bytes.Clone(synced), data[min(len(synced), len(data)):]...)
			data = data[:len(synced)+rnd.IntN(len(data)-len(synced)+1)]
		}
		next.names[path] = &inode{bytes.Clone(data), bytes.Clone(data)}
	}
	next.kept = maps.Clone(next.names)
	return next
}

// used is how much room the files take, whoever counts it.
func (d *memDisk) used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.takes()
}

func (d *memDisk) takes() (n int64) {
	for _, f := range d.names {
		n += takes(int64(len(f.data)))
	}
	return n
}

// breaks makes every call of these operations fail from now on; none: the disk works.
func (d *memDisk) breaks(ops ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = func(_ int, op string) error {
		if slices.Contains(ops, op) {
			return errDisk
		}
		return nil
	}
}

// TestRealDisk: the node's file system does what the model of it does.
func TestRealDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "push")
	d := realDisk{}
	if files, err := d.List(dir); err != nil || files != nil {
		t.Fatalf("a folder that is not there: %v, %v", files, err)
	}
	if _, err := d.Read(filepath.Join(dir, "x"), 9); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := errors.Join(d.MkdirAll(dir), d.SyncFolder(filepath.Dir(dir))); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"longer than the next", "hello"} {
		f, err := d.Create(filepath.Join(dir, "x.tmp"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), f.Close(), d.Rename(filepath.Join(dir, "x.tmp"), filepath.Join(dir, "x")), d.SyncFolder(dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o750); err != nil {
		t.Fatal(err)
	}
	files, err := d.List(dir)
	if err != nil || !slices.Equal(files, []found{{"x", 5}}) {
		t.Fatalf("%v, %v", files, err)
	}
	if text, err := d.Read(filepath.Join(dir, "x"), 4); err != nil || string(text) != "hell" {
		t.Fatalf("%q, %v", text, err)
	}
	if err := d.Remove(filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(filepath.Join(dir, "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
