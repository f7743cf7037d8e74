package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A bench is a lane between a fake intake and a fake sink, in a bubble of synctest.
type bench struct {
	t      *testing.T
	lane   *Lane
	in     *fakeIntake
	sink   *fakeSink
	logged *logBuffer
	beats  *beats
	store  *Store

	stop, giveUp context.CancelFunc
	ended        chan struct{}
}

// onBench runs a test on a bench whose lane runs. Its blocks are of 100 bytes, its requests of three blocks.
func onBench(t *testing.T, change func(o *Options), test func(b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, in: newFakeIntake(t), sink: &fakeSink{start: time.Now()}, logged: &logBuffer{}, beats: &beats{}, ended: make(chan struct{})}
		log := slog.New(slog.NewTextHandler(b.logged, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		var err error
		if b.store, err = OpenStore(dir, log); err != nil {
			t.Fatal(err)
		}
		o := Options{Name: "s", Sink: b.sink, Store: b.store, Log: log, MaxShards: 1, BlockSize: 100, MaxLine: 100, MaxBatch: 250, Blocks: 8, Beat: b.beats.beat}
		if change != nil {
			change(&o)
		}
		b.lane = NewLane(o)
		b.in.lane = b.lane
		ctx, stop := context.WithCancel(t.Context())
		drain, giveUp := context.WithCancel(t.Context())
		b.stop, b.giveUp = stop, giveUp
		go func() {
			defer close(b.ended)
			b.lane.Run(ctx, drain, b.in)
		}()
		synctest.Wait()
		test(b)
		b.stop()
		b.giveUp()
		<-b.ended
		b.in.check()
		b.beats.allWait(t)
	})
}

// after lets so much of the bubble's time go by, and everything come to rest.
func (b *bench) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *bench) sent(want string) {
	b.t.Helper()
	if got := b.sink.requests(false); got != strings.TrimSpace(want) {
		b.t.Errorf("sent\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}

func (b *bench) home(want string) {
	b.t.Helper()
	if got := b.in.history(); got != strings.TrimSpace(want) {
		b.t.Errorf("came home\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}

// fill is so many lines of ten bytes, of which a block of the bench holds ten.
func fill(from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("line%06d", i))
	}
	return lines
}

// beats are the beats of a lane's goroutines, by name.
type beats struct {
	mu     sync.Mutex
	byName map[string]*Beat
}

func (b *beats) beat(name string) *Beat {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byName == nil {
		b.byName = make(map[string]*Beat)
	}
	if b.byName[name] == nil {
		b.byName[name] = new(Beat)
	}
	return b.byName[name]
}

// allWait fails the test if a goroutine claims to have work in hand. In a bubble nothing that works takes time, so it is
// right whenever everything has come to rest.
func (b *beats) allWait(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, beat := range b.byName {
		if since, busy := beat.Since(); busy {
			t.Errorf("%s has been busy for %s", name, time.Since(since))
		}
	}
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take is what was logged since the last call.
func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.buf.String()
	l.buf.Reset()
	return s
}

func (b *bench) says(want string) {
	b.t.Helper()
	if got := b.logged.take(); strings.TrimSpace(got) != strings.TrimSpace(want) {
		b.t.Errorf("logged\n%s\nwant\n%s", got, want)
	}
}

// Answers of a store.
var (
	accepted = Answer{Code: "204"}
	down     = Answer{Outcome: Failed, Code: "503", Err: errors.New("503: the store is down")}
	refused  = Answer{Outcome: Refused, Code: "400", Reason: BadRequest, Err: errors.New("400: a bad line")}
	enough   = Answer{Outcome: Throttled, Code: "429", Err: errors.New("429: slow down")}
	oneIsBad = Answer{Outcome: OneTarget, Code: "429", Err: errors.New("429: one stream is too fast")}
)
