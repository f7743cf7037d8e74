package pipeline

import (
	"fmt"
	"sync/atomic"
)

// A Ring is a bounded queue between one goroutine that puts and one that takes. It holds no lock and never waits: each
// side owns one index and only reads the other's.
//
//   - Slot i belongs to the producer from the moment tail-head < capacity until Put has stored tail.
//   - It belongs to the consumer from then until Take has stored head.
//
// The stores of tail and head are what hands a value over (Go's atomics order everything before them). Both sides keep
// a copy of the other's index and refresh it only when the copy says full or empty, so that the cache line of the other
// side is fetched once a lap and not once a value.
type Ring[T any] struct {
	slots []T
	mask  uint64

	_        [64]byte
	tail     atomic.Uint64 // owned by the producer: values ever put
	headSeen uint64        // the producer's copy of head

	_        [64]byte
	head     atomic.Uint64 // owned by the consumer: values ever taken
	tailSeen uint64        // the consumer's copy of tail
	_        [64]byte
}

// NewRing makes a ring with room for at least n values.
func NewRing[T any](n int) *Ring[T] {
	size := 1
	for size < n {
		size <<= 1
	}
	return &Ring[T]{slots: make([]T, size), mask: uint64(size - 1)}
}

// Put adds a value. Whoever makes a ring gives it room for all values that go round in it, so a full ring is a broken
// invariant and panics.
func (r *Ring[T]) Put(v T) {
	tail := r.tail.Load()
	if tail-r.headSeen == uint64(len(r.slots)) {
		if r.headSeen = r.head.Load(); tail-r.headSeen == uint64(len(r.slots)) {
			panic(fmt.Sprintf("pipeline: a ring of %d is full: more values go round than it was made for", len(r.slots)))
		}
	}
	r.slots[tail&r.mask] = v
	r.tail.Store(tail + 1)
}

// Take removes the oldest value; ok is false if there is none.
func (r *Ring[T]) Take() (v T, ok bool) {
	head := r.head.Load()
	if head == r.tailSeen {
		if r.tailSeen = r.tail.Load(); head == r.tailSeen {
			return v, false
		}
	}
	slot := &r.slots[head&r.mask]
	v = *slot
	var none T
	*slot = none
	r.head.Store(head + 1)
	return v, true
}

// Empty tells whether there is nothing to take. Only the consumer's answer is certain to stand.
func (r *Ring[T]) Empty() bool { return r.head.Load() == r.tail.Load() }
