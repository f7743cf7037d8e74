package push

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A target is a sink with its queue.
type target struct {
	Target
	log   *slog.Logger
	beat  *pipeline.Beat // the sender's
	files disk
	queue *queue

	encoding, filled complaint // the gathering goroutine's own

	// The keeper's own.
	disk, full complaint
	made       bool // the folder
	scratch    []byte

	// The sender's own.
	failing, reading, damaged complaint
	failures                  int     // requests with the oldest body in a row that have to be sent again
	head                      *body   // the last body that was sent, and
	bytes                     []byte  // what is in it
	suspect                   suspect // see poison.go
}

func newTarget(to Target, o Options) *target {
	return &target{
		Target: to, log: o.Log.With("sink", to.Name), beat: o.Beat("metrics push to " + to.Name), files: o.disk,
		queue: newQueue(to.MaxBytes),
	}
}

// run sends until all is settled, or drain ends, and then keeps the rest.
func (t *target) run(drain context.Context) {
	var keeping sync.WaitGroup
	stop := make(chan struct{})
	keeping.Go(func() { t.keep(stop) })
	t.send(drain)
	<-t.queue.shut // the time to drain may be up before the last gathering is in
	close(stop)
	keeping.Wait()
	q := t.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	lost := int64(0)
	for _, b := range q.bodies[q.kept:] {
		lost += b.samples
	}
	if lost > 0 {
		t.log.Error("leatd stops with metrics that it could neither deliver nor keep", "samples", lost)
	}
}

// take puts one body of a gathering into the queue.
func (t *target) take(round uint64, at time.Time, body []byte, samples int) {
	dropped := t.queue.put(round, at, bytes.Clone(body), int64(samples))
	if dropped > 0 && t.filled.due("", false) {
		t.log.Error("metrics wait in memory and there is no more room: the oldest are dropped and counted as spool_full; "+
			"let the sink take them, or give it a spool on a disk that works", "samples", dropped)
	}
}
