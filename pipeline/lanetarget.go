package pipeline

// A LaneTarget is a target as one lane sees it: how its sink describes it, what became of its lines, and from which
// epoch on its segments are wanted. Lanes share the Target and nothing else.
type LaneTarget struct {
	*Target
	Described Description
	Account   Account

	// floor is the epoch below which segments are stale. It belongs to the shard's sender, which raises it when it sends a
	// segment Back; the reader raises its own epoch to the same number when the block comes home.
	floor uint32
}
