package pipeline

// A store that answers 413 says that a request is too large, and not how large it may be. That is found out by halving:
// where it takes both halves of what it refused, a half is small enough. From then on requests of the lane have no more
// log bytes than that; it is forgotten with the process. A refusal that comes down to a single record teaches nothing:
// then it is the record that is too large.

// leastLimit is what a request may have at least, however small a limit the store seems to have: below it the cost is in
// the requests, and what is refused is halved all the same.
const leastLimit = 64 << 10

// most is how many log bytes are gathered in one request.
func (l *Lane) most() int {
	if limit := int(l.limit.Load()); limit != 0 {
		return min(limit, l.MaxBatch)
	}
	return l.MaxBatch
}

// learn remembers that the store refused pieces together, and took both halves.
func (s *sending) learn(pieces []piece, a Answer) {
	if a.Outcome != Refused || a.Reason != TooLarge {
		return
	}
	limit := max(leastLimit, s.size(pieces)/2)
	for {
		old := s.lane.limit.Load()
		if old != 0 && old <= limit {
			return
		}
		if s.lane.limit.CompareAndSwap(old, limit) {
			if old == 0 {
				s.lane.Log.Warn("sink refuses requests for their size: they are made smaller until leatd is restarted; "+
					"raise the limit of the store, or of the proxy before it, or set max_batch",
					"sink", s.lane.Name(), "log_bytes", limit, "error", words(a))
			}
			return
		}
	}
}

// size is how many log bytes pieces stand for: their share of the batch's.
func (s *sending) size(pieces []piece) int64 {
	return int64(float64(s.raw) * float64(weight(pieces)) / float64(max(1, weight(s.live))))
}

// weight goes with the length of pieces in their files, where each line has a newline at least.
func weight(pieces []piece) (w int64) {
	for _, p := range pieces {
		w += bytesOf(p.records) + int64(len(p.records))
	}
	return w
}

// tooLarge tells that the store would refuse pieces for their size, so that there is no need to ask: a block can be
// larger than what the lane has learned; and where each stream has a request of its own, nobody has looked yet whether
// its body stays below the store's limit.
func (s *sending) tooLarge(pieces []piece) bool {
	records := count(pieces)
	if records < 2 {
		return false
	}
	if limit := s.lane.limit.Load(); limit != 0 && s.size(pieces) > limit {
		return true
	}
	return s.lane.OneStream && s.lane.MaxBody != 0 && int(weight(pieces))+records*perRecord > s.lane.MaxBody
}
