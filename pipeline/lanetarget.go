package pipeline

import "sync/atomic"

// A LaneTarget is a target as one lane sees it: how its sink describes it, what became of its lines, and from which
// epoch on its segments are wanted. Lanes share the Target and nothing else.
type LaneTarget struct {
	*Target
	Described Description
	Account   Account

	// floor is the epoch below which segments are stale. It belongs to the shard's sender, which raises it when it sends a
	// segment Back; the reader raises its own epoch to the same number when the block comes home.
	floor uint32
	cut   uint32 // likewise: the sender's letIn

	careful bool // likewise: the store has throttled it and not yet taken all that came since

	// letIn is the same to the shard's encoder, for segments that it holds back. The sender raises its floor when it meets
	// the first of them.
	letIn uint32
	until atomic.Int64 // in ticks: set by the encoder, not before then is it worth reading; 0 if it always is
}
