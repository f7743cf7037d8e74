package pipeline

import (
	"runtime"
	"sync/atomic"
	"time"
)

// A lane has one shard until it is not enough. Two things can make it so: the store is far (the sender waits for
// answers most of the time while the reader has no block left to fill), or a core is busy (the encoder never rests).
// The second cause takes half of the processors at most: the node is there for its workloads, not for us.
const (
	growAfter   = 3  // busy looks in a row
	shrinkAfter = 60 // idle looks in a row
)

type decision uint8

const (
	stay decision = iota
	more
	fewer
)

// scaler judges once per superviseEvery. Owned by the lane's supervisor.
type scaler struct {
	most       int
	busy, idle int
}

func (c *scaler) judge(shards []*shard, up bool) decision {
	starved, sending, encoding := 0.0, 0.0, 0.0
	retiring := false
	for _, s := range shards {
		starved += share(&s.starved)
		sending += share(&s.sending)
		encoding += share(&s.encoding)
		retiring = retiring || s.retire.Load()
	}
	n := float64(len(shards))
	far := starved/n > 0.5 && sending/n > 0.6
	busy := starved/n > 0.3 && encoding/n > 0.9 && len(shards) < runtime.GOMAXPROCS(0)/2
	switch {
	case retiring:
		c.busy, c.idle = 0, 0
	case up && (far || busy):
		c.busy, c.idle = c.busy+1, 0
	case max(sending, encoding) < 0.5*(n-1):
		c.busy, c.idle = 0, c.idle+1
	default:
		c.busy, c.idle = 0, 0
	}
	switch {
	case c.busy >= growAfter && len(shards) < c.most:
		c.busy = 0
		return more
	case c.idle >= shrinkAfter && len(shards) > 1:
		c.idle = 0
		return fewer
	}
	return stay
}

// share takes the time that a stage spent in some state since the last look, as a share of the time between looks.
func share(s *spent) float64 { return float64(s.take()) / float64(superviseEvery) }

// spent adds up how long a stage was in a state, the stretch that still lasts included. Written by the stage, taken by
// the supervisor.
type spent struct {
	total, since atomic.Int64 // ns
}

func (s *spent) enter() { s.since.Store(ticks()) }

func (s *spent) leave() {
	if since := s.since.Swap(0); since != 0 {
		s.total.Add(ticks() - since)
	}
}

func (s *spent) take() time.Duration {
	now := ticks()
	if since := s.since.Load(); since != 0 && s.since.CompareAndSwap(since, now) {
		s.total.Add(now - since)
	}
	return time.Duration(s.total.Swap(0))
}
