package pipeline

import (
	"slices"
	"time"
)

// admission is what the encoder and the sender note on a segment of a target whose streams the store limits.
type admission struct {
	cost  [2]int64 // bytes as the store counts them, reserved of the target's streams
	alone bool     // encoded, but to be sent apart from other targets
}

// admit asks the segment's streams whether it may be sent now. If not, the target goes Back, and what follows of it under
// way is passed over. Where the lane is diverted everything is let through, since it goes to the spool: a deleted file
// does not wait for a store's limits. The encoding goroutine calls it.
func (s *Segment) admit(b *Block, at time.Time, diverted bool) bool {
	t := s.Target
	streams := &t.Described.Streams
	if streams[0] == nil {
		return true
	}
	if s.Paced = s.Epoch < t.letIn; s.Paced {
		return false
	}
	if s.N == 0 {
		return true
	}
	now := int64(at.Sub(origin))
	cost, newest, behind := s.measure(b.Of(s))
	for i, st := range streams {
		if cost[i] == 0 {
			continue
		}
		if diverted {
			st.reserve(cost[i])
		} else if wait := st.take(cost[i], now); wait > 0 {
			if i == 1 && cost[0] > 0 {
				streams[0].settle(cost[0])
			}
			t.letIn = s.Epoch + 1
			t.until.Store(now + int64(wait))
			s.Paced, s.RetryAfter = true, wait
			return false
		}
	}
	s.cost, s.alone = cost, behind
	for i, st := range streams {
		if cost[i] == 0 {
			continue
		}
		st.saw(newest[i], at)
		s.alone = s.alone || st.alone(cost[i])
	}
	return true
}

// measure is what the store counts of records of the segment by stream, and the youngest one's time; behind tells that a
// record is so far behind its stream that the store may refuse it.
func (s *Segment) measure(records []Record) (cost, newest [2]int64, behind bool) {
	d := &s.Target.Described
	apart := Flags(0)
	newest[0] = d.Streams[0].newest.Load()
	if d.Streams[1] != nil {
		apart = Stderr
		newest[1] = d.Streams[1].newest.Load()
	}
	line := int64(d.PerLine)
	if s.Any&(Truncated|Unfinished) != 0 {
		line = int64(d.PerMarkedLine)
	}
	for i := range records {
		r := &records[i]
		st := r.Flags & apart // Stderr is 1: the second stream
		cost[st] += int64(r.Len) + line
		switch {
		case r.Time > newest[st]:
			newest[st] = r.Time
		case r.Time < newest[st]-int64(streamBehind):
			behind = true
		}
	}
	return cost, newest, behind
}

// overdrawn holds back a segment that was admitted and for whose target there is no room any more, and what follows of
// that. The sending goroutine calls it.
func (s *Segment) overdrawn(now int64) bool {
	t := s.Target
	if wait := t.overdrawn(now); wait > 0 {
		s.RetryAfter = wait
		t.cut = max(t.cut, s.Epoch+1)
	}
	s.Paced = s.Epoch < t.cut
	return s.Paced
}

// overdrawn tells whether a stream of the target has no room any more for what was admitted, and for how long.
func (t *LaneTarget) overdrawn(now int64) (wait time.Duration) {
	for _, st := range t.Described.Streams {
		if st != nil {
			wait = max(wait, st.overdrawn(now))
		}
	}
	return wait
}

// overdrawn tells whether that is so of one of the pieces' targets.
func overdrawn(pieces []piece) bool {
	now := ticks()
	return slices.ContainsFunc(pieces, func(p piece) bool { return p.segment.Target.overdrawn(now) > 0 })
}

// sent tells the segment's streams of an attempt to send some of its records.
func (s *Segment) sent(now int64, records []Record) {
	cost := s.cost
	if len(records) < s.N && cost != [2]int64{} {
		cost, _, _ = s.measure(records)
	}
	for i, n := range cost {
		if n > 0 {
			s.Target.Described.Streams[i].sent(n, now)
		}
	}
}

// throttled tells the segment's streams that the store throttles them. It tells whether that was news.
func (s *Segment) throttled(now int64) (news bool) {
	for i, n := range s.cost {
		if n > 0 && s.Target.Described.Streams[i].throttled(now) {
			news = true
		}
	}
	return news
}

// settle ends the reservations of a block that goes home.
func (b *Block) settle() {
	for i := range b.Segments {
		s := &b.Segments[i]
		for j, n := range s.cost {
			if n > 0 {
				s.Target.Described.Streams[j].settle(n)
			}
		}
	}
}

// Held tells that the target's stream has had all that the store takes of it for now: what was read would only come Back.
// Its reader asks before it reads.
func (t *LaneTarget) Held() bool {
	until := t.until.Load()
	if until == 0 {
		return false
	}
	if ticks() < until {
		return true
	}
	t.until.CompareAndSwap(until, 0)
	return false
}
