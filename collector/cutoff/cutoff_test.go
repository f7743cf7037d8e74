package cutoff

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const timeout = 5 * time.Second

// A script is a source that does at each call what the test says.
type script struct {
	calls int // of Update, so far
	step  func(call int, ch chan<- prometheus.Metric) error
}

func (s *script) Update(ch chan<- prometheus.Metric) error {
	s.calls++
	return s.step(s.calls, ch)
}

// A bench is a cutoff over a script, and what it logged.
type bench struct {
	t *testing.T
	*Cutoff
	source *script
	log    bytes.Buffer
}

func newBench(t *testing.T, step func(call int, ch chan<- prometheus.Metric) error) *bench {
	b := &bench{t: t, source: &script{step: step}}
	plain := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" || a.Key == "stack" {
			return slog.Attr{}
		}
		return a
	}
	b.Cutoff = New("disk", b.source, timeout, slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{ReplaceAttr: plain})))
	return b
}

// shown are the values of what one call shows.
func (b *bench) shown() (values []float64, err error) {
	b.t.Helper()
	ch := make(chan prometheus.Metric)
	go func() {
		defer close(ch)
		err = b.Update(ch)
	}()
	for m := range ch {
		var out dto.Metric
		if err := m.Write(&out); err != nil {
			b.t.Error(err)
		}
		values = append(values, out.GetGauge().GetValue())
	}
	return values, err
}

// wants makes a call, and checks what it shows, its error and how long it takes.
func (b *bench) wants(metrics int, want error, took time.Duration) {
	b.t.Helper()
	begin := time.Now()
	values, err := b.shown()
	if d := time.Since(begin); d != took {
		b.t.Errorf("it took %s, want %s", d, took)
	}
	if !errors.Is(err, want) || len(values) != metrics {
		b.t.Errorf("%d metrics and %v, want %d and %v", len(values), err, metrics, want)
	}
	for i, v := range values {
		if v != float64(i) {
			b.t.Fatalf("metric %d is %v: something is mixed up", i, v)
		}
	}
}

// says checks the whole log, and begins it anew.
func (b *bench) says(want ...string) {
	b.t.Helper()
	if got, want := b.log.String(), strings.Join(append(want, ""), "\n"); got != want {
		b.t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}
	b.log.Reset()
}

var numbered = prometheus.NewDesc("numbered", "A number.", nil, nil)

// show writes metrics from first on.
func show(ch chan<- prometheus.Metric, first, n int) {
	for i := range n {
		ch <- prometheus.MustNewConstMetric(numbered, prometheus.GaugeValue, float64(first+i))
	}
}

var errDisk = errors.New("no such disk")

const (
	saysHangs = `level=WARN msg="a collector hangs: what it shows is missing in the metrics until it returns" collector=disk timeout=5s err="collector disk: ` +
		`took too long and was cut off; look for a file system or a device that does not answer, or for too much to read"`
	saysPanics = `level=ERROR msg="a collector panicked: what it shows is missing in the metrics" collector=disk err="collector disk: panicked: `
	saysFails  = `level=WARN msg="a collector fails: what it shows may be missing in the metrics" collector=disk err="no such disk"`
)

func saysWorks(failed int) string {
	return fmt.Sprintf(`level=INFO msg="a collector works again" collector=disk failed_calls=%d`, failed)
}

// TestPassesOn: what a source shows arrives whole and in order, and its error as it is.
func TestPassesOn(t *testing.T) {
	for _, n := range []int{0, 1, inFlight, inFlight + 1, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, func(call int, ch chan<- prometheus.Metric) error {
				show(ch, 0, n)
				return []error{nil, errDisk, errDisk, ErrNoData, nil}[call-1]
			})
			var took time.Duration // many metrics wait for the reading to begin
			if n > inFlight {
				took = headStart
			}
			b.wants(n, nil, took)
			b.says()
			b.wants(n, errDisk, took)
			b.wants(n, errDisk, took)
			b.says(saysFails)
			b.wants(n, ErrNoData, took)
			b.wants(n, nil, took)
			b.says(saysWorks(2))
			for _, m := range b.kept[:cap(b.kept)] {
				if m != nil {
					t.Fatal("metrics of a call that is over are still held")
				}
			}
		})
	}
}

