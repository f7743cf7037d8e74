package spool

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
)

// errDamaged is what a record is whose bytes are not those that were written.
var errDamaged = errors.New("the record is damaged")

const (
	window   = 4 << 10  // holds most preludes with their headers, so that one read is enough
	stride   = 64 << 10 // when a prelude is searched for
	diskPage = 4 << 10  // what is stepped over where the disk fails
)

// A walk goes through the preludes and headers of one file's records, and over what is damaged. It holds a little of the
// file and one header.
type walk struct {
	src      io.ReaderAt
	mark     mark
	end      int64
	stubborn bool // take what the disk fails to read for damage, and look behind it

	buf    []byte // src[base : base+len(buf)]
	base   int64
	header []byte
}

func (w *walk) open(src io.ReaderAt, m mark) { w.src, w.mark, w.buf = src, m, w.buf[:0] }

// at is n bytes of the file, or fewer where it ends; an error is the disk's.
func (w *walk) at(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.end-off))
	if n <= 0 {
		return nil, nil
	}
	if off < w.base || off+int64(n) > w.base+int64(len(w.buf)) {
		ahead := int(min(int64(max(n, window)), w.end-off))
		if cap(w.buf) < ahead {
			w.buf = make([]byte, ahead)
		}
		got, err := w.src.ReadAt(w.buf[:ahead], off)
		if err == io.EOF || got >= n {
			err = nil // a file that is shorter than it was is damaged
		}
		w.buf, w.base = w.buf[:got], off
		if err != nil {
			w.buf = w.buf[:0]
			return nil, err
		}
	}
	lo := off - w.base
	return w.buf[lo:min(lo+int64(n), int64(len(w.buf)))], nil
}

// seek finds the first intact prelude at off or behind it whose number is at least so high. It returns io.EOF where there
// is none.
func (w *walk) seek(off int64, least uint64) (p prelude, at int64, err error) {
	if w.mark == (mark{}) {
		return p, off, io.EOF
	}
	p, ok, err := w.prelude(off, least)
	if ok || err != nil && !w.stubborn {
		return p, off, err
	}
	failed, read := err, false
	for step, pos := stride, off+1; pos+preludeSize <= w.end; {
		chunk, err := w.at(pos, step)
		if err != nil {
			if !w.stubborn {
				return p, pos, err
			}
			if step == stride {
				step = diskPage
			} else {
				pos += diskPage
			}
			failed = err
			continue
		}
		if len(chunk) < len(w.mark) {
			break
		}
		read = true
		i := bytes.Index(chunk, w.mark[:])
		if i < 0 {
			pos += int64(len(chunk) - len(w.mark) + 1)
			continue
		}
		pos += int64(i)
		if p, ok, err = w.prelude(pos, least); ok || err != nil && !w.stubborn {
			return p, pos, err
		}
		pos++
	}
	if failed != nil && !read {
		return p, off, failed // nothing at all can be read: that is no damage
	}
	return p, w.end, io.EOF
}

// prelude is the record's at off, if there is a whole one.
func (w *walk) prelude(off int64, least uint64) (p prelude, ok bool, err error) {
	b, err := w.at(off, preludeSize)
	if err != nil {
		return p, false, err
	}
	p, ok = parsePrelude(b, w.mark)
	return p, ok && p.number >= least && off+p.size() <= w.end, nil
}

// segments reads a record's header. What it returns holds until the next call.
func (w *walk) segments(p *prelude, at int64) (headerReader, error) {
	b, err := w.at(at+preludeSize, int(p.header))
	if err != nil {
		return headerReader{}, err
	}
	n, err := s2.DecodedLen(b)
	if len(b) != int(p.header) || checksum(b) != p.headerSum || err != nil || n > maxHeader {
		return headerReader{}, errDamaged
	}
	if cap(w.header) < n {
		w.header = make([]byte, n)
	}
	raw, err := s2.Decode(w.header[:n], b)
	if err != nil {
		return headerReader{}, errDamaged
	}
	return newHeaderReader(raw)
}

// body reads a record's body, as it is on the disk.
func readBody(src io.ReaderAt, p *prelude, at int64, dst []byte) ([]byte, error) {
	if cap(dst) < int(p.body) {
		dst = make([]byte, p.body)
	}
	dst = dst[:p.body]
	n, err := src.ReadAt(dst, at+preludeSize+int64(p.header))
	switch {
	case n < len(dst) && err != io.EOF:
		return dst, err
	case n < len(dst) || checksum(dst) != p.bodySum:
		return dst, errDamaged
	}
	if n, err := s2.DecodedLen(dst); err != nil || n != int(p.unpacked) {
		return dst, errDamaged
	}
	return dst, nil
}
