package tail

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// A gunzip reads a compressed file as if it were the file that was compressed: by offsets of its decompressed bytes.
// Going on where the last read began, or later, never begins anew, since what it gave is kept; going further back does.
// It belongs to one goroutine and serves one file after the other.
type gunzip struct {
	of   *file // nil while it has none
	raw  *rawReader
	in   *bufio.Reader
	zip  *gzip.Reader
	at   int64  // decompressed bytes so far
	last []byte // the last of them
	err  error  // why there are no more; it stays until another file, or the same from its start, is begun
}

// readAt reads decompressed bytes of f: n < len(p) without an error is where they end, and broken then tells whether
// there were to be more. An error is the disk's.
func (z *gunzip) readAt(f *file, p []byte, off int64) (n int, err error) {
	if z.of != f || off < z.at-int64(len(z.last)) || z.diskErr() != nil {
		z.begin(f)
	}
	for off > z.at && z.err == nil { // over what is not wanted
		z.read(p[:min(int64(len(p)), off-z.at)])
		z.last = z.last[:0]
	}
	if from := off - (z.at - int64(len(z.last))); from >= 0 && from < int64(len(z.last)) {
		n = copy(p, z.last[from:])
	}
	if off+int64(n) == z.at {
		for n < len(p) && z.err == nil {
			n += z.read(p[n:])
		}
		z.last = append(z.last[:0], p[:n]...)
	}
	if err := z.diskErr(); err != nil && n < len(p) {
		return 0, fmt.Errorf("decompress %s: %w", *f.path.Load(), err)
	}
	return n, nil
}

func (z *gunzip) read(p []byte) int {
	n, err := z.zip.Read(p)
	z.at += int64(n)
	z.err = err
	return n
}

// broken is why the bytes end too early: what the file holds can't be decompressed further. It is nil if they don't.
func (z *gunzip) broken() error {
	if z.err == nil || z.err == io.EOF || z.diskErr() != nil {
		return nil
	}
	return z.err
}

func (z *gunzip) begin(f *file) {
	z.of, z.at, z.last = f, 0, z.last[:0]
	if z.in == nil {
		z.in, z.zip = bufio.NewReaderSize(nil, 32<<10), new(gzip.Reader)
	}
	z.raw = &rawReader{f: f}
	z.in.Reset(z.raw)
	if z.err = z.zip.Reset(z.in); z.err == io.EOF {
		z.err = io.ErrUnexpectedEOF // an empty file is no gzip file
	}
}

// A rawReader reads a file's own bytes in order.
type rawReader struct {
	f   *file
	off int64
}

func (r *rawReader) Read(p []byte) (int, error) {
	n, err := r.f.readAt(p, r.off)
	if err != nil {
		return 0, &diskError{err}
	}
	if n == 0 {
		return 0, io.EOF
	}
	r.off += int64(n)
	return n, nil
}

// A diskError comes from the disk, and not from what is on it: asking again may help.
type diskError struct{ error }

func (e *diskError) Unwrap() error { return e.error }

func (z *gunzip) diskErr() error {
	var e *diskError
	if z.err != nil && errors.As(z.err, &e) {
		return e
	}
	return nil
}
