package spool

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A hand is how the reader goes through files: it holds the one that it is in, and the record that comes next.
type hand struct {
	walk
	file *file
	disk diskFile

	failing time.Time // when the disk began to fail; zero while it doesn't
	tries   int

	at       place // where that record is; without a file, there is none
	pre      prelude
	segments headerReader
	wanted   []*target // of each segment; nil where it is not wanted
	share    holding   // what is wanted of it
	lines    int       // of all of it
	body     []byte    // as on disk
	raw      []byte    // decompressed, where little of it is wanted

	records []pipeline.Record // the block's, with those of the record
	data    int               // how far the block's buffer is used with them
}

const (
	// failsFor is how long the disk may fail to give a piece of a file before that piece is taken for damaged.
	failsFor   = 5 * time.Minute
	retryFirst = 250 * time.Millisecond
	retryMost  = 15 * time.Second
)

// fails tells that the disk has failed for so long that it is no use to wait for what it doesn't give.
func (h *hand) fails() bool { return !h.failing.IsZero() && time.Since(h.failing) >= failsFor }

// close lets go of the hand's file.
func (h *hand) close() {
	if h.disk != nil {
		h.disk.Close()
	}
	h.file, h.disk, h.at = nil, nil, place{}
}

// fail notes that the disk doesn't give what is asked of it.
func (r *reader) fail(h *hand, err error, f *file) outcome {
	now := time.Now()
	if h.failing.IsZero() {
		h.failing = now
		r.Log.Error("the spool cannot be read: what is in it waits; look after the disk, or remove the file to give up its lines", "file", f.path, "error", err)
	}
	r.retry = now.Add(min(retryMost, retryFirst<<min(h.tries, 10)))
	h.tries++
	return fails
}

// recovered notes that the disk gives again.
func (r *reader) recovered(h *hand) {
	if !h.failing.IsZero() {
		r.Log.Info("the spool can be read again", "after", time.Since(h.failing).Round(time.Second), "failures", h.tries)
		h.failing, h.tries = time.Time{}, 0
	}
}

// place is where the main way is, or a target that is aside. Call it with mu held.
func (r *reader) place(only *target) *place {
	if only != nil {
		return &only.from
	}
	return &r.main
}

// advance goes on to the next file where one is through, and ends being aside where the main way is reached. It tells
// where the next record is, and how far acknowledged ones go in that file.
func (r *reader) advance(only *target) (at place, end int64, next uint64, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.place(only)
	for p.file != nil && p.off >= p.file.end {
		if p.number < p.file.next {
			if only == nil {
				r.damaged += int64(p.file.next - p.number)
				r.hurt(*p)
			}
			p.number = p.file.next
			r.version++
		}
		i := slices.Index(r.files, p.file) + 1
		if i == len(r.files) {
			break
		}
		*p = place{r.files[i], headSize, max(p.number, r.files[i].first)}
		r.version++
	}
	if only != nil && p.number >= r.main.number {
		r.rejoin(only)
		return place{}, 0, 0, false
	}
	if p.file == nil || p.off >= p.file.end {
		return place{}, 0, 0, false
	}
	return *p, p.file.end, p.file.next, true
}

// fetch finds the next record and its header. Where there is none, it moves the place to the end of the file; where the
// header is damaged, behind the record.
func (r *reader) fetch(h *hand, only *target, at place, end int64, next uint64) outcome {
	h.at = place{}
	nothing := place{at.file, end, max(at.number, next)}
	if h.file != at.file {
		h.close()
		d, err := r.disk.Open(at.file.path)
		if errors.Is(err, fs.ErrNotExist) {
			r.move(only, at, nothing)
			return passed
		}
		if err == nil {
			h.file, h.disk = at.file, d
			err = r.identify(h)
		}
		if err != nil {
			return r.fail(h, err, at.file)
		}
	}
	h.end, h.stubborn = end, h.fails()
	p, off, err := h.seek(at.off, at.number)
	switch {
	case err == io.EOF || err == nil && p.number >= next:
		r.move(only, at, nothing)
		return passed
	case err != nil:
		return r.fail(h, err, at.file)
	}
	here := place{at.file, off, p.number}
	if here != at {
		r.move(only, at, here)
	}
	h.at, h.pre = here, p
	h.segments, err = h.walk.segments(&p, off)
	switch {
	case err == nil:
		r.recovered(h)
		return passed
	case err != errDamaged && !h.stubborn:
		h.at = place{}
		return r.fail(h, err, at.file)
	}
	h.at = place{}
	r.move(only, here, place{at.file, off + p.size(), p.number + 1})
	return passed
}

// identify takes up a file that was opened. Its beginning may not have been readable when the spool was made.
func (r *reader) identify(h *hand) error {
	r.mu.Lock()
	m := h.file.mark
	r.mu.Unlock()
	if m == (mark{}) {
		_, head, err := readHead(h.disk, h.file.first)
		if err != nil {
			h.close()
			return err
		}
		m = head.mark
	}
	h.open(h.disk, m)
	return nil
}

// move takes a place on over what is damaged, unless somebody has dropped the file meanwhile. All between is lost; the
// main way counts it.
func (r *reader) move(only *target, from, to place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.place(only)
	if *p != from {
		return
	}
	*p = to
	r.version++
	if only == nil {
		r.damaged += int64(to.number - from.number)
		r.hurt(from)
	}
}

// ruin counts a record whose body cannot be read, once. Call it with mu held.
func (r *reader) ruin(at place) {
	if f := at.file; !slices.Contains(f.ruined, at.number) {
		f.ruined = append(f.ruined, at.number)
		r.damaged++
		r.hurt(at)
	}
}

// hurt tells of damage in a file, once.
func (r *reader) hurt(at place) {
	if !at.file.told {
		at.file.told = true
		r.Log.Error("a file of the spool is damaged: what cannot be read of it is counted as spool_damaged, the rest is sent",
			"file", at.file.path, "offset", at.off, "record", at.number)
	}
}

// blinded tells that nobody has seen a record when the spool was opened. Call it with mu held.
func (s *Spool) blinded(number uint64) bool {
	return slices.ContainsFunc(s.blind, func(b span) bool { return b.from <= number && number < b.to })
}

// see tells whether nobody had seen a record when the spool was opened, and that now somebody has. The main way sees them
// in order. Call it with mu held.
func (s *Spool) see(number uint64) bool {
	for len(s.blind) > 0 && s.blind[0].to <= number {
		s.blind = s.blind[1:]
	}
	if len(s.blind) == 0 || number < s.blind[0].from {
		return false
	}
	s.blind[0].from = number + 1
	return true
}
