package pipeline

import (
	"context"
	"math/rand/v2"
	"time"
)

// send hands batches to the store, one at a time, so that nothing overtakes; it gives every segment its verdict and puts
// the blocks home in the order in which they came. When drain ends it sends no more: what is left goes home Unsent.
func (s *shard) send(drain context.Context) {
	defer s.sendBeat.Waiting()
	out := sending{shard: s, ctx: drain}
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
	whole := true // the body holds just what is live
	for _, block := range b.blocks {
		for i := range block.Segments {
			seg := &block.Segments[i]
			switch {
			case seg.Verdict == Stale: // encode left it out
			case seg.Epoch < seg.Target.floor.Load():
				seg.Verdict = Stale
				whole = whole && seg.N == 0
			default:
				s.live = append(s.live, piece{block, seg})
			}
		}
	}
	body := b.body
	if !whole {
		body = s.encodePieces(s.live)
	}
	records := 0
	for _, p := range s.live {
		records += p.segment.N
	}
	if records == 0 { // file ranges without a record move the cursor; the store needs not know
		s.rule(s.live, Delivered, Answer{})
		return
	}
	if wait := s.lane.pace.reserve(b.raw, time.Now()); wait > 0 {
		s.sleep(wait)
	}
	if verdict, answer := s.try(body, true); verdict == apart {
		s.byTarget()
	} else {
		s.rule(s.live, verdict, answer)
	}
}

// apart is try's verdict when the answer doesn't hold for all targets of the request alike.
const apart Verdict = 255

// throttledTwice is how many 429 a request gets before it is taken apart: the third may be about one target only.
const throttledTwice = 2

// try sends a body until the store has said something that settles it.
func (s *sending) try(body []byte, many bool) (Verdict, Answer) {
	many = many && s.severalTargets()
	throttled := 0
	for attempt := 0; ; attempt++ {
		if s.ctx.Err() != nil {
			return Unsent, Answer{}
		}
		s.sendBeat.Waiting()
		s.sending.enter()
		answer := s.lane.Sink.Send(s.ctx, body)
		s.sending.leave()
		s.sendBeat.Busy()
		if s.ctx.Err() != nil && answer.Outcome != Accepted {
			return Unsent, Answer{}
		}
		s.lane.stats.count(answer.Code, len(body), attempt > 0)
		s.lane.answered(answer)
		switch answer.Outcome {
		case Accepted:
			return Delivered, answer
		case Refused:
			if many {
				return apart, answer
			}
			return Never, answer
		case OneTarget:
			if many {
				return apart, answer
			}
			return Back, answer
		case Throttled:
			if throttled++; throttled > throttledTwice {
				if many {
					return apart, answer
				}
				return Back, answer
			}
		}
		s.sleep(max(backoff(attempt), jitter(answer.RetryAfter)))
	}
}

func (s *sending) severalTargets() bool {
	for _, p := range s.live[1:] {
		if p.segment.Target != s.live[0].segment.Target {
			return true
		}
	}
	return false
}

// rule gives the pieces their verdict. A target that goes Back does so once: its later segments are stale.
func (s *sending) rule(pieces []piece, v Verdict, a Answer) {
	for _, p := range pieces {
		seg := p.segment
		seg.Verdict, seg.Reason, seg.RetryAfter = v, a.Reason, a.RetryAfter
		if v != Back {
			continue
		}
		if seg.Epoch < seg.Target.floor.Load() {
			seg.Verdict = Stale
		} else {
			seg.Target.floor.Store(seg.Epoch + 1)
		}
	}
}

// byTarget asks the store again, one target at a time in the order of the batch, so that a target which the store
// throttles or refuses costs the others nothing.
func (s *sending) byTarget() {
	live := s.live
	for len(live) > 0 {
		target := live[0].segment.Target
		var own, others []piece
		for _, p := range live {
			if p.segment.Target == target {
				own = append(own, p)
			} else {
				others = append(others, p)
			}
		}
		s.live = own
		verdict, answer := s.try(s.encodePieces(own), false)
		s.rule(own, verdict, answer)
		live = others
	}
}

func (s *sending) encodePieces(pieces []piece) []byte {
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
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

const (
	backoffFirst = 250 * time.Millisecond
	backoffMost  = 30 * time.Second
)

// backoff is how long to wait after so many failures: exponential, and anywhere in its upper half, since thousands of
// nodes see the same outage end.
func backoff(attempt int) time.Duration {
	d := backoffMost
	if attempt < 7 {
		d = min(d, backoffFirst<<attempt)
	}
	return d/2 + rand.N(d/2)
}

// jitter lengthens what a store asked for by up to a fifth.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d + rand.N(d/5+1)
}
