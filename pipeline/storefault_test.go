package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"strings"
	"testing"
)

// A modelDisk is a file system in memory that fails or stops at a call of the test's choice, and knows what a power cut
// leaves of it: what was synced, any beginning of what was written since, and any beginning of the list of renames.
type modelDisk struct {
	names   map[string]*inode // as the process sees them
	kept    map[string]*inode // as of the last sync of the folder
	renames []rename          // since then
	calls   int
	fail    func(call int, op string) diskFault
}

type inode struct{ data, synced []byte }

type rename struct {
	from, to string
	node     *inode // created under the name to, if from is empty
}

func (r rename) apply(names map[string]*inode) {
	if r.from == "" {
		names[r.to] = r.node
	} else if n, ok := names[r.from]; ok {
		delete(names, r.from)
		names[r.to] = n
	}
}

type diskFault int

const (
	works   diskFault = iota
	errs              // the call fails and does nothing
	half              // a write fails after half of it
	crashes           // the process ends before the call
)

var (
	errDisk  = errors.New("input/output error")
	errCrash = errors.New("crash")
)

func newModelDisk() *modelDisk {
	return &modelDisk{names: make(map[string]*inode), kept: make(map[string]*inode)}
}

func (d *modelDisk) call(op string) diskFault {
	d.calls++
	if d.fail == nil {
		return works
	}
	f := d.fail(d.calls, op)
	if f == crashes {
		panic(errCrash)
	}
	return f
}

func (d *modelDisk) MkdirAll(string) error {
	if d.call("mkdir") != works {
		return errDisk
	}
	return nil
}

func (d *modelDisk) ReadFile(path string) ([]byte, error) {
	n := d.names[path]
	if n == nil {
		return nil, fs.ErrNotExist
	}
	return n.data, nil
}

func (d *modelDisk) Create(path string) (diskFile, error) {
	if d.call("create") != works {
		return nil, errDisk
	}
	n := d.names[path]
	if n == nil {
		n = new(inode)
		d.names[path] = n
		d.renames = append(d.renames, rename{"", path, n})
	}
	n.data = nil
	return &modelFile{d, n}, nil
}

func (d *modelDisk) Rename(from, to string) error {
	if d.call("rename") != works {
		return errDisk
	}
	if d.names[from] == nil {
		return fs.ErrNotExist
	}
	r := rename{from: from, to: to}
	r.apply(d.names)
	d.renames = append(d.renames, r)
	return nil
}

func (d *modelDisk) SyncFolder(string) error {
	if d.call("sync folder") != works {
		return errDisk
	}
	d.kept, d.renames = maps.Clone(d.names), nil
	return nil
}

type modelFile struct {
	d *modelDisk
	n *inode
}

func (f *modelFile) Write(p []byte) (int, error) {
	switch f.d.call("write") {
	case errs:
		return 0, errDisk
	case half:
		f.n.data = append(f.n.data, p[:len(p)/2]...)
		return len(p) / 2, errDisk
	}
	f.n.data = append(f.n.data, p...)
	return len(p), nil
}

func (f *modelFile) Sync() error {
	if f.d.call("sync") != works {
		return errDisk
	}
	f.n.synced = bytes.Clone(f.n.data)
	return nil
}

func (f *modelFile) Close() error {
	if f.d.call("close") != works {
		return errDisk
	}
	return nil
}

// afterPowerCut calls check with every disk that a power cut now may leave.
func (d *modelDisk) afterPowerCut(check func(what string, d *modelDisk)) {
	for k := range len(d.renames) + 1 {
		for torn := range 4 {
			left := newModelDisk()
			names := maps.Clone(d.kept)
			for _, r := range d.renames[:k] {
				r.apply(names)
			}
			for name, n := range names {
				data := n.data
				if !bytes.Equal(n.data, n.synced) {
					data = [][]byte{n.synced, n.data[:0], n.data[:len(n.data)/2], n.data}[torn]
				}
				left.names[name] = &inode{data, data}
			}
			check(fmt.Sprintf("%d of %d renames kept, unsynced data in state %d", k, len(d.renames), torn), left)
		}
	}
}

