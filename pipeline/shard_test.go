package pipeline

import "testing"

// TestSpare: a shard that rests keeps one block, and gives none away while something is in one or under way.
func TestSpare(t *testing.T) {
	full := func() reading {
		return reading{made: 3, free: []*Block{NewBlock(100, 100), NewBlock(100, 100), NewBlock(100, 100)}}
	}
	r := full()
	r.spare()
	if r.block == nil || len(r.free) != 0 || r.made != 1 {
		t.Errorf("block %v, %d free, %d made; want one block and no more", r.block != nil, len(r.free), r.made)
	}
	r.spare()
	if r.block == nil || r.made != 1 {
		t.Error("the last block was given away")
	}
	r = full()
	r.made, r.out = 4, 1
	if r.spare(); len(r.free) != 3 || r.made != 4 {
		t.Errorf("%d free, %d made, with a block under way; want 3 and 4", len(r.free), r.made)
	}
	r = full()
	r.take()
	r.block.Segments = append(r.block.Segments, Segment{})
	if r.spare(); len(r.free) != 2 || r.made != 3 {
		t.Errorf("%d free, %d made, with a block in hand; want 2 and 3", len(r.free), r.made)
	}
}
