package pipeline

import "slices"

// How the records are found that a store refuses (400, 413, 422): a request that is refused is halved, and each half is
// asked for, until what is refused is a single record. That takes two rounds:
//
//	settle     between targets. Those that are accepted are done; each that is refused by itself is a suspect.
//	singleOut  within the suspects, one after the other: segments first, then records. What is left goes first, so
//	           that the others of a target arrive in their order.
//
// A batch may spend perBlock requests on that for each of its blocks. The suspects share what the first round has left,
// evenly, and share again what some of them did not need. When nothing is left, what is then refused is refused as a
// whole; but not before each target in it was asked for by itself, which costs one more request for each. So a target pays
// for its own records alone.
const perBlock = 32

// A suspect is a target whose pieces the store refuses.
type suspect struct {
	parts []part // the first of them is the last here
}

// A part is some pieces of a suspect.
type part struct {
	pieces  []piece
	refused bool   // the store was asked, and refuses them together
	answer  Answer // its words
	of      *whole // what it is a half of; nil if it is none
}

// A whole is what was refused and halved.
type whole struct {
	pieces []piece
	answer Answer
	taken  int // of its halves
}

// spend takes from the budget what it costs to halve a request, if it is there.
func (s *sending) spend() bool {
	if s.budget < 2 {
		return false
	}
	s.budget -= 2
	return true
}

// accuse makes a suspect of pieces that the store refuses.
func (s *sending) accuse(pieces []piece, answer Answer) {
	s.suspects = append(s.suspects, suspect{[]part{{pieces: pieces, refused: true, answer: answer}}})
}

// waits tells that pieces are behind others that are to be singled out first, and puts them there.
func (s *sending) waits(pieces []piece) bool {
	n := len(s.suspects)
	if n == 0 || len(pieces) == 0 || several(pieces) {
		return false
	}
	c := &s.suspects[n-1]
	if c.parts[0].pieces[0].stream() != pieces[0].stream() {
		return false
	}
	c.parts = slices.Insert(c.parts, 0, part{pieces: pieces})
	return true
}

// singleOut finds the records of the suspects that are refused.
func (s *sending) singleOut() {
	for len(s.suspects) > 0 {
		last := s.budget < 2
		for i := range s.suspects {
			share := s.budget / (len(s.suspects) - i)
			others := s.budget - share
			s.budget = share
			s.narrow(&s.suspects[i], last)
			s.budget += others
		}
		s.suspects = slices.DeleteFunc(s.suspects, func(c suspect) bool { return len(c.parts) == 0 })
	}
}

// narrow goes on with a suspect until it is settled or the budget ends. With last, what is refused then is refused as it
// is.
func (s *sending) narrow(c *suspect, last bool) {
	for len(c.parts) > 0 {
		n := len(c.parts) - 1
		p := &c.parts[n]
		switch {
		case !p.refused && s.tooLarge(p.pieces):
			left, right := halve(p.pieces)
			c.parts = append(c.parts[:n], part{pieces: right}, part{pieces: left})
			continue
		case !p.refused:
			rest, verdict, answer := s.ask(p.pieces, nil, 0)
			if p.pieces = rest; verdict == apart {
				p.refused, p.answer = true, answer
				continue
			}
			s.rule(rest, verdict, answer)
			if p.of != nil && verdict == Delivered && answer.taken() {
				if p.of.taken++; p.of.taken == 2 {
					s.learn(p.of.pieces, p.of.answer)
				}
			}
		case count(p.pieces) == 1 || last && s.budget < 2:
			s.convict(p.pieces, p.answer)
		case s.spend():
			left, right := halve(p.pieces)
			of := &whole{pieces: p.pieces, answer: p.answer}
			c.parts = append(c.parts[:n], part{pieces: right, of: of}, part{pieces: left, of: of})
			continue
		default:
			return
		}
		c.parts = c.parts[:n]
	}
}

// convict refuses pieces for good. Only a 5xx has to be proven first, and if it is not, it was the store's.
func (s *sending) convict(pieces []piece, answer Answer) {
	for answer.Outcome == Failed {
		verdict, again, proven := s.confront(pieces, answer.Code)
		if verdict != apart {
			s.rule(pieces, verdict, again)
			return
		}
		if answer = again; proven {
			answer.Reason = ServerError
			break
		}
	}
	s.refuse(pieces, answer)
}

// refuse gives up pieces: the store's words say why.
func (s *sending) refuse(pieces []piece, answer Answer) {
	for _, p := range pieces {
		if len(p.records) > 0 {
			p.segment.refuse(answer.Reason, Count{int64(len(p.records)), bytesOf(p.records)})
			s.letters = append(s.letters, letter{p, answer})
		}
	}
	s.rule(pieces, Delivered, Answer{})
}

// refuse counts records of the segment that will never be delivered.
func (seg *Segment) refuse(why Reason, n Count) {
	for i := range seg.Refusals {
		if r := &seg.Refusals[i]; r.Reason == why {
			r.Add(n.Lines, n.Bytes)
			return
		}
	}
	seg.Refusals = append(seg.Refusals, Refusal{why, n})
}
