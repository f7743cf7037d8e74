package spool

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// A disk is what a spool asks of a file system. Tests give it one that fails, or stops, where they want it to.
type disk interface {
	MkdirAll(dir string) error
	List(dir string) (names []string, err error) // of regular files
	Create(path string) (diskFile, error)        // for writing; it must not be there
	Open(path string) (diskFile, error)          // for reading
	Remove(path string) error
	SyncFolder(dir string) error
}

type diskFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error // what was written, and so much about it as is needed to read it
}

// realDisk is the file system of the node.
type realDisk struct{}

type realFile struct{ *os.File }

func (realDisk) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o750) }
func (realDisk) Remove(path string) error  { return os.Remove(path) }

func (realDisk) List(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (realDisk) Create(path string) (diskFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	return realFile{f}, nil
}

func (realDisk) Open(path string) (diskFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return realFile{f}, nil
}

func (realDisk) SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f realFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f realFile) Sync() error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if err != syscall.EINTR {
			return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}
