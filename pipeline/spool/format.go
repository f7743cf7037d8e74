package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	suffix      = ".spool"
	magic       = "LEATSPL\x01" // the last byte is the version
	headSize    = 28
	preludeSize = 56

	// maxHeader and maxBody bound what a record may ask a reader to allocate. A block is a thousandth of it.
	maxHeader = 64 << 20
	maxBody   = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// A mark begins each record of one file, and was drawn for it: no line of a log can look like a record by design.
type mark [8]byte

func newMark() (m mark) {
	rand.Read(m[:]) // it never fails
	return m
}

// A fileHead is what a file begins with.
type fileHead struct {
	mark     mark
	previous uint64 // the number behind the last record that was acknowledged before this file was made
}

func (h fileHead) append(dst []byte) []byte {
	from := len(dst)
	dst = append(append(dst, magic...), h.mark[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, h.previous)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[from:]))
}

// parseHead reads the beginning of a file. It is whole if its checksum fits; then the version may still be another.
func parseHead(b []byte) (h fileHead, version byte, whole bool) {
	if len(b) < headSize || string(b[:len(magic)-1]) != magic[:len(magic)-1] ||
		checksum(b[:headSize-4]) != binary.LittleEndian.Uint32(b[headSize-4:]) {
		return h, 0, false
	}
	copy(h.mark[:], b[8:])
	h.previous = binary.LittleEndian.Uint64(b[16:])
	return h, b[len(magic)-1], true
}

// A prelude is the fixed beginning of a record.
type prelude struct {
	number      uint64
	previous    uint64 // as in the file's head, for the case that that is damaged
	rank, count uint32 // which record it is of how many of its Append
	header      uint32 // bytes
	body        uint32 // bytes, compressed
	unpacked    uint32 // bytes, decompressed
	headerSum   uint32
	bodySum     uint32
}

// size is the whole record's.
func (p *prelude) size() int64 { return preludeSize + int64(p.header) + int64(p.body) }

func (p *prelude) append(dst []byte, m mark) []byte {
	from := len(dst)
	dst = append(dst, m[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, p.number)
	dst = binary.LittleEndian.AppendUint64(dst, p.previous)
	for _, v := range [...]uint32{p.rank, p.count, p.header, p.body, p.unpacked, p.headerSum, p.bodySum} {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[from:]))
}

func parsePrelude(b []byte, m mark) (p prelude, ok bool) {
	if len(b) < preludeSize || !bytes.Equal(b[:8], m[:]) || checksum(b[:preludeSize-4]) != binary.LittleEndian.Uint32(b[preludeSize-4:]) {
		return p, false
	}
	p.number = binary.LittleEndian.Uint64(b[8:])
	p.previous = binary.LittleEndian.Uint64(b[16:])
	for i, v := range [...]*uint32{&p.rank, &p.count, &p.header, &p.body, &p.unpacked, &p.headerSum, &p.bodySum} {
		*v = binary.LittleEndian.Uint32(b[24+4*i:])
	}
	return p, p.rank < p.count && uint64(p.rank) < p.number && p.header <= maxHeader && p.body <= maxBody && p.unpacked <= maxBody
}

// A file is one segment file. All but its size is known to readers, under the spool's mutex.
type file struct {
	fileHead
	path   string
	first  uint64   // the number of its first record; its name
	next   uint64   // the number behind its last record
	end    int64    // so far records are acknowledged: readers stop here
	size   int64    // bytes on disk
	gone   bool     // it is off the list: removed, or soon to be
	told   bool     // the log has heard of damage in it
	ruined []uint64 // records whose body could not be read
}

func fileName(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", first, suffix))
}

// parseName tells which record a file begins with, and whether it is one of ours at all.
func parseName(name string) (first uint64, ours bool) {
	hex, ok := strings.CutSuffix(name, suffix)
	if !ok || len(hex) != 16 || strings.ToLower(hex) != hex {
		return 0, false
	}
	first, err := strconv.ParseUint(hex, 16, 64)
	return first, err == nil && first > 0
}
