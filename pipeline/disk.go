package pipeline

import (
	"errors"
	"io"
	"os"
)

// A disk is what a Store asks of a file system. Tests give it one that fails, or stops, where they want it to.
type disk interface {
	MkdirAll(dir string) error
	ReadFile(path string) ([]byte, error)
	Create(path string) (diskFile, error) // for writing, emptied if it is there
	Rename(from, to string) error
	SyncFolder(dir string) error
}

type diskFile interface {
	io.WriteCloser
	Sync() error
}

// realDisk is the file system of the node.
type realDisk struct{}

func (realDisk) MkdirAll(dir string) error            { return os.MkdirAll(dir, 0o750) }
func (realDisk) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }
func (realDisk) Rename(from, to string) error         { return os.Rename(from, to) }

func (realDisk) Create(path string) (diskFile, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
}

func (realDisk) SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
