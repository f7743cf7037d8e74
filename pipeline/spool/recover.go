package spool

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// New makes a spool of what its folder holds. Damage never keeps it from that; a folder that leatd may not use does.
func New(o Options) (*Spool, error) {
	s := &Spool{Options: o.withDefaults(), targets: make(map[string]*target)}
	state, left, err := parseState(o.State)
	if err != nil {
		s.Log.Error("the saved state of the spool cannot be used: all that is in it is sent again", "folder", s.Dir, "error", err)
	}
	for key, old := range left {
		t := s.meet(key, nil)
		t.settled, t.totals = old.settled, old.totals
	}
	s.ended = state.Ended.totals()
	s.saved, s.offered = state.Position, state.Position
	s.next = max(1, state.Next, o.After+1)
	r := recovery{Spool: s, state: state, known: s.next}
	if err := r.run(); err != nil {
		return nil, fmt.Errorf("spool: %w: leatd must be able to read and write its own spool; check the folder's owner and mode", err)
	}
	for key, t := range s.targets {
		if s.done(t, s.position()) {
			s.retire(key, t)
		}
	}
	s.version++
	s.appending.Lock()
	s.clean()
	s.appending.Unlock()
	return s, nil
}

// A recovery goes through what an earlier life has left, once. Nobody else has the spool yet.
type recovery struct {
	*Spool
	walk
	state   stateJSON
	known   uint64 // records below it were acknowledged, if they are not void
	body    []byte
	reached bool // a record that may be wanted
	seen    int  // intact headers
}

func (r *recovery) run() error {
	if err := r.list(); err != nil {
		return err
	}
	if len(r.files) == 0 {
		r.last = r.next
		r.main.number = r.last
		if r.state.Position < r.acknowledged() && r.state.Next > 0 {
			r.Log.Warn("the spool is empty, and its saved state knows records that are not settled: if that is of an older save nothing is missing, else somebody has removed files",
				"folder", r.Dir, "position", r.state.Position, "next", r.state.Next)
		}
		return nil
	}
	first := r.files[0].first
	r.main = place{r.files[0], headSize, first}
	if p := r.state.Position; p > 0 && p < first {
		r.Log.Warn("the spool begins behind its saved position: if that is of an older save nothing is missing, else somebody has removed files",
			"folder", r.Dir, "position", p, "first", first)
	}
	for i, f := range r.files {
		limit, end := uint64(0), f.size
		if i+1 < len(r.files) {
			limit = r.files[i+1].previous
		} else {
			var err error
			if limit, end, err = r.tail(f); err != nil {
				return err
			}
			limit = max(limit, r.acknowledged())
		}
		if err := r.scan(f, limit, end); err != nil {
			return err
		}
		r.last = f.next
	}
	r.main.number = max(r.main.number, min(r.state.Position, r.last))
	if r.held == 0 && len(r.blind) == 0 { // all of it was settled when the state was saved
		f := r.files[len(r.files)-1]
		r.main = place{f, f.end, r.last}
		r.saved = max(r.saved, r.last)
	}
	if hidden := r.hidden(); hidden > 0 {
		r.Log.Error("the spool is damaged: records of it cannot be found or read; they are counted when their turn comes, and the rest is sent",
			"folder", r.Dir, "records", hidden)
	}
	r.Log.Info("spool opened", "folder", r.Dir, "files", len(r.files), "bytes", r.bytes(), "records", r.seen, "segments_to_send", r.held)
	return nil
}

// acknowledged is behind the highest record of which saved state or cursors know that it was acknowledged.
func (r *recovery) acknowledged() uint64 {
	if r.state.Void > 0 {
		return max(r.state.Void, r.After+1)
	}
	return max(r.state.Next, r.After+1)
}

// void tells that a record was never acknowledged, though it may be whole.
func (r *recovery) void(number uint64) bool {
	return 0 < r.state.Void && r.state.Void <= number && number < r.state.Next
}

// hidden is how many records nobody has seen.
func (r *recovery) hidden() (n uint64) {
	for _, s := range r.blind {
		n += s.to - s.from
	}
	return n
}

// hide notes that records could not be seen, if they may be wanted.
func (r *recovery) hide(from, to uint64) {
	if from = max(from, r.state.Position); from < to {
		r.blind = append(r.blind, span{from, to})
	}
}

// list finds the files that are ours, in their order.
func (r *recovery) list() error {
	if err := r.disk.MkdirAll(r.Dir); err != nil {
		return err
	}
	names, err := r.disk.List(r.Dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		first, ours := parseName(name)
		if !ours {
			continue
		}
		f := &file{path: filepath.Join(r.Dir, name), first: first, next: first, end: headSize}
		version, legible, err := r.look(f)
		if err != nil {
			return err
		}
		r.next = max(r.next, first+1)
		if version != magic[len(magic)-1] {
			r.Log.Error("a file of the spool was written by another version of leatd: it is left alone and its lines are not sent; start that version again, or remove the file",
				"file", f.path, "version", version, "known", magic[len(magic)-1])
			continue
		}
		if legible && f.mark == (mark{}) {
			if f.size > headSize {
				r.Log.Error("a file of the spool is damaged at its beginning, and nothing in it can be found", "file", f.path)
			}
			r.discard(f) // or it was just made when leatd ended
			continue
		}
		r.files = append(r.files, f)
	}
	return nil
}

