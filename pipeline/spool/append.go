package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/leatd/leat/pipeline"
)

// Append writes segments behind all that the spool holds, in their order, all of them or none. A record is what follows
// one another of one block, which is all of the block but where the order of the pieces goes to and fro.
func (s *Spool) Append(pieces []pipeline.Piece) error {
	if len(pieces) == 0 {
		return nil
	}
	s.appending.Lock()
	err := s.append(pieces)
	s.appending.Unlock()
	s.sweep() // what Saved could not do meanwhile
	return err
}

func (s *Spool) append(pieces []pipeline.Piece) error {
	p := &s.parcel
	if err := p.pack(pieces, s.next); err != nil {
		return err
	}
	if err := s.makeRoom(p.size()); err != nil {
		return err
	}
	f, err := s.write(p)
	if err != nil {
		return fmt.Errorf("spool: %w: the logs wait in their files; make room or the disk writable", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.end, f.size = f.size+p.size(), f.size+p.size()
	s.next += uint64(len(p.records))
	s.last, f.next = s.next, s.next
	s.records += int64(len(p.records))
	for i := range p.records {
		rec := &p.records[i]
		for _, piece := range rec.pieces {
			seg := piece.Segment
			seg.Spooled = rec.number
			t := s.meet(seg.Target.Key, seg.Target.Target)
			began := seg.Time
			if seg.N > 0 {
				began = piece.Block.Records[seg.First].Time
			}
			s.hold(t, holds(seg), began)
			t.publish()
		}
	}
	clear(p.records)
	s.woken.Store(true)
	if s.bell != nil {
		s.bell.Ring()
	}
	return nil
}

// write puts a parcel at the end of the last file, or into a new one, and syncs it. A file in which anything failed is
// not written to again: what the kernel has of it and what the disk has may be two things.
func (s *Spool) write(p *parcel) (*file, error) {
	var f *file
	fresh := s.out == nil
	if fresh {
		f = &file{fileHead: fileHead{newMark(), s.last}, first: s.next, next: s.next, end: headSize}
		f.path = fileName(s.Dir, f.first)
		out, err := s.disk.Create(f.path)
		if err != nil {
			s.mu.Lock()
			s.next++ // it may be there all the same
			s.version++
			s.mu.Unlock()
			return nil, errors.Join(err, gone(s.disk.Remove(f.path)))
		}
		s.out = out
	} else {
		f = s.files[len(s.files)-1]
	}
	text := p.finish(f, fresh)
	_, err := s.out.Write(text)
	if err == nil {
		err = s.out.Sync()
	}
	if err == nil && fresh {
		err = s.disk.SyncFolder(s.Dir)
	}
	if err != nil {
		s.spoil(f, fresh, int64(len(text)), uint64(len(p.records)))
		return nil, err
	}
	if fresh {
		f.size = headSize
		s.mu.Lock()
		s.files = append(s.files, f)
		if s.main.file == nil {
			s.main = s.start()
		}
		for _, t := range s.aside {
			if t.from.file == nil { // it was in a file that was dropped
				t.from = s.start()
			}
		}
		s.mu.Unlock()
	}
	return f, nil
}

// spoil cleans up after a write that failed. Its record numbers are never used again: a power cut can bring back what is
// truncated or removed here, and then the next file's head, or the saved state, tells that it was not acknowledged.
func (s *Spool) spoil(f *file, fresh bool, wrote int64, records uint64) {
	truncated := s.out.Truncate(f.size) == nil
	s.out.Close()
	s.out = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next += records
	s.version++
	switch {
	case fresh:
		f.size = wrote
		s.discard(f)
	case !truncated:
		f.size += wrote
	}
}

// gone is why a file could not be removed, if it is there.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// seal ends the file that is written to.
func (s *Spool) seal() error {
	if s.out == nil {
		return nil
	}
	err := s.out.Close()
	s.out = nil
	return err
}

// A parcel is what one Append writes.
type parcel struct {
	records []outgoing
	text    []byte // room for a file's head, and the records
	raw     []byte
	scratch []byte
}

type outgoing struct {
	prelude
	pieces []pipeline.Piece
	at     int // where it begins in text
}

// size is the records' bytes.
func (p *parcel) size() int64 { return int64(len(p.text) - headSize) }

// pack makes records of pieces, numbered from next on. Their preludes are left open until the file is known.
func (p *parcel) pack(pieces []pipeline.Piece, next uint64) error {
	p.records, p.text = p.records[:0], append(p.text[:0], make([]byte, headSize)...)
	for len(pieces) > 0 {
		n := 1
		for n < len(pieces) && pieces[n].Block == pieces[0].Block {
			n++
		}
		rec := outgoing{prelude{number: next}, pieces[:n], len(p.text)}
		p.text = append(p.text, make([]byte, preludeSize)...)

		p.raw = appendHeader(p.raw[:0], &p.scratch, rec.pieces)
		if len(p.raw) > maxHeader/2 { // packed, it may be a little more
			return fmt.Errorf("spool: the header of a block would have %d bytes; at most %d can be kept", len(p.raw), maxHeader/2)
		}
		rec.header, rec.headerSum = p.add()

		p.raw = appendBody(p.raw[:0], rec.pieces)
		if len(p.raw) > maxBody/2 {
			return fmt.Errorf("spool: a block has %d bytes; at most %d can be kept", len(p.raw), maxBody/2)
		}
		rec.unpacked = uint32(len(p.raw))
		rec.body, rec.bodySum = p.add()

		p.records = append(p.records, rec)
		pieces = pieces[n:]
		next++
	}
	return nil
}

// add puts what is in raw behind the text, compressed.
func (p *parcel) add() (size, sum uint32) {
	at := len(p.text)
	p.text = slices.Grow(p.text, s2.MaxEncodedLen(len(p.raw)))
	packed := s2.Encode(p.text[at:cap(p.text)], p.raw)
	p.text = p.text[:at+len(packed)]
	return uint32(len(packed)), checksum(packed)
}

// finish writes the preludes, and returns what is to be written: with a head if the file is new.
func (p *parcel) finish(f *file, fresh bool) []byte {
	for i := range p.records {
		rec := &p.records[i]
		rec.previous, rec.rank, rec.count = f.previous, uint32(i), uint32(len(p.records))
		rec.append(p.text[rec.at:rec.at], f.mark)
	}
	if !fresh {
		return p.text[headSize:]
	}
	f.append(p.text[:0])
	return p.text
}
