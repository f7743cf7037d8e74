package pipeline

import (
	"context"
	"slices"
	"time"
)

// send hands batches to the store, one at a time, so that nothing overtakes; it gives every segment its verdict and puts
// the blocks home in the order in which they came. When drain ends it sends no more: what is left goes home Unsent.
func (s *shard) send(drain context.Context) {
	defer s.sendBeat.Waiting()
	out := sending{shard: s, ctx: drain, timer: time.NewTimer(time.Hour)}
	defer out.timer.Stop()
	for {
		last := s.encodeEnded.Load()
		b, ok := s.outbox.Take()
		if !ok {
			if last {
				return
			}
			s.sendBeat.Waiting()
			s.senderBell.Wait(func() bool { return !s.outbox.Empty() || s.encodeEnded.Load() }, -1, nil)
			continue
		}
		s.sendBeat.Busy()
		out.deliver(b)
		for _, block := range b.blocks {
			s.home.Put(block)
		}
		s.readerBell.Ring()
		b.clear()
		s.empty.Put(b)
		s.encoderBell.Ring()
	}
}

// sending is the state of the sending goroutine.
type sending struct {
	*shard
	ctx   context.Context // ends when the time to drain is up
	timer *time.Timer     // for sleep
	parts Encoder         // for what has to be encoded again in parts; made when first needed
	live  []piece         // of the batch in hand: the segments that still want a verdict
}

// A piece is one segment of the batch in hand.
type piece struct {
	block   *Block
	segment *Segment
}

// deliver gives every segment of the batch its verdict.
func (s *sending) deliver(b *batch) {
	s.live = s.live[:0]
	body := b.body
	for _, block := range b.blocks {
		for i := range block.Segments {
			seg := &block.Segments[i]
			if seg.Epoch >= seg.Target.floor {
				s.live = append(s.live, piece{block, seg})
				continue
			}
			seg.Verdict = Stale
			if seg.N > 0 {
				body = nil // it holds too much
			}
		}
	}
	if wait := s.lane.pace.reserve(b.raw); wait > 0 {
		s.sleep(wait)
	}
	s.settle(s.live, body, patience)
}

// patience is how many 429 a request gets before it is taken apart: the third may be about one target only. A target
// that is asked for alone gets none: it goes Back, and its own back-off is the wait.
const patience = 2

// settle gives pieces their verdict by asking the store. Where its answer doesn't hold for all of them alike, it is asked
// again for each target, so that one which it throttles or refuses costs the others nothing; and where it refuses a
// target, for each segment, so that no more is dropped than must be. A body of nil is made here.
func (s *sending) settle(pieces []piece, body []byte, patience int) Answer {
	switch {
	case s.ctx.Err() != nil: // also for what needs no request: the cursor must not pass what was not sent
		return Answer{Outcome: Failed}
	case !slices.ContainsFunc(pieces, func(p piece) bool { return p.segment.N > 0 }):
		s.rule(pieces, Delivered, Answer{}) // file ranges without a record move the cursor; the store need not know
		return Answer{}
	case body == nil:
		body = s.bodyOf(pieces)
	}
	verdict, answer := s.try(pieces, body, patience)
	switch {
	case verdict != apart:
		s.rule(pieces, verdict, answer)
	case several(pieces):
		s.byTarget(pieces)
	default:
		for i, p := range pieces {
			if p.segment.Epoch < p.segment.Target.floor { // one before it went Back
				p.segment.Verdict = Stale
				continue
			}
			s.settle(pieces[i:i+1], nil, 0)
		}
	}
	return answer
}

// byTarget settles the pieces of one target after the other.
func (s *sending) byTarget(pieces []piece) {
	first := make(map[*LaneTarget]int) // targets in the order of the batch
	for i, p := range pieces {
		if _, seen := first[p.segment.Target]; !seen {
			first[p.segment.Target] = i
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return first[a.segment.Target] - first[b.segment.Target] })
	for throttled := 0; len(pieces) > 0; {
		n := 1
		for n < len(pieces) && pieces[n].segment.Target == pieces[0].segment.Target {
			n++
		}
		answer := s.settle(pieces[:n], nil, 0)
		pieces = pieces[n:]
		if answer.Outcome != Throttled {
			throttled = 0
		} else if throttled++; throttled > 1 && len(pieces) > 0 { // it is the store that has enough, not one target
			s.sleep(max(backoff(throttled-2), jitter(answer.RetryAfter)))
		}
	}
}

// apart is try's verdict when the answer doesn't hold for all pieces of the request alike.
const apart Verdict = 255

// try sends a body until the store has said something that settles it.
func (s *sending) try(pieces []piece, body []byte, patience int) (Verdict, Answer) {
	many := several(pieces)
	whose := ""
	if !many {
		whose = pieces[0].segment.Target.Key
	}
	throttled := 0
	for attempt := 0; ; attempt++ {
		if s.ctx.Err() != nil {
			return Unsent, Answer{Outcome: Failed}
		}
		s.sendBeat.Waiting()
		s.sending.enter()
		answer := s.lane.Sink.Send(s.ctx, body)
		s.sending.leave()
		s.sendBeat.Busy()
		if s.ctx.Err() != nil && answer.Outcome != Accepted {
			return Unsent, answer
		}
		s.lane.stats.count(answer.Code, len(body), attempt > 0)
		s.lane.answered(answer, whose)
		wait := max(backoff(attempt), jitter(answer.RetryAfter))
		switch answer.Outcome {
		case Accepted:
			return Delivered, answer
		case Refused:
			if len(pieces) > 1 {
				return apart, answer
			}
			return Delivered, answer
		case OneTarget:
			if many {
				return apart, answer
			}
			return Back, answer
		case Throttled:
			if throttled++; throttled > patience {
				if !many {
					return Back, answer
				}
				s.sleep(wait)
				return apart, answer
			}
		}
		s.sleep(wait)
	}
}

// several tells that pieces belong to more than one target.
func several(pieces []piece) bool {
	for _, p := range pieces[1:] {
		if p.segment.Target != pieces[0].segment.Target {
			return true
		}
	}
	return false
}

// rule gives pieces a verdict. A target that goes Back does so once: what follows of it is stale.
func (s *sending) rule(pieces []piece, v Verdict, a Answer) {
	for _, p := range pieces {
		seg := p.segment
		switch {
		case seg.Epoch < seg.Target.floor:
			seg.Verdict = Stale
			continue
		case v == Back:
			seg.Target.floor = seg.Epoch + 1
			seg.RetryAfter = jitter(a.RetryAfter)
		}
		seg.Verdict = v
		if v == Delivered && a.Outcome == Refused {
			seg.Refusals = append(seg.Refusals, Refusal{a.Reason, Count{int64(seg.N), seg.Bytes}})
		}
	}
}

// bodyOf encodes some pieces of the batch.
func (s *sending) bodyOf(pieces []piece) []byte {
	if s.parts == nil {
		s.parts = s.lane.Sink.NewEncoder()
	}
	s.parts.Begin()
	for _, p := range pieces {
		if p.segment.N > 0 {
			s.parts.Add(p.block, p.segment, p.block.Of(p.segment))
		}
	}
	return s.parts.End()
}

// sleep waits, or until the time to drain is up.
func (s *sending) sleep(d time.Duration) {
	s.sendBeat.Waiting()
	s.timer.Reset(d)
	select {
	case <-s.timer.C:
	case <-s.ctx.Done():
	}
	s.timer.Stop()
	s.sendBeat.Busy()
}