// TestSaveFaults lets each call of four saves fail, or half succeed, or be the process's last; once, or from then on.
// Whatever happens, also a power cut afterwards, the next life finds the state after one of the saves, and never less
// than what a Save had returned for without an error.
func TestSaveFaults(t *testing.T) {
	steps := [][]Cursor{
		{{Key: "a", Time: 1}, {Key: "b", Time: 1}},
		{{Key: "a", Time: 2}},
		{{Key: "b", Gone: true}, {Key: "c", Time: 3}},
		{{Key: "a", Time: 4}, {Key: "c", Time: 4}},
	}
	states := []string{"map[]"}
	state := make(map[string]int64)
	for _, step := range steps {
		for _, c := range step {
			if state[c.Key] = c.Time; c.Gone {
				delete(state, c.Key)
			}
		}
		states = append(states, fmt.Sprint(state))
	}
	tried := 0
	try := func(name string, fail func(int, string) diskFault) (calls int) {
		d := newModelDisk()
		var logged bytes.Buffer
		log := slog.New(slog.NewTextHandler(&logged, nil))
		promised, attempted := 0, 0
		func() {
			defer func() {
				if r := recover(); r != nil && r != errCrash {
					panic(r)
				}
			}()
			s, err := openStore("dir", log, d)
			if err != nil {
				t.Fatal(err)
			}
			d.fail, d.calls = fail, 0
			for i, step := range steps {
				attempted = i + 1
				if s.Save(step, nil) == nil {
					promised = i + 1
				}
			}
		}()
		check := func(what string, d *modelDisk) {
			logged.Reset()
			d.fail = nil
			s, err := openStore("dir", log, d)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, what, err)
			}
			got := make(map[string]int64)
			for key, c := range s.found {
				got[key] = c.Time
			}
			for _, state := range states[promised : attempted+1] {
				if fmt.Sprint(got) == state {
					return
				}
			}
			t.Errorf("%s, %s: found %v; save %d had returned, %d was begun\n%s", name, what, got, promised, attempted, &logged)
		}
		calls = d.calls
		d.afterPowerCut(check)
		check("no power cut", d)
		tried++
		return calls
	}
	calls := try("no fault", nil)
	for at := 1; at <= calls; at++ {
		for _, f := range []diskFault{errs, half, crashes} {
			try(fmt.Sprintf("call %d of %d: %d", at, calls, f), func(n int, _ string) diskFault {
				if n == at {
					return f
				}
				return works
			})
		}
		try(fmt.Sprintf("every call from %d of %d on", at, calls), func(n int, _ string) diskFault {
			if n >= at {
				return errs
			}
			return works
		})
		for second := at + 1; second <= calls; second++ { // an error, and later a crash
			try(fmt.Sprintf("call %d, crash at %d of %d", at, second, calls), func(n int, _ string) diskFault {
				return map[int]diskFault{at: errs, second: crashes}[n]
			})
		}
	}
	if calls < 4*7 || tried < 400 {
		t.Errorf("%d calls, %d faults: the test has lost its teeth", calls, tried)
	}
}

// TestSaveErrors: an error says what failed, and the next save has all that this one had.
func TestSaveErrors(t *testing.T) {
	for _, op := range []string{"mkdir", "create", "write", "sync", "close", "rename", "sync folder"} {
		d := newModelDisk()
		s, err := openStore("dir", slog.New(slog.DiscardHandler), d)
		if err != nil {
			t.Fatal(err)
		}
		d.fail = func(_ int, now string) diskFault {
			if now == op {
				return errs
			}
			return works
		}
		if err := s.Save([]Cursor{{Key: "a"}}, nil); !errors.Is(err, errDisk) || !strings.HasPrefix(err.Error(), "save cursors: ") {
			t.Errorf("%s fails, and Save says %v", op, err)
		}
		d.fail = nil
		if err := s.Save([]Cursor{{Key: "b"}}, nil); err != nil {
			t.Error(err)
		}
		if s, err := openStore("dir", slog.New(slog.DiscardHandler), d); err != nil || len(s.found) != 2 {
			t.Errorf("after %s: found %v, %v", op, s.found, err)
		}
	}
}
