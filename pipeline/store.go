package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
)

// A Store keeps a lane's cursors in its folder:
//
//	cursors.json      the newest, replaced as a whole
//	cursors.json.old  the one before it
//	*.bad             one of these that was damaged, set aside for whoever wants to know why
//
// A save writes cursors.json.tmp, syncs it, renames the present file to .old, .tmp over it, and syncs the folder: at
// every instant there is a whole file under one of the two names, and it holds all that an earlier Save has returned
// for. A crash can cost the save that it met, which means that lines are sent again; it can't lose any.
type Store struct {
	dir   string
	log   *slog.Logger
	disk  disk
	found map[string]Cursor // as they were when the store was opened; never changed once the lane runs
	spool []byte            // the spool's state, likewise
	fresh bool

	covered map[string]uint64 // the record that the saved cursor knew, of those that Cover was called for

	mu      sync.Mutex
	claimed map[string]bool // keys of found that a target was found for; guarded by mu

	totals map[string]Totals // by key, those of lines; guarded by mu
	ended  Totals            // of targets that have no line any more; guarded by mu

	lines  map[string][]byte // by key, encoded; what follows is owned by the keeper once the lane runs
	sorted []string          // the keys of lines; nil after one came or went
	text   []byte            // the file's, kept for its room
}

const (
	cursorsFile = "cursors.json"
	oldSuffix   = ".old"
	badSuffix   = ".bad"
	tmpSuffix   = ".tmp"
)

// OpenStore reads a lane's cursors. Damage never keeps it from opening: the file is set aside, the older copy is taken,
// and what neither holds is read from the start again. Only a file that leatd may not read does.
func OpenStore(dir string, log *slog.Logger) (*Store, error) { return openStore(dir, log, realDisk{}) }

func openStore(dir string, log *slog.Logger, d disk) (*Store, error) {
	s := &Store{
		dir: dir, log: log, disk: d,
		found: make(map[string]Cursor), claimed: make(map[string]bool), lines: make(map[string][]byte), covered: make(map[string]uint64),
		totals: make(map[string]Totals),
	}
	if err := d.MkdirAll(dir); err != nil {
		log.Error("state folder cannot be made: lines are delivered, but after a restart all that is on disk is sent again; "+
			"make it writable or set state: to another folder", "error", err)
	}
	damaged := false
	for _, name := range []string{cursorsFile, cursorsFile + oldSuffix} {
		path := filepath.Join(dir, name)
		data, err := d.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("state: %w: leatd must be able to read its own state; check the folder's owner and mode", err)
		}
		var cursors []Cursor
		if err == nil {
			cursors, s.ended, s.spool, err = decodeCursors(data)
		}
		if err == nil {
			for _, c := range cursors {
				s.found[c.Key] = c
				s.lines[c.Key] = encodeCursor(c)
				s.totals[c.Key] = c.Totals
			}
			if damaged {
				log.Warn("older cursors are used: lines delivered since then are sent again", "file", path)
			}
			return s, nil
		}
		damaged = true
		aside := path + badSuffix
		if moved := d.Rename(path, aside); moved != nil {
			log.Error("saved cursors are damaged and cannot be set aside", "file", path, "error", err, "rename_error", moved)
		} else {
			log.Error("saved cursors are damaged and were set aside", "file", path, "error", err, "aside", aside)
		}
	}
	s.fresh = !damaged
	if damaged {
		log.Error("no usable cursors: all logs on disk are sent again", "folder", dir)
	}
	return s, nil
}

// Fresh tells that the lane has never run with this store: then logs.start says where to begin.
func (s *Store) Fresh() bool { return s.fresh }

// Cursor is what was saved of a target before this process began. Any goroutine may ask.
func (s *Store) Cursor(key string) (Cursor, bool) {
	c, ok := s.found[key]
	if ok {
		s.mu.Lock()
		s.claimed[key] = true
		s.mu.Unlock()
	}
	return c, ok
}

