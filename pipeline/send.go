package pipeline

import (
	"context"
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
		out.report(b)
		for _, block := range b.blocks {
			block.settle()
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
	ctx     context.Context // ends when the time to drain is up
	timer   *time.Timer     // for sleep
	parts   Encoder         // for what has to be encoded again in parts; made when first needed
	failed  int             // requests that failed in a row, whatever was in them
	failing time.Time       // when the first of them began

	anchored int64   // the diversion before which the cursors were saved
	witness  witness // what the store has accepted

	// What follows is about the batch in hand.
	raw      int     // log bytes in it
	live     []piece // what still wants a verdict
	budget   int     // how many more requests may look for what the store refuses
	doubt    string  // the 5xx that is a record's fault and not the store's; empty if there is none
	suspects []suspect
	letters  []letter // records that will never be delivered
	notes    Batch    // for who wants to know; empty if nobody does
}

// patience is how many 429 a request gets before it is taken apart: the third may be about one target only. A target
// that is asked for alone gets none: it goes Back, and its own back-off is the wait.
const patience = 2

func patienceWith(pieces []piece) int {
	if several(pieces) {
		return patience
	}
	return 0
}

// settle gives pieces their verdict by asking the store. Where its answer doesn't hold for all of them alike, they are
// taken apart, so that a target which it throttles or refuses costs the others nothing. A target that is refused by
// itself is left to singleOut. A body of nil is made here.
func (s *sending) settle(pieces []piece, body []byte, patience int) Answer {
	if s.waits(pieces) {
		return Answer{Outcome: Refused}
	}
	if s.tooLarge(pieces) {
		left, right := halve(pieces)
		s.settle(left, nil, patienceWith(left))
		return s.settle(right, nil, patienceWith(right))
	}
	rest, verdict, answer := s.ask(pieces, body, patience)
	switch {
	case verdict != apart:
		s.rule(rest, verdict, answer)
	case answer.Outcome == OneTarget || answer.Outcome == Throttled:
		s.byStream(rest)
	case !several(rest):
		s.accuse(rest, answer)
	case s.spend():
		left, right := halve(rest)
		if a, b := s.settle(left, nil, patienceWith(left)), s.settle(right, nil, patienceWith(right)); a.taken() && b.taken() {
			s.learn(rest, answer)
		}
	default: // the last round, so that nobody's lines are refused for another one's
		s.byStream(rest)
	}
	return answer
}

// byStream settles the pieces of one target after the other, or of one stream where a request holds no more. Those of a
// target that the store has throttled go one by one, until it has taken all that there were: there may be more in a
// request than it ever takes at once.
func (s *sending) byStream(pieces []piece) {
	group(pieces)
	for throttled := 0; len(pieces) > 0; {
		stream, careful := pieces[0].stream(), &pieces[0].segment.Target.careful
		n := 1
		for n < len(pieces) && pieces[n].stream() == stream && !*careful {
			n++
		}
		answer := s.settle(pieces[:n], nil, 0)
		if pieces = pieces[n:]; answer.taken() && (len(pieces) == 0 || pieces[0].stream() != stream) {
			*careful = false
		}
		if answer.Outcome != Throttled {
			throttled = 0
		} else if throttled++; throttled > 1 && len(pieces) > 0 { // it is the store that has enough, not one target
			s.sleep(max(Backoff(throttled-2), Jitter(answer.RetryAfter)))
		}
	}
}

// ask asks the store for a verdict on pieces, and for as long as the store itself is in trouble it asks again. Where it
// has found out that the store is well and they are not, it may have settled some of them: it returns the rest.
func (s *sending) ask(pieces []piece, body []byte, patience int) (rest []piece, _ Verdict, _ Answer) {
	for {
		switch {
		case s.ctx.Err() != nil: // also for what needs no request: the cursor must not pass what was not sent
			return pieces, Unsent, Answer{Outcome: Failed}
		case len(pieces) > 0 && !several(pieces) && pieces[0].segment.Epoch < pieces[0].segment.Target.floor:
			return pieces, Stale, Answer{Outcome: Failed} // what is before it went Back
		case count(pieces) == 0: // file ranges without a record move the cursor; the store need not know
			return pieces, Delivered, Answer{}
		}
		quick := ""
		if count(pieces) > 1 {
			quick = s.doubt
		}
		verdict, answer := s.try(pieces, body, patience, quick)
		if verdict != apart || answer.Outcome != Failed || s.doubt != "" {
			return pieces, verdict, answer
		}
		rest, well := s.probe(pieces, answer.Code)
		if pieces, body = rest, nil; well {
			s.doubt = answer.Code
			continue
		}
		pause := s.rest(0, answer)
		if verdict := s.despair(pieces, pause); verdict != apart {
			return pieces, verdict, answer
		}
		s.sleep(pause)
	}
}

// apart is the verdict when the answer doesn't hold for all pieces of the request alike.
const apart Verdict = 255

// try sends a body until the store has said something that settles it, or has given it the same 5xx so often that it may
// be the body's fault: once if it is the code quick. A body of nil is made here. Where the lane is diverted, or the store
// has failed for so long that it is now, the pieces go to the spool instead.
func (s *sending) try(pieces []piece, body []byte, patience int, quick string) (Verdict, Answer) {
	if s.diverts() {
		if verdict := s.toSpool(pieces, false); verdict != apart {
			return verdict, Answer{Outcome: Failed}
		}
		if several(pieces) && overdrawn(pieces) {
			return apart, Answer{Outcome: OneTarget} // they were let in for the spool: what the store says now is to be certain
		}
	}
	if body == nil {
		body = s.bodyOf(pieces)
	}
	many := several(pieces)
	whose := ""
	if !many {
		whose = pieces[0].segment.Target.Key
	}
	throttled, equal, code := 0, 0, ""
	for {
		if s.ctx.Err() != nil {
			return Unsent, Answer{Outcome: Failed}
		}
		answer := s.request(body, whose, throttled > 0)
		for now, i := ticks(), 0; i < len(pieces); i++ {
			pieces[i].segment.sent(now, pieces[i].records)
		}
		if s.ctx.Err() != nil && answer.Outcome != Accepted {
			return Unsent, answer
		}
		switch answer.Outcome {
		case Accepted:
			s.witness.see(pieces)
			s.share()
			return Delivered, answer
		case Refused:
			return apart, answer
		case OneTarget:
			if many {
				return apart, answer
			}
			pieces[0].segment.Target.careful = true
			s.lane.taught(pieces)
			return Back, answer
		case Throttled:
			if throttled++; throttled > patience {
				if !many {
					return Back, answer
				}
				s.sleep(max(Backoff(throttled-1), Jitter(answer.RetryAfter)))
				return apart, answer
			}
		case Failed:
			if answer.Code != code {
				code, equal = answer.Code, 0
			}
			if code == quick {
				s.failed-- // it is not the store that fails
				return apart, answer
			}
			if equal++; trouble(code) && equal >= suspiciousAfter {
				return apart, answer
			}
		}
		pause := s.rest(throttled, answer)
		if answer.Outcome == Failed {
			if verdict := s.despair(pieces, pause); verdict != apart {
				return verdict, answer
			}
		}
		s.sleep(pause)
	}
}

// rest is how long to wait before the next try.
func (s *sending) rest(throttled int, answer Answer) time.Duration {
	return max(Backoff(max(0, throttled+s.failed-1)), Jitter(answer.RetryAfter))
}

// request is the one place where a body goes to the store.
func (s *sending) request(body []byte, whose string, again bool) Answer {
	began := time.Now()
	s.sendBeat.Waiting()
	s.sending.enter()
	answer := s.lane.Sink.Send(s.ctx, body)
	s.sending.leave()
	s.sendBeat.Busy()
	if s.ctx.Err() != nil && answer.Outcome != Accepted {
		return answer // it says nothing about the store
	}
	s.lane.stats.count(answer.Code, len(body), again || s.failed > 0)
	s.note(body, answer.Code)
	s.lane.answered(answer, whose)
	switch {
	case answer.Outcome != Failed:
		s.failed = 0
	case s.failed == 0:
		s.failing = began
		fallthrough
	default:
		s.failed++
	}
	return answer
}

// bodyOf encodes some pieces of the batch.
func (s *sending) bodyOf(pieces []piece) []byte {
	if s.parts == nil {
		s.parts = s.lane.Sink.NewEncoder()
	}
	s.parts.Begin()
	for _, p := range pieces {
		if len(p.records) > 0 {
			s.parts.Add(p.block, p.segment, p.records)
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
