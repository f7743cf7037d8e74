package pipeline

import "sync/atomic"

// A LaneTarget is a target as one lane sees it: how its sink describes it, what became of its lines, and from which
// epoch on its segments are wanted. Lanes share the Target and nothing else.
type LaneTarget struct {
	*Target
	Described Description
	Account   Account

	// floor is the epoch below which segments are stale. Only the shard's sender raises it, when it sends a segment
	// Back; the reader raises its own epoch to the same number when the block comes home.
	floor atomic.Uint32
}
