package pipeline

// A Cursor is where one lane stands in one target: what it has for good.
type Cursor struct {
	Key         string
	Generations []Position // oldest first
	Parts       []Part     // lines whose beginning is settled and whose end is not yet there
	Time        int64      // of the last settled record, ns since the epoch: an unparsed line behind it takes it too
	Totals      Totals
	Spooled     uint64 // the last record of the spool that this cursor covers; 0 if there is none
	Gone        bool   // the target is gone and settled; of its line in the saved state only the totals stay, in a sum
}

// A Position is how far one generation is settled.
type Position struct {
	ID     GenerationID
	Name   string // what the file was called last, for the reader of the saved state
	Offset int64  // bytes of the (decompressed) file
	Done   bool   // all of it was settled and it had a successor
	Skip   bool   // Offset is inside a line whose end lies beyond max_line: go on to its newline
}

// A Part is a piece of a line that the runtime wrote in several: the whole raw line of the file that holds the piece.
type Part struct {
	Stderr bool
	ID     GenerationID
	Offset int64
	Length int64
}

// Totals are counts over the life of the target, however often leatd was restarted. They are saved with the cursor, in
// the same write, so a line that is sent again after a crash counts once.
type Totals struct {
	Delivered, Dropped Count
	LostBytes          int64
	Gaps               int64
}

// Settle counts a segment that came home Delivered.
func (t *Totals) Settle(s *Segment) {
	delivered := Count{int64(s.N), s.Bytes}
	for _, r := range s.Refusals {
		delivered.Add(-r.Lines, -r.Bytes)
		t.Dropped.Add(r.Lines, r.Bytes)
	}
	t.Delivered.Add(delivered.Lines, delivered.Bytes)
	t.Dropped.Add(0, s.CutBytes)
}

// Add adds other totals.
func (t *Totals) Add(o Totals) {
	t.Delivered.Add(o.Delivered.Lines, o.Delivered.Bytes)
	t.Dropped.Add(o.Dropped.Lines, o.Dropped.Bytes)
	t.LostBytes += o.LostBytes
	t.Gaps += o.Gaps
}

// unfinished is how many generations have not been settled to their end.
func (c *Cursor) unfinished() (n int64) {
	for _, p := range c.Generations {
		if !p.Done {
			n++
		}
	}
	return n
}
