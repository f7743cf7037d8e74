package sinks

import (
	"math/bits"

	"github.com/leatd/leat/pipeline"
)

// A record's id is "HASH-OFFSET", both in hexadecimal: 16 digits that stand for the file the record is in, and where in
// it the record begins. It is the same whenever and by whichever leatd the record is read: before and after a restart,
// under the file's old name and its new one, so a store can fold a record that reached it twice.
const (
	idPrefixLen = 16 + 1
	maxIDLen    = idPrefixLen + 16
)

const hexDigits = "0123456789abcdef"

// An idMaker makes the ids of one segment's records.
type idMaker struct {
	prefix [idPrefixLen]byte
	start  int64 // of the segment, in its file
}

// begin turns to the records of s.
func (m *idMaker) begin(s *pipeline.Segment) {
	h := generationHash(s.Target.Target, s.Generation)
	for i := range 16 {
		m.prefix[i] = hexDigits[h>>(60-4*i)&15]
	}
	m.prefix[16] = '-'
	m.start = s.Start
}

func (m *idMaker) offset(r *pipeline.Record) uint64 { return uint64(m.start) + uint64(r.Pos) }

// len is the length of the record's id.
func (m *idMaker) len(r *pipeline.Record) int {
	return idPrefixLen + (bits.Len64(m.offset(r)|1)+3)/4
}

// append appends the record's id, at most maxIDLen bytes.
func (m *idMaker) append(dst []byte, r *pipeline.Record) []byte {
	dst = append(dst, m.prefix[:]...)
	off := m.offset(r)
	for shift := (bits.Len64(off|1) - 1) &^ 3; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[off>>shift&15])
	}
	return dst
}

// generationHash is FNV-1a over what tells a file from every other in the cluster. A pod's uid does that for a
// container; a host file has the same path on every node, so its node's name takes part.
func generationHash(t *pipeline.Target, g pipeline.GenerationID) uint64 {
	h := uint64(14695981039346656037)
	if t.Container != "" {
		h = hashString(hashString(h, t.UID), t.Container)
	} else {
		h = hashString(hashString(h, t.Node), t.Path)
	}
	return hashUint64(hashUint64(h, uint64(g.Restart)), g.Hash)
}

const fnvPrime = 1099511628211

// hashString ends with a byte that no UTF-8 text holds, so that "ab","c" and "a","bc" differ.
func hashString(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return (h ^ 0xff) * fnvPrime
}

func hashUint64(h, v uint64) uint64 {
	for range 8 {
		h = (h ^ v&0xff) * fnvPrime
		v >>= 8
	}
	return h
}
