package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/pipeline"
)

const interval = 15 * time.Second

// A fakeSink encodes a gathering as "NUMBER@SECONDS" of its own count and time, ten samples each, and keeps what it was sent.
type fakeSink struct {
	pad    int  // so many bytes more in each body
	parts  int  // bodies of a gathering, 0 as 1
	silent bool // it knows no marks for ended series

	mu      sync.Mutex
	encErr  error
	encoded int
	asked   []string                                            // all that was sent, in order
	taken   []string                                            // what was accepted of it
	answer  func(ctx context.Context, n string) pipeline.Answer // nil: accepted
}

func (s *fakeSink) Encode(_ []*dto.MetricFamily, at time.Time, put func([]byte, int) error) error {
	buf := make([]byte, 0, 100) // it is used again, as a real one would
	for range max(1, s.parts) {
		s.mu.Lock()
		s.encoded++
		buf = fmt.Appendf(buf[:0], "%d@%d", s.encoded, at.Sub(start)/time.Second)
		s.mu.Unlock()
		if err := put(append(buf, strings.Repeat(" ", s.pad)...), 10); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.encErr
}

func (s *fakeSink) Stale(at time.Time, put func([]byte, int) error) error {
	if s.silent {
		return nil
	}
	return put(fmt.Appendf(nil, "end@%d+%dms", at.Sub(start)/time.Second, at.UnixMilli()%1000), 10)
}

func (s *fakeSink) Send(ctx context.Context, body []byte, samples int) pipeline.Answer {
	n := strings.TrimSpace(string(body))
	s.mu.Lock()
	s.asked = append(s.asked, n)
	answer := s.answer
	s.mu.Unlock()
	a := ok
	if answer != nil {
		a = answer(ctx, n)
	}
	if a.Outcome == pipeline.Accepted {
		s.mu.Lock()
		s.taken = append(s.taken, n)
		s.mu.Unlock()
	}
	return a
}

// answers says what is answered from now on.
func (s *fakeSink) answers(a func(ctx context.Context, n string) pipeline.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = a
}

func (s *fakeSink) always(a pipeline.Answer) {
	s.answers(func(context.Context, string) pipeline.Answer { return a })
}

func (s *fakeSink) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.taken, " ")
}

func (s *fakeSink) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

var (
	ok       = pipeline.Answer{Outcome: pipeline.Accepted, Code: "204"}
	down     = pipeline.Answer{Outcome: pipeline.Failed, Code: "503", Err: errors.New("central: 503: no upstream")}
	away     = pipeline.Answer{Outcome: pipeline.Failed, Code: "error", Err: errors.New("central: connection refused")}
	broken   = pipeline.Answer{Outcome: pipeline.Failed, Code: "500", Err: errors.New("central: 500: panic")}
	refusing = pipeline.Answer{Outcome: pipeline.Refused, Code: "400", Reason: pipeline.BadRequest, Err: errors.New("central: 400: out of order")}
)

// hang answers when ctx ends.
func hang(ctx context.Context, _ string) pipeline.Answer {
	<-ctx.Done()
	return pipeline.Answer{Outcome: pipeline.Failed, Code: "error", Err: ctx.Err()}
}

// start is when a bubble's clock begins.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

type gatherer func() ([]*dto.MetricFamily, error)

func (g gatherer) Gather() ([]*dto.MetricFamily, error) { return g() }

// A rig is a Pusher with one sink or more, on a disk in memory, in a bubble.
type rig struct {
	*Pusher
	t      *testing.T
	sinks  []*fakeSink
	disk   *memDisk
	logged logBuffer

	stop, stopDrain context.CancelFunc
	ended           chan struct{}
}

func newRig(t *testing.T, d *memDisk, maxBytes int64, sinks ...*fakeSink) *rig {
	r := &rig{t: t, sinks: sinks, disk: d}
	o := Options{
		Interval: interval, disk: d, Gatherer: gatherer(func() ([]*dto.MetricFamily, error) { return nil, nil }),
		Log: newLog(&r.logged),
	}
	for i, s := range sinks {
		o.Targets = append(o.Targets, Target{Name: fmt.Sprintf("s%d", i), Sink: s, Dir: fmt.Sprintf("state/s%d/push", i), MaxBytes: maxBytes})
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Pusher = p
	return r
}

func (r *rig) run() *rig {
	ctx, stop := context.WithCancel(context.Background())
	drain, stopDrain := context.WithCancel(context.Background())
	r.stop, r.stopDrain, r.ended = stop, stopDrain, make(chan struct{})
	go func() {
		defer close(r.ended)
		r.Run(ctx, drain)
	}()
	return r
}

// at lets the time come to so much after the start of the bubble, and everything that is due then.
func (r *rig) at(d time.Duration) {
	r.t.Helper()
	time.Sleep(time.Until(start.Add(d)))
	synctest.Wait()
	r.check()
}

// end stops it, and allows so much time to drain. It returns how much it took.
func (r *rig) end(drain time.Duration) (took time.Duration) {
	r.t.Helper()
	began := time.Now()
	r.stop()
	defer time.AfterFunc(drain, r.stopDrain).Stop()
	<-r.ended
	r.stopDrain()
	r.check()
	return time.Since(began)
}

// kill ends it as a kill does: what it still does changes nothing any more. It returns the disk of the next life.
func (r *rig) kill(power bool, rnd *rand.Rand) *memDisk {
	next := r.disk.crash(power, rnd)
	r.stopDrain()
	r.stop()
	<-r.ended
	return next
}

// check holds the account and the queue to what they promise.
func (r *rig) check() {
	r.t.Helper()
	for _, t := range r.targets {
		if err := t.queue.wrong(); err != nil {
			r.t.Fatalf("%s: %v", t.Name, err)
		}
	}
}

// wrong says what is not as it has to be at every moment.
func (q *queue) wrong() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	sum := q.delivered + q.pending
	for _, n := range q.dropped {
		sum += n
	}
	if q.samples != sum {
		return fmt.Errorf("%d samples, and %d of them are somewhere: %+v", q.samples, sum, q.account)
	}
	var pending, memory, newest, files int64
	for i, b := range q.bodies {
		pending += b.samples
		memory += int64(len(b.bytes))
		if i >= q.kept && b.round == q.round {
			newest += int64(len(b.bytes))
		}
		if b.onDisk != (i < q.kept) || b.gone || b.onDisk == (b.bytes != nil) || i > 0 && b.number <= q.bodies[i-1].number {
			return fmt.Errorf("body %d of %d, %d on disk: %+v", i, len(q.bodies), q.kept, b)
		}
		if b.onDisk {
			files += takes(b.file)
		}
	}
	for _, f := range q.trash {
		files += f.size
	}
	if pending != q.pending || memory != q.memory || files != q.disk {
		return fmt.Errorf("pending %d of %d, memory %d of %d, disk %d of %d", q.pending, pending, q.memory, memory, q.disk, files)
	}
	if memory > mostMemory+newest && !slices.Contains(q.bodies, q.sending) {
		return fmt.Errorf("%d bytes in memory, %d of them of the newest gathering", memory, newest)
	}
	return nil
}

func (r *rig) figures() figures { return r.targets[0].queue.figures() }

// files are the names on the disk.
func (r *rig) files() string {
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	var list []string
	for path := range r.disk.names {
		list = append(list, strings.TrimLeft(path[strings.LastIndexByte(path, '/')+1:], "0"))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// logBuffer may be written to by many.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newLog(to *logBuffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}
