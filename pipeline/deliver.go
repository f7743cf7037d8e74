package pipeline

import "slices"

// deliver gives every segment of the batch its verdict.
func (s *sending) deliver(b *batch) {
	s.open()
	s.begin(b)
	body, lone, held, blank, diverts, now := b.body, false, false, false, s.diverts(), ticks()
	for _, block := range b.blocks {
		for i := range block.Segments {
			seg := &block.Segments[i]
			switch {
			case seg.Epoch < seg.Target.floor:
				seg.Verdict = Stale
				if seg.N > 0 && !seg.Paced {
					body = nil // it holds too much
				}
			case seg.Paced:
				held = true
			case !diverts && seg.overdrawn(now): // the encoder let it in
				held = true
				if seg.N > 0 {
					body = nil
				}
			default:
				seg.open = seg.N
				s.live = appendPieces(s.live, block, seg, s.lane.OneStream)
				lone = lone || seg.alone || seg.Target.careful
				blank = blank || seg.N == 0
			}
		}
	}
	if !diverts {
		if wait := s.lane.pace.reserve(b.raw); wait > 0 {
			s.sleep(wait)
		}
	}
	if blank {
		s.passBlank()
	}
	switch {
	case s.lane.OneStream:
		s.byStream(s.live)
	case lone:
		shared, alone := sortLone(s.live)
		s.settle(shared, nil, patience)
		s.byStream(alone)
	default:
		s.settle(s.live, body, patience)
	}
	s.singleOut()
	if held {
		b.sendBack()
	}
	s.finish(b)
}

// sendBack gives the segments their verdict that are held back. What is before them of their target has its own
// by now; what is behind them was held back with them, and is stale.
func (b *batch) sendBack() {
	for _, block := range b.blocks {
		for i := range block.Segments {
			switch seg := &block.Segments[i]; {
			case !seg.Paced:
			case seg.Epoch < seg.Target.floor:
				seg.Verdict = Stale
			default:
				seg.Verdict = Back
				seg.Target.floor = seg.Epoch + 1
			}
		}
	}
}

// passBlank settles the targets of which the batch has file ranges without a record, and nothing else: they have no part in
// what becomes of a request.
func (s *sending) passBlank() {
	says := make(map[*LaneTarget]bool)
	for _, p := range s.live {
		says[p.segment.Target] = says[p.segment.Target] || len(p.records) > 0
	}
	blank := func(p piece) bool { return !says[p.segment.Target] }
	for i := range s.live {
		if blank(s.live[i]) && s.ctx.Err() == nil {
			s.rule(s.live[i:i+1], Delivered, Answer{})
		}
	}
	s.live = slices.DeleteFunc(s.live, blank)
}

// begin forgets the batch before.
func (s *sending) begin(b *batch) {
	s.raw = b.raw
	clear(s.live)
	s.live = s.live[:0]
	s.budget = perBlock*len(b.blocks) - 1
	s.doubt = ""
}

// finish makes sure that the verdicts go together, and keeps the dead letters of what was refused. A segment that will be
// sent again, or was left to the spool, says nothing of what became of parts of it.
func (s *sending) finish(b *batch) {
	if s.lane.OneStream {
		inOrder(b.blocks)
	}
	for _, block := range b.blocks {
		for i := range block.Segments {
			if seg := &block.Segments[i]; seg.Verdict != Delivered {
				seg.Refusals, seg.Doubtful = nil, false
			}
		}
	}
	s.bury()
}

// inOrder takes back verdicts that would overtake an earlier one. A segment that is sent as two streams is settled when
// both are, and by then those behind it may be: if it is not, they are neither. If one behind it went Back before it was
// settled, it is the one to go Back.
func inOrder(blocks []*Block) {
	type trail struct {
		behind Verdict  // what is behind the first that is not settled
		stale  *Segment // that one, if it is stale
	}
	trails := make(map[*LaneTarget]trail)
	for _, block := range blocks {
		for i := range block.Segments {
			seg := &block.Segments[i]
			t, open := trails[seg.Target]
			switch {
			case open && seg.Verdict == Back && t.stale != nil && t.stale.Epoch == seg.Epoch:
				t.stale.Verdict, t.stale.RetryAfter, t.stale.Paced = Back, seg.RetryAfter, seg.Paced
				seg.Verdict = Stale
				trails[seg.Target] = trail{behind: Stale}
			case open && (seg.Verdict == Delivered || t.behind == Unsent):
				seg.Verdict = t.behind
			case seg.Verdict == Unsent:
				trails[seg.Target] = trail{behind: Unsent}
			case seg.Verdict == Back:
				trails[seg.Target] = trail{behind: Stale}
			case seg.Verdict == Stale && !open:
				trails[seg.Target] = trail{behind: Stale, stale: seg}
			}
		}
	}
}

// sortLone puts the targets behind the others that have a segment which must not share its request.
func sortLone(pieces []piece) (shared, alone []piece) {
	lone := make(map[*LaneTarget]int)
	for _, p := range pieces {
		if p.segment.alone || p.segment.Target.careful {
			lone[p.segment.Target] = 1
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return lone[a.segment.Target] - lone[b.segment.Target] })
	n := slices.IndexFunc(pieces, func(p piece) bool { return lone[p.segment.Target] > 0 })
	if n < 0 { // it had no record, and is settled
		n = len(pieces)
	}
	return pieces[:n], pieces[n:]
}

// rule is the one place where pieces get their verdict. A target that goes Back does so once: what follows of it is
// stale. A segment is Delivered when all of its records are settled.
func (s *sending) rule(pieces []piece, v Verdict, a Answer) {
	if v == Delivered && a.LeftOut != 0 {
		s.leaveOut(pieces, a)
		return
	}
	for _, p := range pieces {
		seg := p.segment
		switch {
		case seg.Verdict != Unsent: // another part of it has decided
		case seg.Epoch < seg.Target.floor:
			seg.Verdict = Stale
		case v == Delivered:
			if seg.open -= len(p.records); seg.open == 0 {
				seg.Verdict = Delivered
			}
		case v == Back:
			seg.Target.floor = seg.Epoch + 1
			seg.RetryAfter = Jitter(a.RetryAfter)
			seg.Verdict = Back
		default:
			seg.Verdict = v
		}
	}
}
