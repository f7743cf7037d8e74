package push

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/leatd/leat/pipeline"
)

const (
	retryMost = 10 * time.Minute // a mistake in Retry-After must not silence a node
	// readFor is how long a disk may give nothing, until it is believed to have nothing.
	readFor = 5 * time.Minute
)

// send gives the sink one body after the other, until there are no more or drain ends.
func (t *target) send(drain context.Context) {
	defer t.beat.Waiting()
	for drain.Err() == nil && !t.queue.over() {
		t.beat.Busy()
		b := t.queue.take(0)
		if b == nil {
			t.beat.Waiting()
			select {
			case <-t.queue.sender:
			case <-drain.Done():
			}
			continue
		}
		if pause := t.attempt(drain, b); pause > 0 {
			t.rest(drain, pause)
		}
	}
	t.queue.release()
}

// attempt sends the oldest body once. It returns how long to wait before the next attempt.
func (t *target) attempt(drain context.Context, b *body) (pause time.Duration) {
	answer, pause := t.request(drain, b)
	if pause > 0 || answer.Code == "" {
		return pause
	}
	switch answer.Outcome {
	case pipeline.Accepted, pipeline.Refused:
		t.settle(b, answer, true)
		return 0
	}
	t.queue.fails()
	t.failures++
	t.complain(answer)
	pause = max(pipeline.Backoff(t.failures), pipeline.Jitter(min(answer.RetryAfter, retryMost))) // from half a second
	if t.suspect.accuse(b, answer) {
		return t.confront(drain, b, answer, pause)
	}
	return pause
}

// request sends a body once. Without a code there is no answer to be judged: what the disk does not give is looked for
// again after the pause, and what it will never give is settled; and an answer that comes because drain ends says nothing.
func (t *target) request(drain context.Context, b *body) (answer pipeline.Answer, pause time.Duration) {
	t.beat.Waiting()
	defer t.beat.Busy()
	bytes, err := t.read(b)
	if err != nil {
		return answer, t.unreadable(b, err)
	}
	answer = t.Sink.Send(drain, bytes, int(b.samples))
	if drain.Err() != nil && answer.Outcome != pipeline.Accepted {
		t.queue.release()
		return pipeline.Answer{}, 0
	}
	if answer.Code == "" {
		answer.Code = "error"
	}
	t.queue.count(answer.Code, len(bytes), t.failures > 0)
	return answer, 0
}

// settle counts what the store's answer means for a body. With oldest, it was the oldest, and the queue moves.
func (t *target) settle(b *body, a pipeline.Answer, oldest bool) {
	dropped := int64(0)
	switch {
	case a.Outcome == pipeline.Refused:
		dropped = b.samples
	case a.LeftOut < 0: // pipeline.SomeLeftOut
		dropped = min(1, b.samples) // the least that it can be
	default:
		dropped = min(a.LeftOut, b.samples)
	}
	t.head, t.bytes = nil, nil
	t.queue.done(b, dropped, a.Reason, oldest)
	t.remark(a)
	if !oldest {
		return
	}
	t.failures, t.suspect = 0, suspect{}
	if after, failures, tell := t.failing.ends(); tell {
		t.log.Info("sink takes metrics again", "after", after, "failures", failures)
	}
}

// read returns what is in a body. It is kept until the next one is read.
func (t *target) read(b *body) ([]byte, error) {
	if t.head == b {
		return t.bytes, nil
	}
	t.head, t.bytes = nil, nil
	t.queue.mu.Lock()
	bytes := b.bytes
	t.queue.mu.Unlock()
	if bytes == nil {
		name := b.name()
		file, err := t.files.Read(filepath.Join(t.Dir, name), min(b.file, mostFile)+1)
		if err != nil {
			return nil, err
		}
		if bytes, err = parseFile(file, name); err != nil {
			return nil, err
		}
		if after, failures, tell := t.reading.ends(); tell {
			t.log.Info("the spool can be read again", "after", after, "failures", failures)
		}
	} else {
		t.reading.ends() // all that could not be read is dropped: the next trouble is another one
	}
	t.head, t.bytes = b, bytes
	return bytes, nil
}

// unreadable settles a body that is damaged or gone. If it is just the disk that fails, it returns how long to wait.
func (t *target) unreadable(b *body, err error) (pause time.Duration) {
	lost := errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist)
	if !lost {
		if t.reading.fails("") {
			t.log.Error("the spool cannot be read: its metrics wait; if the disk gives nothing for five minutes they are dropped",
				"folder", t.Dir, "error", err)
		}
		if t.reading.lasts() < readFor {
			t.queue.release()
			return diskRest
		}
	}
	if t.damaged.due("", false) {
		t.log.Error("a file of the spool is damaged or gone: its metrics are dropped and counted as spool_damaged",
			"folder", t.Dir, "file", b.name(), "samples", b.samples, "error", err)
	}
	t.queue.done(b, b.samples, pipeline.SpoolDamaged, false)
	return 0
}

// rest waits, unless all is done meanwhile.
func (t *target) rest(drain context.Context, d time.Duration) {
	t.beat.Waiting()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for !t.queue.over() {
		select {
		case <-timer.C:
			return
		case <-drain.Done():
			return
		case <-t.queue.sender:
		}
	}
}
