package sinks

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
)

// writtenSeries remembers which series one gathering held, so that those that end can be marked: their hashes to find
// out that some did, and the bodies, which hold the labels of all in a twentieth of their size, to say which.
type writtenSeries struct {
	at     int64 // the time of the samples
	hashes []uint64
	bodies [][]byte
}

// keep puts each body and keeps a copy of it.
func (w *writtenSeries) keep(put func(body []byte, samples int) error) func(body []byte, samples int) error {
	return func(body []byte, samples int) error {
		w.bodies = append(w.bodies, bytes.Clone(body))
		return put(body, samples)
	}
}

func (w *writtenSeries) sort() {
	slices.Sort(w.hashes)
	w.hashes = slices.Clip(w.hashes)
}

func (w *writtenSeries) has(hash uint64) bool {
	if w == nil {
		return false
	}
	_, found := slices.BinarySearch(w.hashes, hash)
	return found
}

// ended adds a marker at that time for each series that now does not have; now is nil if none is left. Series whose
// samples bring times of their own get none, as the specification has it: nobody knows when their next one is due. Nor
// does what is a marker itself.
func (w *writtenSeries) ended(now *writtenSeries, at int64, seed maphash.Seed, add func(*series) error) error {
	if !slices.ContainsFunc(w.hashes, func(h uint64) bool { return !now.has(h) }) {
		return nil
	}
	for _, body := range w.bodies {
		err := readSeries(body, func(s *series) error {
			if s.time != w.at || math.Float64bits(s.value) == staleNaN || now.has(s.hash(seed)) {
				return nil
			}
			s.value, s.time, s.start = math.Float64frombits(staleNaN), at, 0
			return add(s)
		})
		if err != nil {
			return fmt.Errorf("markers of ended series: %w", err)
		}
	}
	return nil
}
