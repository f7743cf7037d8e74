package pipeline

import (
	"math/rand/v2"
	"time"
)

// How a record is told from a store that is down. Some stores answer 500 to a record that they can't take, for ever, and
// a lane that only tries again would never get past it. But a store that is down answers 5xx too, and must not cost a
// single line. So a 5xx is a record's fault only if all of this has happened:
//
//   - The same 5xx came suspiciousAfter times in a row for what the record is in; then the store took half of that, or
//     the witness (probe).
//   - What it did not take was narrowed down to the record like a refusal.
//   - The record got the same 5xx suspiciousAfter times in a row by itself.
//   - Then, proofs times: the store took the witness, and gave the record the same 5xx twice (confront).
//
// The witness is a record that the store has taken before. It is sent again, as it was: that is what the proof costs. As
// long as the store has taken nothing since the process began there is none: then, after desperateAfter failures in a
// row, a record from the right half is sent ahead as a witness, and again in its turn. Without any, nothing is ever
// proven. Whatever is not proven was the store's trouble, and is sent again without end.
const (
	suspiciousAfter = 5
	proofs          = 3
	desperateAfter  = 20
)

// trouble tells that an answer's code is a 5xx.
func trouble(code string) bool { return len(code) == 3 && code[0] == '5' }

// probe finds out whether the store is well although pieces get a 5xx from it. It may settle half of them doing so, and
// returns the rest.
func (s *sending) probe(pieces []piece, code string) (rest []piece, well bool) {
	var right []piece
	if count(pieces) > 1 {
		var left []piece
		left, right = halve(pieces)
		verdict, answer := s.try(left, nil, 0, code)
		if verdict != apart {
			s.rule(left, verdict, answer)
			return right, verdict == Delivered
		}
		if answer.Outcome != Failed {
			return pieces, true
		}
		if several(pieces) { // otherwise the right half would overtake
			verdict, answer := s.try(right, nil, 0, code)
			if verdict != apart {
				s.rule(right, verdict, answer)
				return left, verdict == Delivered
			}
			if answer.Outcome != Failed {
				return pieces, true
			}
		}
	}
	return pieces, s.summon(right) && s.testify()
}

// confront sends the witness and pieces in turn. It ends with the first verdict on the pieces, or when it is proven that
// the code is their fault.
func (s *sending) confront(pieces []piece, code string) (_ Verdict, answer Answer, proven bool) {
	for range proofs {
		if !s.testify() {
			s.sleep(s.rest(0, answer))
			verdict, answer := s.try(pieces, nil, 0, "")
			return verdict, answer, false
		}
		for range 2 {
			s.sleep(breath)
			verdict, again := s.try(pieces, nil, 0, code)
			if verdict != apart || again.Outcome != Failed || again.Code != code {
				return verdict, again, false
			}
			answer = again
		}
	}
	return apart, answer, true
}

// breath is between requests that are no longer a store's trouble.
const breath = 100 * time.Millisecond

// A witness is a copy of a record that the store has taken.
type witness struct {
	block Block
	piece [1]piece // empty as long as there is none
}

// maxWitness is how long a record is that is copied again with every request. A longer one is better than none.
const maxWitness = 4 << 10

// see takes a witness from pieces.
func (w *witness) see(pieces []piece) {
	for _, p := range pieces {
		if len(p.records) == 0 || p.records[0].Len > maxWitness && w.there() {
			continue
		}
		r := p.records[0]
		w.block.Buf = append(w.block.Buf[:0], p.block.Body(&r)...)
		r.Off = 0
		w.block.Records = append(w.block.Records[:0], r)
		w.block.Segments = append(w.block.Segments[:0], Segment{
			Target: p.segment.Target, Generation: p.segment.Generation, Start: p.segment.Start, End: p.segment.End,
			N: 1, Bytes: int64(r.Len), Any: r.Flags, All: r.Flags,
		})
		w.piece[0] = piece{block: &w.block, segment: &w.block.Segments[0], records: w.block.Records}
		return
	}
}

func (w *witness) there() bool { return w.piece[0].segment != nil }

// share lets all shards have the first witness that the store has taken.
func (s *sending) share() {
	if s.lane.witness.Load() == nil {
		first := new(witness)
		first.see(s.witness.piece[:])
		s.lane.witness.CompareAndSwap(nil, first)
	}
}

// summon sees to it that there is a witness, if need be one of pieces that nobody has asked for yet.
func (s *sending) summon(pieces []piece) bool {
	if !s.witness.there() {
		if first := s.lane.witness.Load(); first != nil {
			s.witness.see(first.piece[:])
		} else if s.failed >= desperateAfter {
			s.witness.see(anyOf(pieces))
		}
	}
	return s.witness.there()
}

// anyOf is one record of pieces, each time another one: it may be one that the store doesn't take either.
func anyOf(pieces []piece) []piece {
	if len(pieces) == 0 {
		return nil
	}
	p := pieces[rand.N(len(pieces))]
	if n := len(p.records); n > 0 {
		at := rand.N(n)
		p.records = p.records[at : at+1]
	}
	return []piece{p}
}

// testify tells that the store takes the witness at this moment.
func (s *sending) testify() bool {
	if s.ctx.Err() != nil || !s.summon(nil) || !s.witness.fits() {
		return false
	}
	defer s.witness.block.settle()
	seg := s.witness.piece[0].segment
	answer := s.request(s.bodyOf(s.witness.piece[:]), seg.Target.Key, true)
	seg.sent(ticks(), s.witness.block.Records)
	if answer.Outcome == Accepted {
		s.share()
		return true
	}
	if s.lane.witness.Load() == nil {
		s.witness = witness{} // it was sent ahead, and has not been taken
	}
	return false
}

// fits reserves what the witness needs of its streams, if they have room for it now.
func (w *witness) fits() bool {
	seg := w.piece[0].segment
	streams := &seg.Target.Described.Streams
	if streams[0] == nil {
		return true
	}
	seg.cost = [2]int64{}
	cost, _, _ := seg.measure(w.block.Records)
	for i, n := range cost {
		if n > 0 && streams[i].take(n, ticks()) > 0 {
			w.block.settle()
			return false
		}
		seg.cost[i] = n
	}
	return true
}
