package sinks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// errNotAFrame says that no whole zstd frame stands at a place.
var errNotAFrame = errors.New("not a whole zstd frame")

// frameEnd finds where the frame that begins at off ends, by its headers alone (RFC 8878, 3.1). size is the length of
// the file. It returns errNotAFrame if the frame is torn or is none, and any error of reading.
func frameEnd(r io.ReaderAt, off, size int64) (int64, error) {
	var b [14]byte
	read := func(n int64) ([]byte, error) {
		if n > size-off {
			return nil, errNotAFrame
		}
		if _, err := r.ReadAt(b[:n], off); err != nil {
			return nil, err
		}
		off += n
		return b[:n], nil
	}
	skip := func(n int64) error {
		if n > size-off {
			return errNotAFrame
		}
		off += n
		return nil
	}

	h, err := read(5)
	if err != nil {
		return 0, err
	}
	if binary.LittleEndian.Uint32(h) != 0xFD2FB528 {
		return 0, errNotAFrame
	}
	descriptor := h[4]
	single, checksum := descriptor>>5&1, descriptor>>2&1
	if descriptor&8 != 0 { // reserved
		return 0, errNotAFrame
	}
	sizeBytes := [4]int64{0, 2, 4, 8}[descriptor>>6]
	if sizeBytes == 0 && single == 1 {
		sizeBytes = 1
	}
	if err := skip(int64(1-single) + [4]int64{0, 1, 2, 4}[descriptor&3] + sizeBytes); err != nil {
		return 0, err
	}
	for last := false; !last; {
		h, err := read(3)
		if err != nil {
			return 0, err
		}
		header := uint32(h[0]) | uint32(h[1])<<8 | uint32(h[2])<<16
		last = header&1 == 1
		length := int64(header >> 3)
		switch header >> 1 & 3 {
		case 1: // one byte repeated
			length = 1
		case 3: // reserved
			return 0, errNotAFrame
		default:
			if length > 128<<10 {
				return 0, errNotAFrame
			}
		}
		if err := skip(length); err != nil {
			return 0, err
		}
	}
	if err := skip(4 * int64(checksum)); err != nil {
		return 0, err
	}
	return off, nil
}

// soundLength is how much of a segment is whole frames, of which the last one decodes.
func soundLength(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	var last, end int64
	for end < info.Size() {
		next, err := frameEnd(f, end, info.Size())
		if errors.Is(err, errNotAFrame) {
			break
		}
		if err != nil {
			return 0, err
		}
		last, end = end, next
	}
	if end == 0 {
		return 0, nil
	}
	// After a crash a file may have its length before it has its bytes.
	d, err := zstd.NewReader(io.NewSectionReader(f, last, end-last), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return 0, fmt.Errorf("zstd: %w", err)
	}
	defer d.Close()
	if _, err := io.Copy(io.Discard, d); err != nil {
		return last, nil
	}
	return end, nil
}
