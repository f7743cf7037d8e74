package pipeline

import "context"

// encode turns blocks into request bodies: it gathers blocks while the sender is busy and hands over what it has as
// soon as the sender rests, so that a lone block goes at once and a stream goes in batches of max_batch.
func (s *shard) encode(drain context.Context) {
	defer s.encBeat.Waiting()
	defer func() {
		s.encodeEnded.Store(true)
		s.senderBell.Ring()
	}()
	var (
		fill *batch
		made int
		idle = func() bool { return !s.full.Empty() || !s.empty.Empty() || s.readEnded.Load() }
	)
	home := make([]*batch, 0, batches)
	for {
		s.encBeat.Busy()
		for {
			b, ok := s.empty.Take()
			if !ok {
				break
			}
			home = append(home, b)
		}
		if fill == nil {
			switch n := len(home); {
			case n > 0:
				fill, home = home[n-1], home[:n-1]
			case made < batches:
				fill = &batch{encoder: s.lane.Sink.NewEncoder()}
				made++
			default: // both are with the sender
				s.encBeat.Waiting()
				s.encoderBell.Wait(func() bool { return !s.empty.Empty() }, -1, nil)
				continue
			}
			fill.encoder.Begin()
		}
		last := s.readEnded.Load()
		b, ok := s.full.Take()
		if ok {
			s.encoding.enter()
			fill.add(b)
			s.encoding.leave()
			if fill.raw < s.lane.MaxBatch {
				continue
			}
		}
		senderRests := made == len(home)+1
		if len(fill.blocks) > 0 && (ok || senderRests || last) {
			fill.body = fill.encoder.End()
			s.outbox.Put(fill)
			s.senderBell.Ring()
			fill = nil
			continue
		}
		if last {
			return
		}
		s.encBeat.Waiting()
		s.encoderBell.Wait(idle, -1, nil)
	}
}

// add encodes a block's segments, but for those that an earlier verdict made stale.
func (t *batch) add(b *Block) {
	for i := range b.Segments {
		seg := &b.Segments[i]
		if seg.Epoch < seg.Target.floor.Load() {
			seg.Verdict = Stale
		} else if seg.N > 0 {
			t.encoder.Add(b, seg, b.Of(seg))
		}
	}
	t.blocks = append(t.blocks, b)
	t.raw += b.Data
}

// clear empties the batch for its next round.
func (t *batch) clear() {
	clear(t.blocks)
	t.blocks, t.body, t.raw = t.blocks[:0], nil, 0
}
