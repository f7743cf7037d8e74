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
