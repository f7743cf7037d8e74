package sinks

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// A faulty file fails when told to, as a full or broken disk does.
type faultyFile struct {
	segmentFile
	faults *faults
}

type faults struct {
	writeAfter                 int // bytes of a write that succeed before write
	write, sync, truncate, new error
}

func (f faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.faults.write; err != nil {
		n, _ := f.segmentFile.WriteAt(p[:min(len(p), f.faults.writeAfter)], off)
		return n, err
	}
	return f.segmentFile.WriteAt(p, off)
}

func (f faultyFile) Sync() error {
	if f.faults.sync != nil {
		return f.faults.sync
	}
	return f.segmentFile.Sync()
}

func (f faultyFile) Truncate(size int64) error {
	if f.faults.truncate != nil {
		return f.faults.truncate
	}
	return f.segmentFile.Truncate(size)
}

// Whatever fails, in the middle of a segment or at the begin of one, the frame is not accepted, nothing of it stays,
// and once the fault is over all goes on.
func TestFileFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     faults
		says  string
		dirty bool // what was written cannot be cut off before the fault is over
	}{
		{"full disk", faults{writeAfter: 10, write: syscall.ENOSPC}, "the disk is full", false},
		{"full disk at once", faults{write: syscall.ENOSPC}, "max_bytes of sinks.kept", false},
		{"quota", faults{write: syscall.EDQUOT}, "the disk is full", false},
		{"read-only", faults{write: syscall.EROFS, new: syscall.EROFS}, "read-only", false},
		{"no permission", faults{write: syscall.EACCES, new: syscall.EACCES}, "may not write", false},
		{"sync fails", faults{sync: syscall.EIO}, "the kernel's log", true},
		{"nothing works", faults{writeAfter: 20, write: syscall.EIO, sync: syscall.EIO, truncate: syscall.EIO, new: syscall.EIO}, "the kernel's log", true},
	} {
		for _, roll := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, new segment %v", c.name, roll), func(t *testing.T) {
				folder := t.TempDir()
				f := openFolder(t, folder, 1<<20, 1<<30)
				var now faults
				create := f.segments.create
				f.segments.create = func(path string, flag int) (segmentFile, error) {
					if now.new != nil {
						return nil, now.new
					}
					file, err := create(path, flag)
					return faultyFile{file, &now}, err
				}
				accepted(t, f, frame(t, "first\n"))
				if roll {
					f.segments.segmentBytes = 1
				}
				now = c.f
				for range 3 {
					a := f.Send(context.Background(), frame(t, "second\n"))
					if a.Outcome != pipeline.Failed || !strings.Contains(a.Err.Error(), c.says) {
						t.Fatalf("outcome %d, want Failed and %q: %v", a.Outcome, c.says, a.Err)
					}
					if !c.dirty {
						if got := unzstdQuiet(t, folder); got != "first\n" {
							t.Fatalf("after the failure: %q", got)
						}
					}
				}
				now = faults{}
				accepted(t, f, frame(t, "2\n")) // shorter than what failed
				accepted(t, f, frame(t, "third\n"))
				if got := unzstdQuiet(t, folder); got != "first\n2\nthird\n" {
					t.Errorf("in the end: %q", got)
				}
			})
		}
	}
}
