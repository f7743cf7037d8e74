package pipeline

import "time"

// A Batch is one delivery as its sender saw it: what a lane gathered, sent, and has a verdict for. A batch may take many
// requests, where the store fails or refuses some of it.
//
// Only what has come to its end is a delivery. Lines that go to the spool, back to their file, or nowhere because leatd
// stops are not counted, and a batch of nothing else is none; they are in a later one.
type Batch struct {
	Sink       string
	Start, End time.Time // from when the sender took it up until the last verdict, waits between requests included

	Delivered Count // that the store has for good
	Dropped   Count // that it will never take

	Requests  int    // that were made for it
	SentBytes int64  // of their bodies
	Code      string // of the last answer; see Answer
}

// open begins to take notes for Options.Batch.
func (s *sending) open() {
	if s.lane.Batch != nil {
		s.notes = Batch{Sink: s.lane.Name(), Start: time.Now()}
	}
}

// note takes down a request.
func (s *sending) note(body []byte, code string) {
	if s.lane.Batch != nil {
		s.notes.Requests++
		s.notes.SentBytes += int64(len(body))
		s.notes.Code = code
	}
}

// report tells what became of a batch whose segments all have their verdicts, while its blocks are still the sender's.
func (s *sending) report(b *batch) {
	if s.lane.Batch == nil {
		return
	}
	n := &s.notes
	for _, block := range b.blocks {
		for i := range block.Segments {
			seg := &block.Segments[i]
			if seg.Verdict != Delivered {
				continue
			}
			n.Delivered.Add(int64(seg.N), seg.Bytes)
			for _, r := range seg.Refusals {
				n.Delivered.Add(-r.Lines, -r.Bytes)
				n.Dropped.Add(r.Lines, r.Bytes)
			}
		}
	}
	if n.Delivered.Lines+n.Dropped.Lines > 0 {
		n.End = time.Now()
		s.lane.Batch(*n)
	}
}
