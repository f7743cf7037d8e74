package exporter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// roundLasts is how long anybody waits for the collectors. Those of the node and of the containers have shorter bounds of
// their own (metrics.collect_timeout, twice at the most) and everything else answers at once, so this is for a defect:
// then the ledger is still served.
const roundLasts = 150 * time.Second

var errHangs = errors.New("a collector does not return: only what needs no collector is shown")

// Rounds are gatherings, one at a time: all who ask while one is under way share it, scrapes as well as pushes. Reading
// a node's files is most of what a scrape costs, and two readers of the same moment have no use for two answers.
type rounds struct {
	mu  sync.Mutex
	now *round // under way; nil if none is
}

// A round asks each collector once.
type round struct {
	began    time.Time
	done     chan struct{}       // closed when what follows is there
	families []*dto.MetricFamily // sorted by name; shared, so never changed
	err      error
}

// join returns the round under way, or begins one.
func (s *rounds) join(g prometheus.Gatherer) *round {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = begin(g, s.end)
	}
	return s.now
}

func (s *rounds) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = nil
}

// begin starts a round; end, if there is one, is called when it is over, before those who wait for it go on. The round has
// a goroutine of its own, so that whoever began it can go away. A collector that never returns keeps that one goroutine,
// for the round is never over and nobody begins another.
func begin(g prometheus.Gatherer, end func()) *round {
	r := &round{began: time.Now(), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.families, r.err = g.Gather()
		if end != nil {
			end()
		}
	}()
	return r
}

// wait returns what the round has gathered, nothing if ctx ends before it does or it takes too long. What could be
// gathered is there even if there is an error.
func (r *round) wait(ctx context.Context) ([]*dto.MetricFamily, error) {
	late := time.NewTimer(time.Until(r.began.Add(roundLasts)))
	defer late.Stop()
	select {
	case <-r.done:
		return r.families, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late.C:
		return nil, errHangs
	}
}
