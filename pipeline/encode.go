package pipeline

import "time"

// encode turns blocks into request bodies: it gathers blocks while the sender is busy or the reader fills the next one,
// and hands over what it has as soon as neither is so. A lone block goes at once, a stream goes in batches of max_batch.
func (s *shard) encode() {
	defer func() {
		s.encBeat.Waiting()
		s.encodeEnded.Store(true)
		s.senderBell.Ring()
	}()
	var (
		fill  *batch
		made  int
		rest  = make([]*batch, 0, batches) // that nobody has
		tired bool                         // of waiting for the block that the reader fills: its disk may be dead
	)
	returned := func() bool { return !s.empty.Empty() }
	stirred := func() bool { return !s.full.Empty() || !s.empty.Empty() || s.readEnded.Load() }
	decided := func() bool { return stirred() || !s.coming.Load() }
	for {
		s.encBeat.Busy()
		for b, ok := s.empty.Take(); ok; b, ok = s.empty.Take() {
			rest = append(rest, b)
		}
		if fill == nil {
			switch n := len(rest); {
			case n > 0:
				fill, rest = rest[n-1], rest[:n-1]
			case made < batches:
				fill = &batch{encoder: s.lane.Sink.NewEncoder()}
				made++
			default: // both are with the sender
				s.encBeat.Waiting()
				s.encoderBell.Wait(returned, -1, nil)
				continue
			}
			fill.encoder.Begin()
			fill.bare = s.lane.OneStream
		}
		last := s.readEnded.Load() // before the ring is found empty: what is put later is not missed
		coming := s.coming.Load() && !tired
		b, ok := s.full.Take()
		if ok {
			tired = false
			s.encoding.enter()
			fill.add(b, s.diverts())
			s.encoding.leave()
			if s.lane.takesMore(fill) {
				continue
			}
		}
		senderRests := made == len(rest)+1
		if len(fill.blocks) > 0 && (ok || senderRests && !coming || last) {
			if !fill.bare {
				fill.body = fill.encoder.End()
			}
			s.outbox.Put(fill)
			s.senderBell.Ring()
			fill, tired = nil, false
			continue
		}
		if last {
			return
		}
		s.encBeat.Waiting()
		if len(fill.blocks) > 0 && senderRests {
			s.encoderBell.Wait(decided, s.lane.MaxWait, nil)
			tired = !decided()
		} else {
			s.encoderBell.Wait(stirred, -1, nil)
		}
	}
}

// perRecord is more than any protocol writes beside a body: times, lengths, and what may be repeated with every line.
const perRecord = 256

// takesMore tells whether one more block fits into a request, however it is filled.
func (l *Lane) takesMore(t *batch) bool {
	block := l.BlockSize + l.MaxLine + l.BlockSize/bytesPerRecord*perRecord
	return t.raw+l.BlockSize <= l.most() && (l.MaxBody == 0 || t.encoder.Size()+block <= l.MaxBody)
}

// A batch is one request on its way, and the blocks that it was made of. Owned by encode, then by send.
type batch struct {
	encoder Encoder
	bare    bool // nothing, or not all, is encoded: the sender will do it
	blocks  []*Block
	body    []byte
	raw     int // log bytes in it
}

// add encodes a block's segments, but for those that their streams don't admit now.
func (t *batch) add(b *Block, diverted bool) {
	t.bare = t.bare || diverted
	now, held := time.Now(), int64(0)
	for i := range b.Segments {
		seg := &b.Segments[i]
		switch {
		case !seg.admit(b, now, diverted):
			held += seg.End - seg.Start
		case seg.N > 0 && !t.bare:
			t.encoder.Add(b, seg, b.Of(seg))
		}
	}
	t.blocks = append(t.blocks, b)
	t.raw += max(0, b.Data-int(held))
}

// clear empties the batch for its next round.
func (t *batch) clear() {
	clear(t.blocks)
	t.blocks, t.body, t.raw = t.blocks[:0], nil, 0
}
