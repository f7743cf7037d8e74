package sinks

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// A compressor turns the pieces of one body into what goes over the wire. It keeps no piece.
type compressor interface {
	begin()
	add(piece []byte)
	end() []byte // valid until the next begin
}

// compressions are what OTLPFormat and NDJSONFormat know, the default first.
var compressions = [...]string{"gzip", "zstd", "none"}

func checkCompression(name string) error {
	if name == "" || slices.Contains(compressions[:], name) {
		return nil
	}
	return fmt.Errorf("compression: %q is none of gzip, zstd, none", name)
}

// contentEncoding is the HTTP header's value that goes with a compression.
func contentEncoding(name string) string {
	switch name {
	case "":
		return compressions[0]
	case "none":
		return ""
	}
	return name
}

// newCompressor makes the compressor of that name, which checkCompression has accepted.
func newCompressor(name string) compressor {
	switch name {
	case "", "gzip":
		return newGzipMember()
	case "zstd":
		return newZstdFrame()
	case "none":
		return new(plain)
	}
	panic("sinks: compression " + name + " was not validated")
}

// plain is the body as it is.
type plain struct{ out []byte }

func (c *plain) begin()           { c.out = c.out[:0] }
func (c *plain) add(piece []byte) { c.out = append(c.out, piece...) }
func (c *plain) end() []byte      { return c.out }

// Write makes plain the place where the streaming compressors put their output.
func (c *plain) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return len(p), nil
}

// snappyBlock makes one block of the snappy block format. Such a block is its uncompressed length followed by elements
// that refer at most to what came before them, so the elements of pieces compressed one by one can stand in a row:
// only the length has to be that of all of them.
type snappyBlock struct {
	out []byte // maxPreamble bytes of room, then elements
	n   int    // uncompressed
}

// maxPreamble is the length of the longest block length: 32 bits as a varint.
const maxPreamble = binary.MaxVarintLen32

func (c *snappyBlock) begin() {
	if c.out == nil {
		c.out = make([]byte, maxPreamble, s2.MaxEncodedLen(pieceSize))
	}
	c.out, c.n = c.out[:maxPreamble], 0
}

func (c *snappyBlock) add(piece []byte) {
	if len(piece) == 0 {
		return
	}
	// The library writes a preamble of the piece's own. It is laid over the end of what is there already, which is put
	// back afterwards: cheaper than moving the elements.
	pre := uvarintLen(uint64(len(piece)))
	at := len(c.out) - pre
	c.out = slices.Grow(c.out, s2.MaxEncodedLen(len(piece)))
	var under [maxPreamble]byte
	copy(under[:], c.out[at:at+pre])
	encoded := s2.EncodeSnappy(c.out[at:cap(c.out)], piece)
	copy(c.out[at:at+pre], under[:pre])
	c.out = c.out[:at+len(encoded)]
	c.n += len(piece)
}

func (c *snappyBlock) end() []byte {
	start := maxPreamble - uvarintLen(uint64(c.n))
	binary.PutUvarint(c.out[start:], uint64(c.n))
	return c.out[start:]
}

// gzipLevel is where the library's levels stop being equally quick: 3 costs a fifth more. 1 would need 0.4 MiB less and
// makes requests 2 to 5 % larger.
const gzipLevel = 2

// gzipMember makes one gzip member.
type gzipMember struct {
	plain
	w *gzip.Writer
}

func newGzipMember() *gzipMember {
	c := new(gzipMember)
	w, err := gzip.NewWriterLevel(&c.plain, gzipLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	c.w = w
	return c
}

// Writing to a slice cannot fail, so the errors of the two streaming compressors can only be a misuse of them.

func (c *gzipMember) begin()           { c.plain.begin(); c.w.Reset(&c.plain) }
func (c *gzipMember) add(piece []byte) { _, err := c.w.Write(piece); must(err) }
func (c *gzipMember) end() []byte      { must(c.w.Close()); return c.out }

// zstdWindow is how far back in a body a match can lie. Twice that costs 4 to 10 % more CPU and makes a backlog no
// smaller, and batches of many containers one part in a hundred.
const zstdWindow = 64 << 10

// zstdFrame makes one zstandard frame. At the beginning and at the end of a frame the library allocates a few bytes.
type zstdFrame struct {
	plain
	w *zstd.Encoder
}

func newZstdFrame() *zstdFrame {
	c := new(zstdFrame)
	w, err := zstd.NewWriter(&c.plain,
		zstd.WithEncoderConcurrency(1), // in the caller's goroutine
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(zstdWindow),
		zstd.WithLowerEncoderMem(true))
	must(err) // the options are constants
	c.w = w
	return c
}

func (c *zstdFrame) begin()           { c.plain.begin(); c.w.Reset(&c.plain) }
func (c *zstdFrame) add(piece []byte) { _, err := c.w.Write(piece); must(err) }
func (c *zstdFrame) end() []byte      { must(c.w.Close()); return c.out }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