// TestHangs: a source that hangs after some metrics costs the first caller the timeout and later ones nothing; it is not
// asked again before it has returned, whatever it shows then is gone, and it is as good as new.
func TestHangs(t *testing.T) {
	for _, late := range []int{0, 3, inFlight, 3000} {
		synctest.Test(t, func(t *testing.T) {
			heal := make(chan struct{})
			b := newBench(t, func(call int, ch chan<- prometheus.Metric) error {
				show(ch, 0, 5)
				if call == 2 {
					<-heal
					show(ch, 1000, late)
					return errDisk
				}
				show(ch, 5, 5)
				return nil
			})
			b.wants(10, nil, 0)
			b.wants(0, ErrTimeout, timeout)
			for range 20 {
				b.wants(0, ErrTimeout, 0)
			}
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			if n := bytes.Count(stacks, []byte("\ncreated by github.com/leatd/leat/collector/cutoff.(*Cutoff).")); n != 1 || b.source.calls != 2 {
				t.Errorf("%d goroutines and %d calls of the source, want 1 and 2:\n%s", n, b.source.calls, stacks)
			}
			close(heal)
			synctest.Wait()
			var took time.Duration
			if late > inFlight {
				took = headStart
			}
			b.wants(10, nil, took)
			b.wants(10, nil, 0)
			b.says(saysHangs, saysWorks(21))
		})
	}
}

// TestHangsTwice: a source that moves again, but does not end, is given the timeout once, and then again costs nothing.
func TestHangsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		move, end := make(chan struct{}), make(chan struct{})
		b := newBench(t, func(call int, ch chan<- prometheus.Metric) error {
			if call == 1 {
				<-move
				show(ch, 1000, 1)
				<-end
			}
			show(ch, 0, 10)
			return nil
		})
		b.wants(0, ErrTimeout, timeout)
		b.wants(0, ErrTimeout, 0)
		close(move)
		synctest.Wait()
		b.wants(0, ErrTimeout, timeout)
		b.wants(0, ErrTimeout, 0)
		close(end)
		synctest.Wait()
		b.wants(10, nil, 0)
		b.says(saysHangs, saysWorks(4))
	})
}

// TestTakesItsTime: a nanosecond less than the timeout is not too slow, a nanosecond more is.
func TestTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(call int, ch chan<- prometheus.Metric) error {
			show(ch, 0, 1)
			time.Sleep([]time.Duration{timeout - 1, timeout + 1, 0}[call-1])
			show(ch, 1, 1)
			return nil
		})
		b.wants(2, nil, timeout-1)
		b.wants(0, ErrTimeout, timeout)
		time.Sleep(2 * time.Nanosecond)
		b.wants(2, nil, 0)
	})
}

// TestPanics: a panic, even one with nil, is an error, its metrics are gone, and the next call is like any other.
func TestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(call int, ch chan<- prometheus.Metric) error {
			show(ch, 0, 7)
			switch call {
			case 1:
				panic("broken")
			case 2:
				panic("again")
			case 4:
				runtime.Goexit()
			}
			return nil
		})
		b.wants(0, ErrPanic, 0)
		b.wants(0, ErrPanic, 0)
		if !bytes.Contains(b.stack, []byte("TestPanics")) {
			t.Errorf("the stack is %s", b.stack)
		}
		b.wants(7, nil, 0)
		b.wants(0, ErrPanic, 0)
		b.wants(7, nil, 0)
		b.says(saysPanics+`broken"`, saysWorks(2), saysPanics+`<nil>"`, saysWorks(1))
	})
}

// TestTurns: overlapping calls don't run the source twice at once, each gets all of its own, and one that waits behind a call
// that is cut off fails with it.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := 0
		b := newBench(t, func(_ int, ch chan<- prometheus.Metric) error {
			if running++; running > 1 {
				t.Error("the source runs twice at once")
			}
			show(ch, 0, 500)
			time.Sleep(time.Millisecond)
			running--
			return nil
		})
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				if values, err := b.shown(); len(values) != 500 || err != nil {
					t.Errorf("%d metrics, %v", len(values), err)
				}
			})
		}
		calls.Wait()

		end := make(chan struct{})
		b.source.step = func(int, chan<- prometheus.Metric) error { <-end; return nil }
		begin := time.Now()
		for range 8 {
			calls.Go(func() {
				if _, err := b.shown(); !errors.Is(err, ErrTimeout) {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if d := time.Since(begin); d != timeout {
			t.Errorf("eight calls took %s, want %s", d, timeout)
		}
		close(end)
	})
}
