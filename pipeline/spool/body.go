package spool

import (
	"encoding/binary"

	"github.com/leatd/leat/pipeline"
)

// appendBody writes the lines of one record: the length of what is said of them, in four bytes; for each its time, length,
// place and flags; and then nothing but their bodies.
func appendBody(dst []byte, pieces []pipeline.Piece) []byte {
	from := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	for _, p := range pieces {
		var at, pos int64
		records := p.Block.Of(p.Segment)
		for i := range records {
			r := &records[i]
			dst = binary.AppendVarint(dst, r.Time-at)
			dst = binary.AppendUvarint(dst, uint64(r.Len))
			dst = binary.AppendVarint(dst, int64(r.Pos)-pos)
			dst = append(dst, byte(r.Flags))
			at, pos = r.Time, int64(r.Pos)
		}
	}
	binary.LittleEndian.PutUint32(dst[from:], uint32(len(dst)-from-4))
	for _, p := range pieces {
		records := p.Block.Of(p.Segment)
		for i := range records {
			dst = append(dst, p.Block.Body(&records[i])...)
		}
	}
	return dst
}

// A bodyReader gives out the lines of a decompressed body, segment by segment. It was looked through before.
type bodyReader struct {
	notes bytesReader
	next  int // where the next body begins in the whole
}

// newBodyReader tells whether a body holds so many lines and nothing else.
func newBodyReader(raw []byte, lines int) (r bodyReader, ok bool) {
	if len(raw) < 4 {
		return r, false
	}
	n := binary.LittleEndian.Uint32(raw)
	if uint64(n) > uint64(len(raw)-4) {
		return r, false
	}
	r = bodyReader{bytesReader{rest: raw[4 : 4+n]}, int(4 + n)}
	look, bodies := r, uint64(len(raw))-4-uint64(n)
	for range lines {
		_, length, _, _ := look.note()
		if look.notes.bad || length > bodies {
			return r, false
		}
		bodies -= length
	}
	return r, bodies == 0 && len(look.notes.rest) == 0
}

func (r *bodyReader) note() (time int64, length uint64, pos int64, flags byte) {
	return r.notes.varint(), r.notes.uvarint(), r.notes.varint(), r.notes.byte()
}

// read appends the next n lines to dst, with offsets as if the whole body lay at base. It returns where in the whole
// their bodies begin and end.
func (r *bodyReader) read(dst []pipeline.Record, n, base int) (records []pipeline.Record, from, to int) {
	from = r.next
	var at, pos int64
	for range n {
		time, length, where, flags := r.note()
		at, pos = at+time, pos+where
		dst = append(dst, pipeline.Record{
			Time: at, Off: uint32(base + r.next), Len: uint32(length), Pos: uint32(pos), Flags: pipeline.Flags(flags),
		})
		r.next += int(length)
	}
	return dst, from, r.next
}

// skip passes over the next n lines.
func (r *bodyReader) skip(n int) {
	for range n {
		_, length, _, _ := r.note()
		r.next += int(length)
	}
}
