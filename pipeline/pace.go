package pipeline

import (
	"sync/atomic"
	"time"
)

// A pace spreads max_rate over the shards of a lane: each reserves the time that its bytes take.
type pace struct {
	rate int64        // bytes a second; 0 is no limit
	free atomic.Int64 // in ticks: when the next byte may go
}

func (p *pace) begin(rate int64) {
	p.rate = rate
	p.free.Store(ticks())
}

// reserve returns how long to wait before n bytes may go.
func (p *pace) reserve(n int) time.Duration {
	if p.rate <= 0 {
		return 0
	}
	took := int64(float64(n) / float64(p.rate) * float64(time.Second))
	for {
		now, free := ticks(), p.free.Load()
		from := max(free, now)
		if p.free.CompareAndSwap(free, from+took) {
			return time.Duration(from - now)
		}
	}
}
