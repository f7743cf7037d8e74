package push

import (
	"errors"
	"fmt"

	"github.com/leatd/leat/pipeline"
)

// makeRoom removes what is settled, then drops the oldest bodies on disk, until so much more fits.
func (t *target) makeRoom(n int64) error {
	q := t.queue
	if q.maxBytes == 0 {
		return nil
	}
	if n > q.maxBytes {
		return fmt.Errorf("spool.max_bytes (%d) is less than one request takes (%d): give it more", q.maxBytes, n)
	}
	for {
		samples, fits := q.dropOldest(n)
		if fits {
			return nil
		}
		if samples < 0 {
			return errors.New("the spool is full, and the one request in it is being sent")
		}
		if samples > 0 && t.full.due("", false) {
			t.log.Error("the spool is full: its oldest metrics are dropped and counted as spool_full; the sink is down for too long, or spool.max_bytes is too small",
				"max_bytes", q.maxBytes, "samples", samples)
		}
		if err := t.tidy(); err != nil {
			return err
		}
	}
}

// dropOldest gives up the oldest body on disk that the sender does not have, if need be. It returns how many samples that
// is, -1 if there is no such body, and 0 if there is trash to be removed first.
func (q *queue) dropOldest(n int64) (samples int64, fits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.disk+n <= q.maxBytes {
		return 0, true
	}
	if len(q.trash) > 0 {
		return 0, false
	}
	for _, b := range q.bodies[:q.kept] {
		if b != q.sending {
			q.settle(b, b.samples, pipeline.SpoolFull)
			return b.samples, false
		}
	}
	return -1, false
}
