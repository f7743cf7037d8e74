package spool

import (
	"fmt"
	"io"
	"slices"

	"github.com/leatd/leat/pipeline"
)

// makeRoom sees to it that so many more bytes fit into the last file, or a new one, and under the bound.
func (s *Spool) makeRoom(n int64) error {
	if s.out != nil {
		if f := s.files[len(s.files)-1]; f.size+n > s.SegmentBytes {
			if err := s.seal(); err != nil {
				s.Log.Warn("a file of the spool could not be closed; it is whole, and a new one is begun", "file", f.path, "error", err)
			}
		}
	}
	for first := true; ; first = false {
		s.mu.Lock()
		need := s.bytes() + n
		s.mu.Unlock()
		if s.out == nil {
			need += headSize
		}
		switch {
		case need <= s.MaxBytes:
			return nil
		case first:
			s.clean()
		case !s.DropOldest || len(s.files) == 0 || headSize+n > s.MaxBytes: // which no drop would make fit
			return pipeline.ErrSpoolFull
		default:
			if err := s.dropOldest(); err != nil {
				return err
			}
		}
	}
}

// dropOldest gives up the oldest file: what of it is neither settled nor under way is dropped, and counted by target. It
// looks at the headers only. If the disk does not give them nothing is dropped, since nobody would know whose lines.
func (s *Spool) dropOldest() error {
	f := s.files[0]
	src, err := s.disk.Open(f.path)
	if err == nil {
		defer src.Close()
		_, err = s.headers(f, src, nil)
	}
	if gone(err) != nil {
		return fmt.Errorf("spool: its oldest file has to go and cannot be read: %w", err)
	}
	if len(s.files) == 1 {
		s.seal() // the file goes, whatever close says
	}
	s.mu.Lock()
	reached, settled := s.main.number, s.saved // before anything behind the file is settled and saved
	for _, t := range s.targets {
		t.spare(f)
	}
	s.leave(f)
	s.dooming = true
	s.version++
	s.mu.Unlock()

	seen := uint64(0)
	if err == nil {
		seen, _ = s.headers(f, src, func(p *prelude, segments headerReader) { s.doom(p, segments, reached, settled) })
	}

	s.mu.Lock()
	lines := int64(0)
	for _, t := range s.targets {
		if t.doomed.segments > 0 {
			lines += t.doomed.lines
			s.drop(t, t.doomed, pipeline.SpoolFull)
			t.doomed = holding{}
		}
	}
	s.dooming = false
	if reached <= f.first { // else some of what nobody has seen is counted already
		s.damaged += int64(f.next - f.first - seen)
	}
	s.discard(f)
	s.mu.Unlock()
	s.clean()
	if !s.drops {
		s.drops = true
		s.Log.Error("the spool is full: its oldest lines are dropped and counted as spool_full; the sink is down for too long, or spool.max_bytes is too small",
			"folder", s.Dir, "max_bytes", s.MaxBytes, "lines", lines)
	}
	return nil
}

// headers gives out the headers of a file's records, and tells how many there are.
func (s *Spool) headers(f *file, src io.ReaderAt, each func(*prelude, headerReader)) (seen uint64, err error) {
	w := &s.dropping
	w.open(again{src}, f.mark)
	w.end = f.end
	for off, number := int64(headSize), f.first; ; {
		p, at, err := w.seek(off, number)
		if err == io.EOF || err == nil && p.number >= f.next {
			return seen, nil
		}
		if err != nil {
			return seen, err
		}
		off, number = at+p.size(), p.number+1
		segments, err := w.segments(&p, at)
		switch {
		case err == errDamaged:
			continue
		case err != nil:
			return seen, err
		}
		seen++
		if each != nil {
			each(&p, segments)
		}
	}
}

// doom finds out what is lost with a record. No more of its file is put under way; what was is spared: it will be
// delivered, or is lost when it comes home. The reader has not seen what is from reached on, and what is before settled is settled.
func (s *Spool) doom(p *prelude, segments headerReader, reached, settled uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; ; i++ {
		seg, ok := segments.next()
		if !ok {
			return
		}
		t, here := s.of(&seg), spot{p.number, i}
		if p.number < settled || here.before(t.bound) || slices.Contains(t.spared, here) {
			continue
		}
		if p.number >= reached && s.blinded(p.number) {
			s.find(t, holds(&seg.Segment), seg.began)
		}
		t.doomed.add(holds(&seg.Segment))
	}
}

// discard puts a file with those that are to be removed. Call it with both locks held.
func (s *Spool) discard(f *file) {
	s.trash = append(s.trash, f)
	s.litter += f.size
}

// sweep removes what is settled by the state that is on disk. If somebody is writing it is his to do.
func (s *Spool) sweep() {
	for s.settled() && s.appending.TryLock() {
		s.clean()
		done := len(s.trash) > 0 // the disk does not let go of them: later
		s.appending.Unlock()
		if done {
			return
		}
	}
}

// settled tells that there is a file to remove.
func (s *Spool) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.litter > 0 || len(s.files) > 0 && s.disposable(s.files[0])
}

// disposable tells that nothing of a file is wanted any more. Call it with mu held.
func (s *Spool) disposable(f *file) bool { return f.next <= s.saved }

// leave takes the oldest file from the list, and whoever reads it to the next one. Call it with both locks held.
func (s *Spool) leave(f *file) {
	s.files = slices.Delete(s.files, 0, 1)
	f.gone = true
	if s.main.file == f {
		s.main.number = max(s.main.number, f.next)
		s.main = s.start()
	}
	for _, t := range s.aside {
		if t.from.file == f {
			t.from = s.start()
		}
	}
}

// start is where the oldest file begins; without one, where the reader is. Call it with mu held.
func (s *Spool) start() place {
	if len(s.files) == 0 {
		return place{number: s.main.number}
	}
	return place{s.files[0], headSize, s.files[0].first}
}

// clean removes files. Call it with appending held.
func (s *Spool) clean() {
	s.mu.Lock()
	for len(s.files) > 0 && s.disposable(s.files[0]) {
		f := s.files[0]
		s.leave(f)
		s.discard(f)
	}
	empty := len(s.files) == 0
	s.mu.Unlock()
	if empty {
		s.seal() // the file goes, whatever close says
		s.drops = false
	}
	trash := s.trash
	s.trash = nil
	var failed error
	for _, f := range trash {
		if err := gone(s.disk.Remove(f.path)); err != nil {
			s.trash, failed = append(s.trash, f), err
			continue
		}
		s.mu.Lock()
		s.litter -= f.size
		s.mu.Unlock()
	}
	switch {
	case failed != nil && !s.stuck:
		s.Log.Error("files of the spool that are done with cannot be removed; remove them, or make the folder writable",
			"folder", s.Dir, "files", len(s.trash), "error", failed)
	case failed == nil && s.stuck:
		s.Log.Info("files of the spool can be removed again", "folder", s.Dir)
	}
	s.stuck = failed != nil
}
