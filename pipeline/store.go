package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// A Store keeps a lane's cursors in its folder:
//
//	cursors.json      the newest, replaced as a whole
//	cursors.json.old  the one before it
//	cursors.json.bad  one that was damaged, set aside for whoever wants to know why
//
// A save writes cursors.json.tmp, syncs it, links the present file to .old, renames .tmp over it and syncs the folder: at
// every instant there is a whole file under one of the two names. A crash can cost the last saves, which means that
// lines are sent again; it can't lose any.
type Store struct {
	dir    string
	log    *slog.Logger
	found  map[string]Cursor // as they were when the store was opened
	fresh  bool
	lines  map[string][]byte // by key, encoded; owned by the keeper once the lane runs
	sorted []string          // the keys of lines; nil after one came or went
}

const (
	cursorsFile = "cursors.json"
	oldSuffix   = ".old"
	badSuffix   = ".bad"
	tmpSuffix   = ".tmp"
)

// OpenStore reads a lane's cursors. Damage never keeps it from opening: the file is set aside, the older copy is taken,
// and what neither holds is read from the start again.
func OpenStore(dir string, log *slog.Logger) (*Store, error) {
	s := &Store{dir: dir, log: log, found: make(map[string]Cursor), lines: make(map[string][]byte)}
	err := os.MkdirAll(dir, 0o750)
	if err != nil {
		if _, missing := os.Stat(dir); missing != nil {
			log.Error("state folder cannot be made: lines are delivered, but after a restart all that is on disk is sent again; "+
				"make it writable or set state: to another folder", "error", err)
		}
	}
	damaged := false
	for _, name := range []string{cursorsFile, cursorsFile + oldSuffix} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("state: %w: leatd must be able to read its own state; check the folder's owner and mode", err)
		}
		cursors, err := decodeCursors(data)
		if err == nil {
			for _, c := range cursors {
				s.found[c.Key] = c
				s.lines[c.Key] = encodeCursor(c)
			}
			if damaged {
				log.Warn("older cursors are used: lines delivered since then are sent again", "file", path)
			}
			return s, nil
		}
		damaged = true
		bad := filepath.Join(dir, cursorsFile+badSuffix)
		moved := os.Rename(path, bad)
		log.Error("saved cursors are damaged and were set aside", "file", path, "error", err, "aside", bad, "rename_error", moved)
	}
	s.fresh = !damaged
	if damaged {
		log.Error("no usable cursors: all logs on disk are sent again", "folder", dir)
	}
	return s, nil
}

// Fresh tells that the lane has never run with this store: then logs.start says where to begin.
func (s *Store) Fresh() bool { return s.fresh }

// Cursor is what was saved of a target before this process began.
func (s *Store) Cursor(key string) (Cursor, bool) {
	c, ok := s.found[key]
	return c, ok
}

// Save merges the moved cursors into the saved ones and writes them all. On an error nothing is forgotten: the next save
// has them too.
func (s *Store) Save(moved []Cursor) error {
	for _, c := range moved {
		if c.Gone {
			delete(s.lines, c.Key)
			s.sorted = nil
			continue
		}
		if _, known := s.lines[c.Key]; !known {
			s.sorted = nil
		}
		s.lines[c.Key] = encodeCursor(c)
	}
	if s.sorted == nil {
		s.sorted = slices.Sorted(maps.Keys(s.lines))
	}
	data := encodeCursors(s.sorted, s.lines)

	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return fmt.Errorf("save cursors: %w", err)
	}
	path := filepath.Join(s.dir, cursorsFile)
	if err := writeSynced(path+tmpSuffix, data); err != nil {
		return fmt.Errorf("save cursors: %w", err)
	}
	if err := os.Remove(path + oldSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save cursors: %w", err)
	}
	if err := os.Link(path, path+oldSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save cursors: %w", err)
	}
	if err := os.Rename(path+tmpSuffix, path); err != nil {
		return fmt.Errorf("save cursors: %w", err)
	}
	return syncFolder(s.dir)
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