// look takes up a file's size and head. A head that the disk doesn't give now it may give later.
func (r *recovery) look(f *file) (version byte, legible bool, err error) {
	f.previous = f.first
	src, err := r.disk.Open(f.path)
	if err != nil {
		return 0, false, err
	}
	defer src.Close()
	if f.size, err = src.Size(); err != nil {
		return 0, false, err
	}
	version, f.fileHead, err = readHead(again{src}, f.first)
	if err != nil {
		r.Log.Error("the beginning of a file of the spool cannot be read; it is tried again when its turn comes", "file", f.path, "error", err)
	}
	return version, err == nil, nil
}

// readHead reads the beginning of a file. Where it is damaged the first record tells the file's mark; without a mark nothing
// can be found in the file.
func readHead(src io.ReaderAt, first uint64) (version byte, h fileHead, err error) {
	h.previous, version = first, magic[len(magic)-1]
	b := make([]byte, headSize+preludeSize)
	n, err := src.ReadAt(b, 0)
	if n < len(b) && err != io.EOF {
		return version, h, err
	}
	if head, its, whole := parseHead(b[:n]); whole {
		return its, head, nil
	}
	if n == len(b) {
		m := mark(b[headSize:])
		if p, ok := parsePrelude(b[headSize:], m); ok && p.number == first {
			h.mark, h.previous = m, p.previous
		}
	}
	return version, h, nil
}

// enter makes a file the one that is walked through. What the disk doesn't give of it counts as damaged while
// the scan lasts: the reader asks again.
func (r *recovery) enter(f *file, end int64) (io.Closer, error) {
	src, err := r.disk.Open(f.path)
	if err != nil {
		return nil, err
	}
	r.open(again{src}, f.mark)
	r.end, r.stubborn = end, true
	return src, nil
}

// again asks a disk that fails once more before it takes no for an answer. A record that could not be read when leatd
// starts, and can later, may come after younger ones, since nobody was told that the spool has it.
type again struct{ io.ReaderAt }

func (a again) ReadAt(p []byte, off int64) (n int, err error) {
	for range 3 {
		if n, err = a.ReaderAt.ReadAt(p, off); n == len(p) || err == io.EOF {
			break
		}
	}
	return n, err
}

// tail finds the end of what was acknowledged in the last file: behind its last Append, if that is whole. Of that one
// nobody may know; every other was followed by a write to the same file, which nothing but success is.
func (r *recovery) tail(f *file) (limit uint64, end int64, err error) {
	src, err := r.enter(f, f.size)
	if err != nil {
		return 0, 0, err
	}
	defer src.Close()
	if f.mark == (mark{}) { // the reader will try again
		return f.first, f.size, nil
	}
	var last struct {
		first uint64
		off   int64
		count uint32
		whole bool
	}
	off, expected := int64(headSize), f.first
	for {
		p, at, err := r.seek(off, expected)
		if err == io.EOF {
			break
		}
		if err != nil { // the reader will try again
			return expected, f.size, nil
		}
		r.next = max(r.next, p.number+1)
		if r.void(p.number) {
			return p.number, at, nil
		}
		if first := p.number - uint64(p.rank); first != last.first {
			last.first, last.off, last.count, last.whole = first, off, p.count, p.rank == 0
		} else if p.number != expected || at != off {
			last.whole = false
		}
		if p.number >= r.known && !r.sound(&p, at) {
			last.whole = false
		}
		off, expected = at+p.size(), p.number+1
	}
	if last.first >= r.known && !(last.whole && expected == last.first+uint64(last.count)) {
		r.Log.Info("the spool's last write was not finished before leatd ended; its lines are read from the logs again", "file", f.path)
		return last.first, last.off, nil
	}
	return expected, off, nil
}

// sound tells that all of a record is as it was written.
func (r *recovery) sound(p *prelude, at int64) bool {
	if _, err := r.segments(p, at); err != nil {
		return false
	}
	var err error
	r.body, err = readBody(r.src, p, at, r.body)
	return err == nil
}

// scan counts in what a file holds of records below the limit.
func (r *recovery) scan(f *file, limit uint64, end int64) error {
	src, err := r.enter(f, end)
	if err != nil {
		return err
	}
	defer src.Close()
	f.next = max(f.first, limit)
	f.end = max(end, headSize)
	off, expected := int64(headSize), f.first
	for {
		p, at, err := r.seek(off, expected)
		if err == nil && p.number >= limit {
			f.end = off
			err = io.EOF
		}
		if err != nil {
			break
		}
		r.hide(expected, p.number)
		r.record(&p, at)
		off, expected = at+p.size(), p.number+1
		r.next = max(r.next, expected)
		if r.reached = r.reached || p.number >= r.state.Position; !r.reached {
			r.main = place{f, off, expected}
		}
	}
	r.hide(expected, f.next)
	return nil
}

// record counts in one record.
func (r *recovery) record(p *prelude, at int64) {
	segments, err := r.segments(p, at)
	if err != nil {
		r.hide(p.number, p.number+1)
		return
	}
	r.seen++
	for i := 0; ; i++ {
		seg, ok := segments.next()
		if !ok {
			return
		}
		seg.Spooled = p.number
		if r.Cover != nil {
			r.Cover(string(seg.key), &seg.Segment)
		}
		t := r.of(&seg)
		if here := (spot{p.number, i}); p.number >= r.state.Position && !here.before(t.settled) {
			r.find(t, holds(&seg.Segment), seg.began)
		}
	}
}
