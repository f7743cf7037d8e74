package pipeline

import (
	"maps"
	"sync/atomic"
)

// Stats are a lane's own figures, beside its targets' accounts. They count from the start of the process and are
// touched once a request, without a lock.
type Stats struct {
	requests atomic.Pointer[map[string]*atomic.Int64] // by Answer.Code; the map is replaced, never changed

	sentBytes, retries atomic.Int64
	down               atomic.Bool
	shards             atomic.Int64
	leftOut            [NumReasons]atomic.Int64
	unkept             atomic.Int64
	unkeeping          atomic.Bool // the last attempt to keep dead letters has failed
}

// Requests is the number of requests by the code of their answer.
func (s *Stats) Requests() map[string]int64 {
	counts := make(map[string]int64)
	if m := s.requests.Load(); m != nil {
		for code, n := range *m {
			counts[code] = n.Load()
		}
	}
	return counts
}

// SentBytes is the number of bytes of request bodies as sent, the repeated ones included.
func (s *Stats) SentBytes() int64 { return s.sentBytes.Load() }

// Retries is the number of requests that were sent because an earlier one had failed.
func (s *Stats) Retries() int64 { return s.retries.Load() }

// Up is false while the sink's last request has failed. It is true before the first request.
func (s *Stats) Up() bool { return !s.down.Load() }

// Shards is how many shards the lane has now.
func (s *Stats) Shards() int { return int(s.shards.Load()) }

// LeftOut is the number of lines by reason that the sink left out of requests without saying whose they were. They are
// counted as delivered in the accounts of their targets, which are Doubtful therefore. It is the least that it can be: a
// request of which the sink left out some and did not say how many counts as one.
func (s *Stats) LeftOut() (lines [NumReasons]int64) {
	for r := range lines {
		lines[r] = s.leftOut[r].Load()
	}
	return lines
}

// Unkept is the number of refused lines that could not be written to the dead letters.
func (s *Stats) Unkept() int64 { return s.unkept.Load() }

func (s *Stats) count(code string, sent int, retry bool) {
	for {
		old := s.requests.Load()
		if old != nil {
			if n := (*old)[code]; n != nil {
				n.Add(1)
				break
			}
		}
		grown := make(map[string]*atomic.Int64)
		if old != nil {
			maps.Copy(grown, *old)
		}
		grown[code] = new(atomic.Int64)
		s.requests.CompareAndSwap(old, &grown)
	}
	s.sentBytes.Add(int64(sent))
	if retry {
		s.retries.Add(1)
	}
}
