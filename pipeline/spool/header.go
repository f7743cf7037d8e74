package spool

import (
	"encoding/binary"

	"github.com/leatd/leat/pipeline"
)

// A stored is one segment as a record's header has it. Its slices lie in the header.
type stored struct {
	pipeline.Segment        // Target is not set; First counts from the record's first line
	began            int64  // the first line's time
	key              []byte // the target's
	identity         []byte // the whole of it
}

const (
	bitRaw = 1 << iota // of an identity
)

const (
	bitSkip   = 1 << iota // of a segment
	bitStderr             // of a part
)

// appendIdentity writes all that makes a target: its key first, so that it can be looked up.
func appendIdentity(dst []byte, t *pipeline.Target) []byte {
	for _, s := range [...]string{t.Key, t.Namespace, t.Pod, t.UID, t.Container, t.Path, t.Node} {
		dst = appendString(dst, s)
	}
	flags := byte(0)
	if t.Raw {
		flags |= bitRaw
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(len(t.Labels)))
	for _, l := range t.Labels {
		dst = appendString(appendString(dst, l.Name), l.Value)
	}
	return dst
}

func parseIdentity(b []byte) *pipeline.Target {
	r := bytesReader{rest: b}
	t := new(pipeline.Target)
	for _, s := range [...]*string{&t.Key, &t.Namespace, &t.Pod, &t.UID, &t.Container, &t.Path, &t.Node} {
		*s = string(r.bytes())
	}
	t.Raw = r.byte()&bitRaw != 0
	for n := r.count(2); n > 0; n-- {
		t.Labels = append(t.Labels, pipeline.Label{Name: string(r.bytes()), Value: string(r.bytes())})
	}
	return t
}

// soundIdentity tells that parseIdentity will do, and allocates nothing.
func soundIdentity(b []byte) bool {
	r := bytesReader{rest: b}
	for range 7 {
		r.bytes()
	}
	r.byte()
	for n := r.count(2); n > 0; n-- {
		r.bytes()
		r.bytes()
	}
	return !r.bad && len(r.rest) == 0
}

// appendHeader writes a record's header: how many segments it has, and what they are. scratch is reused.
func appendHeader(dst []byte, scratch *[]byte, pieces []pipeline.Piece) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(pieces)))
	for _, p := range pieces {
		dst, *scratch = appendSegment(dst, *scratch, p.Block, p.Segment)
	}
	return dst
}

// appendSegment writes what a header says of a segment of b. scratch is for the identity.
func appendSegment(dst, scratch []byte, b *pipeline.Block, s *pipeline.Segment) (grown, used []byte) {
	scratch = appendIdentity(scratch[:0], s.Target.Target)
	dst = append(binary.AppendUvarint(dst, uint64(len(scratch))), scratch...)
	dst = appendGeneration(dst, s.Generation)
	dst = binary.AppendVarint(dst, s.Start)
	dst = binary.AppendVarint(dst, s.End-s.Start)
	for _, n := range [...]uint64{uint64(s.N), uint64(s.Bytes), uint64(s.CutBytes)} {
		dst = binary.AppendUvarint(dst, n)
	}
	began := s.Time
	if s.N > 0 {
		began = b.Records[s.First].Time
	}
	dst = binary.AppendVarint(dst, began)
	dst = binary.AppendVarint(dst, s.Time-began)
	flags := byte(0)
	if s.Skip {
		flags |= bitSkip
	}
	dst = append(dst, byte(s.Any), byte(s.All), flags)
	dst = binary.AppendUvarint(dst, uint64(len(s.Parts)))
	for _, p := range s.Parts {
		flags := byte(0)
		if p.Stderr {
			flags |= bitStderr
		}
		dst = appendGeneration(append(dst, flags), p.ID)
		dst = binary.AppendVarint(binary.AppendVarint(dst, p.Offset), p.Length)
	}
	return dst, scratch
}

func appendGeneration(dst []byte, id pipeline.GenerationID) []byte {
	return binary.LittleEndian.AppendUint64(binary.AppendVarint(dst, int64(id.Restart)), id.Hash)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// A headerReader gives out the segments of a record one after the other. It was looked through before: all are sound.
type headerReader struct {
	bytesReader
	left  int
	first int
}

// newHeaderReader takes a decompressed header, if all of it can be read.
func newHeaderReader(raw []byte) (headerReader, error) {
	r := headerReader{bytesReader: bytesReader{rest: raw}}
	r.left = r.count(1)
	look := r
	for {
		s, ok := look.next()
		if !ok {
			break
		}
		look.bad = look.bad || !soundIdentity(s.identity)
	}
	if look.bad || len(look.rest) > 0 {
		return headerReader{}, errDamaged
	}
	return r, nil
}

// next is the next segment, false after the last.
func (r *headerReader) next() (s stored, ok bool) {
	if r.left == 0 || r.bad {
		return s, false
	}
	r.left--
	s.identity = r.bytes()
	id := bytesReader{rest: s.identity}
	s.key = id.bytes()
	s.Generation = r.generation()
	s.Start = r.varint()
	s.End = s.Start + r.varint()
	s.First, s.N = r.first, int(r.limited(maxBody))
	s.Bytes, s.CutBytes = int64(r.limited(maxBody)), int64(r.limited(1<<48))
	r.first += s.N
	s.began = r.varint()
	s.Time = s.began + r.varint()
	s.Any, s.All = pipeline.Flags(r.byte()), pipeline.Flags(r.byte())
	s.Skip = r.byte()&bitSkip != 0
	for n := r.count(4); n > 0 && !r.bad; n-- {
		s.Parts = append(s.Parts, pipeline.Part{
			Stderr: r.byte()&bitStderr != 0, ID: r.generation(), Offset: r.varint(), Length: r.varint(),
		})
	}
	if r.first > maxBody {
		r.bad = true
	}
	return s, !r.bad
}

// A bytesReader reads what the append functions wrote. What doesn't fit makes it bad, and all that follows zero.
type bytesReader struct {
	rest []byte
	bad  bool
}

func (r *bytesReader) fail() { r.rest, r.bad = nil, true }

func (r *bytesReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *bytesReader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// limited is a number that may be at most so high.
func (r *bytesReader) limited(most uint64) uint64 {
	v := r.uvarint()
	if v > most {
		r.fail()
		return 0
	}
	return v
}

// count is how many things follow of which each takes so many bytes at least.
func (r *bytesReader) count(least int) int {
	v := r.uvarint()
	if v > uint64(len(r.rest)/least) {
		r.fail()
		return 0
	}
	return int(v)
}

func (r *bytesReader) byte() byte {
	if len(r.rest) == 0 {
		r.fail()
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *bytesReader) bytes() []byte {
	n := r.count(1)
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *bytesReader) generation() (id pipeline.GenerationID) {
	id.Restart = int(r.varint())
	if len(r.rest) < 8 {
		r.fail()
		return id
	}
	id.Hash = binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return id
}
