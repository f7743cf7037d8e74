package pipeline

// leaveOut settles pieces of a request that the store took in part: it has the rest for good, so nothing is sent again.
// Where it is certain whose records it left out, they are refused like any others. Otherwise they are counted for the lane
// and for nobody in it, and all that the request held is doubtful.
func (s *sending) leaveOut(pieces []piece, a Answer) {
	records := count(pieces)
	switch {
	case records == 1 || a.LeftOut >= int64(records):
		s.refuse(pieces, a)
		return
	case a.LeftOut > 0 && !several(pieces):
		left := a.LeftOut
		for _, p := range pieces {
			if n := min(left, int64(len(p.records))); n > 0 {
				p.segment.refuse(a.Reason, Count{n, bytesOf(p.records) * n / int64(len(p.records))})
				// Of two streams the store may have spoken of one only.
				p.segment.Doubtful = p.segment.Doubtful || mixed(pieces)
				left -= n
			}
		}
	default:
		s.lane.stats.leftOut[a.Reason].Add(max(1, a.LeftOut))
		for _, p := range pieces {
			p.segment.Doubtful = true
		}
	}
	s.rule(pieces, Delivered, Answer{})
}

// mixed tells that a request holds two streams that the store keeps apart. Its pieces are of one target.
func mixed(pieces []piece) bool {
	if pieces[0].segment.Target.Described.Stderr == nil {
		return false
	}
	any, all := Flags(0), ^Flags(0)
	for _, p := range pieces {
		for i := range p.records {
			any |= p.records[i].Flags
			all &= p.records[i].Flags
		}
	}
	return (any^all)&Stderr != 0
}