// Cover says that the spool holds a segment, which is later than what the saved cursor knows if leatd was killed between
// the two writes. It is called before any Cursor, for the spool's segments in their order.
func (s *Store) Cover(key string, seg *Segment) {
	c := s.found[key]
	before, known := s.covered[key]
	if !known {
		before = c.Spooled
		s.covered[key] = before
	}
	if seg.Spooled <= before { // a record can hold several segments of a target
		return
	}
	at := Position{ID: seg.Generation, Offset: seg.End, Skip: seg.Skip}
	c.Generations = slices.Clone(c.Generations)
	i := slices.IndexFunc(c.Generations, func(p Position) bool { return p.ID == at.ID })
	if i < 0 {
		i = len(c.Generations)
		c.Generations = append(c.Generations, at)
	} else {
		at.Name, at.Done = c.Generations[i].Name, c.Generations[i].Done
		c.Generations[i] = at
	}
	for j := range c.Generations[:i] { // a file is begun when those before it are read to their ends
		c.Generations[j].Done = true
	}
	c.Key, c.Spooled, c.Time, c.Parts = key, seg.Spooled, seg.Time, seg.Parts
	s.found[key], s.lines[key], s.sorted = c, encodeCursor(c), nil
}

// lastTime is the time of the last record that an earlier life of the lane has settled of a target; 0 if there is none.
func (s *Store) lastTime(key string) int64 { return s.found[key].Time }

// Spooled is the highest record of the spool that any cursor knows.
func (s *Store) Spooled() (highest uint64) {
	for _, c := range s.found {
		highest = max(highest, c.Spooled)
	}
	return highest
}

// SpoolState is what the spool had saved before this process began; nil if there is nothing.
func (s *Store) SpoolState() []byte { return s.spool }

// Finish takes the targets for which gone says true as ended: their files are no more, and what was in them is missed by
// nobody, so that no gap is counted. It returns their keys. It is called after Cover and before the lane runs.
func (s *Store) Finish(gone func(key string) bool) (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(s.found)) {
		c := s.found[key]
		if c.unfinished() == 0 || !gone(key) {
			continue
		}
		c.Generations = slices.Clone(c.Generations)
		for i := range c.Generations {
			c.Generations[i].Done = true
		}
		s.found[key], s.lines[key] = c, encodeCursor(c)
		keys = append(keys, key)
	}
	return keys
}

// forgetUnclaimed drops what was saved of targets that nobody has asked for since: they ended while leatd was down.
// The next Save writes the file without them. Only the keeper calls it.
func (s *Store) forgetUnclaimed() (forgotten []Cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.found)) {
		if _, kept := s.lines[key]; kept && !s.claimed[key] {
			c := s.found[key]
			c.Totals.Gaps += c.unfinished()
			s.end(key, c.Totals)
			forgotten = append(forgotten, c)
			s.sorted = nil
		}
	}
	return forgotten
}

// Save merges the moved cursors into the saved ones and writes them all, with the spool's state. On an error nothing is forgotten: the next save
// has them too. Only the keeper calls it.
func (s *Store) Save(moved []Cursor, spool []byte) error {
	s.mu.Lock()
	for _, c := range moved {
		_, known := s.lines[c.Key]
		if known == c.Gone {
			s.sorted = nil
		}
		if c.Gone {
			s.end(c.Key, c.Totals)
		} else {
			s.lines[c.Key] = encodeCursor(c)
			s.totals[c.Key] = c.Totals
		}
	}
	ended := s.ended
	s.mu.Unlock()
	if s.sorted == nil {
		s.sorted = slices.Sorted(maps.Keys(s.lines))
	}
	s.text = appendCursors(s.text[:0], s.sorted, s.lines, ended, spool)
	if err := s.write(s.text); err != nil {
		return fmt.Errorf("save cursors: %w", err)
	}
	return nil
}

// end removes a target's line; its totals stay in the sum. Call it with mu held.
func (s *Store) end(key string, t Totals) {
	delete(s.lines, key)
	delete(s.totals, key)
	s.ended.Add(t)
}

// Totals are those of every target that has a cursor, by key, and the sum of those that have none any more: the lane's
// lifetime, as of the last call of Save. Any goroutine may ask.
func (s *Store) Totals() (targets map[string]Totals, ended Totals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.totals), s.ended
}

func (s *Store) write(text []byte) error {
	if err := s.disk.MkdirAll(s.dir); err != nil {
		return err
	}
	path := filepath.Join(s.dir, cursorsFile)
	f, err := s.disk.Create(path + tmpSuffix)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := s.disk.Rename(path, path+oldSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.disk.Rename(path+tmpSuffix, path); err != nil {
		return err
	}
	return s.disk.SyncFolder(s.dir)
}
