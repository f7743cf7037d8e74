package spool

import (
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/leatd/leat/pipeline"
)

// An outcome is what one step came to.
type outcome int

const (
	dry    outcome = iota // there is nothing to read
	passed                // a record was loaded, or passed over
	full                  // the next record has no room in the block
	fails                 // the disk fails
)

// step takes the next record on the main way, or on that of a target that is aside. The disk is asked without the mutex;
// what was decided before holds if the place is still the same.
func (r *reader) step(h *hand, only *target, b *pipeline.Block) outcome {
	at, end, next, more := r.advance(only)
	if !more {
		return dry
	}
	if h.at != at {
		if out := r.fetch(h, only, at, end, next); out != passed || h.at.file == nil {
			return out
		}
	}
	r.choose(h, only)
	if h.share.segments == 0 {
		r.commit(h, only, b, false)
		return passed
	}
	if !r.fits(h, b) {
		return full
	}
	h.stubborn = h.fails()
	body, err := readBody(h.disk, &h.pre, h.at.off, h.body)
	h.body = body
	if err != nil && err != errDamaged && !h.stubborn {
		return r.fail(h, err, h.file)
	}
	r.beat.Busy()
	if err == nil {
		r.recovered(h)
	}
	sound := err == nil && h.unpack(b)
	if !sound {
		h.records, h.data = b.Records, b.Data
	}
	r.commit(h, only, b, !sound)
	return passed
}

// choose looks which segments are wanted: of targets that are not aside, or of the one that is, what is not settled.
func (r *reader) choose(h *hand, only *target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.wanted, h.share, h.lines = h.wanted[:0], holding{}, 0
	if only != nil && h.pre.number >= r.main.number {
		r.rejoin(only) // damage lay between: the main way is not farther than here
		return
	}
	blind := only == nil && r.see(h.pre.number)
	segments := h.segments
	for i := 0; ; i++ {
		seg, ok := segments.next()
		if !ok {
			return
		}
		h.lines += seg.N
		t := r.of(&seg)
		settled := spot{h.pre.number, i}.before(t.settled)
		if blind && !settled {
			r.Spool.find(t, holds(&seg.Segment), seg.began)
			t.publish()
		}
		if only == nil && !settled && !t.aside && t.row.Held() {
			r.setAside(t, h.at)
		}
		if settled || only != nil && t != only || only == nil && t.aside {
			t = nil
		} else {
			h.share.add(holds(&seg.Segment))
		}
		h.wanted = append(h.wanted, t)
	}
}

// sparse tells that so little of a record is wanted that its lines are copied out of it.
func (h *hand) sparse() bool { return h.share.bytes < int64(h.pre.unpacked)/2 }

// fits tells whether the record's lines have room in the block. One that is larger than any block is, because it was
// written by a life with larger ones, gets a larger buffer; the next that isn't gives it back.
func (r *reader) fits(h *hand, b *pipeline.Block) bool {
	need := int(h.pre.unpacked)
	if h.sparse() {
		need = int(h.share.bytes)
	}
	if len(b.Segments) > 0 {
		return b.Data+need <= min(b.Room(), len(b.Buf)) && len(b.Records)+int(h.share.lines) <= cap(b.Records)
	}
	if size := max(need, r.size); size > len(b.Buf) || size < len(b.Buf) {
		b.Buf = make([]byte, size)
	}
	return true
}

// unpack decompresses the body into the block and makes records of what is wanted. It tells whether the body is sound.
func (h *hand) unpack(b *pipeline.Block) bool {
	h.records, h.data = b.Records, b.Data+int(h.pre.unpacked)
	raw := b.Buf[b.Data:min(h.data, len(b.Buf))]
	if h.sparse() {
		h.data = b.Data
		h.raw = slices.Grow(h.raw[:0], int(h.pre.unpacked))
		raw = h.raw[:h.pre.unpacked]
	}
	if _, err := s2.Decode(raw, h.body); err != nil {
		return false
	}
	body, ok := newBodyReader(raw, h.lines)
	if !ok {
		return false
	}
	segments := h.segments
	for _, t := range h.wanted {
		seg, _ := segments.next()
		if t == nil {
			body.skip(seg.N)
			continue
		}
		base := b.Data
		if h.sparse() {
			base = h.data - body.next
		}
		records, from, to := body.read(h.records, seg.N, base)
		h.records = records
		if h.sparse() {
			if h.data+to-from > len(b.Buf) {
				return false // the header says that it is less
			}
			h.data += copy(b.Buf[h.data:], raw[from:to])
		}
	}
	return true
}

// commit puts what is wanted of the record under way, and goes on to the next. Where the lines could not be read the
// segments go without them, to be settled in their turn.
func (r *reader) commit(h *hand, only *target, b *pipeline.Block, ruined bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.place(only)
	if *p != h.at {
		return // the file was dropped meanwhile
	}
	*p = place{h.file, h.at.off + h.pre.size(), h.pre.number + 1}
	r.version++
	if h.share.segments == 0 {
		return
	}
	if ruined {
		r.ruin(h.at)
	}
	first := len(b.Records)
	b.Records, b.Data = h.records, h.data
	segments := h.segments
	for i, t := range h.wanted {
		seg, _ := segments.next()
		if t == nil {
			continue
		}
		f := r.flight()
		*f = flight{target: t, place: h.at, index: i, epoch: t.epoch, share: holds(&seg.Segment), ruined: ruined}
		t.flights = append(t.flights, f)
		r.flying++
		s := seg.Segment
		if ruined {
			s.N, s.Bytes, s.CutBytes, s.Any, s.All = 0, 0, 0, 0, 0
		}
		s.Target, s.Epoch, s.Mark, s.First = t.row, t.epoch, f, first
		first += s.N
		b.Segments = append(b.Segments, s)
	}
}

// flight is a new one, or one that has come home.
func (r *reader) flight() *flight {
	n := len(r.free)
	if n == 0 {
		return new(flight)
	}
	f := r.free[n-1]
	r.free = r.free[:n-1]
	return f
}
