package push

import (
	"errors"
	"io"
	"os"
)

// A disk is what a queue asks of a file system. Tests give it one that fails, or stops, where they want it to.
type disk interface {
	MkdirAll(dir string) error
	List(dir string) ([]found, error)             // regular files; none if the folder is not there
	Read(path string, most int64) ([]byte, error) // not more than so many bytes
	Create(path string) (diskFile, error)         // for writing, emptied if it is there
	Rename(from, to string) error
	Remove(path string) error
	SyncFolder(dir string) error
}

type diskFile interface {
	io.WriteCloser
	Sync() error
}

// found is a file in a folder.
type found struct {
	name string
	size int64
}

// realDisk is the file system of the node.
type realDisk struct{}

func (realDisk) MkdirAll(dir string) error    { return os.MkdirAll(dir, 0o750) }
func (realDisk) Rename(from, to string) error { return os.Rename(from, to) }
func (realDisk) Remove(path string) error     { return os.Remove(path) }

func (realDisk) List(dir string) (files []found, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() { // else it has just been removed
			files = append(files, found{e.Name(), info.Size()})
		}
	}
	return files, err
}

func (realDisk) Read(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, most)
	n, err := io.ReadFull(f, text)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return text[:n], err
}

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
