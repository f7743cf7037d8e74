package push

import (
	"slices"
	"sync"
	"time"

	"github.com/leatd/leat/pipeline"
)

// mostMemory bounds the bodies that a queue holds in memory alone, in bytes, but for those of the newest gathering.
const mostMemory = 2 << 20

// A body is one request, and what the account has to know of it.
type body struct {
	number  int64 // they rise over all lives
	at      int64 // the time of its samples, in ms since 1970
	samples int64
	round   uint64 // the gathering it is of; 0 if that was in an earlier life

	bytes   []byte // nil when it is on disk
	file    int64  // how long its file is or will be
	onDisk  bool   // all of it, synced
	touched bool   // the keeper has begun to write it
	gone    bool   // from the queue
}

// Litter is a file that is to be removed.
type litter struct {
	name string
	size int64 // what it counts on the disk
}

// A queue holds what a target has yet to get, the oldest first, and the target's account. The gathering goroutine puts, the
// sender takes and settles, the keeper moves bodies to the disk. None of them waits in here.
type queue struct {
	maxBytes int64 // of files; 0: nothing is written

	sender, keeper chan struct{} // room for one: there may be something new for them
	shut           chan struct{} // closed with the queue

	mu sync.Mutex // guards all that follows, and every body in it
	account
	bodies  []*body // bodies[:kept] are on disk, the others in memory
	kept    int
	memory  int64 // bytes of bodies[kept:]
	disk    int64 // bytes that files take, those of the trash included
	trash   []litter
	sending *body  // the sender has it in hand
	last    int64  // number of the last body
	round   uint64 // of the last body
	failing bool   // the last request with the oldest body was not settled
	closed  bool   // nothing is put any more
}

func newQueue(maxBytes int64) *queue {
	return &queue{maxBytes: maxBytes, sender: make(chan struct{}, 1), keeper: make(chan struct{}, 1), shut: make(chan struct{}),
		account: account{requests: make(map[string]int64)}}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// put takes a body in, and returns how many samples of older ones had to go because memory is full. It keeps bytes.
func (q *queue) put(round uint64, at time.Time, bytes []byte, samples int64) (dropped int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last++
	q.round = round
	q.bodies = append(q.bodies, &body{
		number: q.last, at: at.UnixMilli(), samples: samples, round: round, bytes: bytes, file: headSize + int64(len(bytes)),
	})
	q.memory += int64(len(bytes))
	q.samples += samples
	q.pending += samples
	for i := q.kept; q.memory > mostMemory && i < len(q.bodies) && q.bodies[i].round != round; {
		if b := q.bodies[i]; b != q.sending {
			dropped += b.samples
			q.settle(b, b.samples, pipeline.SpoolFull)
		} else {
			i++
		}
	}
	ring(q.sender)
	ring(q.keeper)
	return dropped
}

// close says that nothing comes any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	close(q.shut)
	ring(q.sender)
	ring(q.keeper)
}

// take gives the sender one of the oldest bodies, the oldest of all being 0. It is nil if there are not so many.
func (q *queue) take(nth int) *body {
	q.mu.Lock()
	defer q.mu.Unlock()
	if nth >= len(q.bodies) {
		return nil
	}
	q.sending = q.bodies[nth]
	return q.sending
}

// release takes back a body that the sender will ask for again.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending = nil
}

// over tells the sender that it has done: all is settled, or the store fails while leatd stops and all is on disk.
func (q *queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && (len(q.bodies) == 0 || q.failing && q.kept == len(q.bodies))
}

// fails notes that the oldest body has to be sent again: from now on it is safer on disk.
func (q *queue) fails() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending, q.failing, q.down = nil, true, true
	ring(q.keeper)
}

// done settles a body that the sender has taken, of which so many samples were dropped. With well, the store takes the
// oldest bodies.
func (q *queue) done(b *body, dropped int64, why pipeline.Reason, well bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending = nil
	if well {
		q.failing, q.down = false, false
	}
	q.settle(b, dropped, why)
	ring(q.keeper)
}

// settle counts what became of a body, and takes it from the queue. Call it with the lock held.
func (q *queue) settle(b *body, dropped int64, why pipeline.Reason) {
	q.account.settle(b.samples, dropped, why)
	i := slices.Index(q.bodies, b)
	if i < q.kept {
		q.kept--
	} else {
		q.memory -= int64(len(b.bytes))
	}
	if i == 0 {
		q.bodies[0] = nil
		q.bodies = q.bodies[1:]
	} else {
		q.bodies = slices.Delete(q.bodies, i, i+1)
	}
	b.gone, b.bytes = true, nil
	switch {
	case b.onDisk:
		q.trash = append(q.trash, litter{b.name(), takes(b.file)})
	case b.touched: // nobody knows how far that came
		q.trash = append(q.trash, litter{b.name(), 0}, litter{b.name() + unwhole, 0})
	}
}

// count counts a request.
func (q *queue) count(code string, bytes int, retry bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.requests[code]++
	q.sentBytes += int64(bytes)
	if retry {
		q.retries++
	}
}
