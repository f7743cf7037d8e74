package push

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/leatd/leat/pipeline"
)

var update = flag.Bool("update", false, "write testdata anew")

// expect compares what a test has seen with what it should have.
func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got  %s\n want %s", what, got, want)
	}
}

// TestPush: it gathers at once and every interval, sends each gathering with its time, and at the end one more and the
// marks; and touches no disk as long as the store takes everything.
func TestPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{parts: 2}
		r := newRig(t, newMemDisk(), 1<<20, s).run()
		r.at(0)
		expect(t, "at the start", s.got(), "1@0 2@0")
		r.at(40 * time.Second)
		expect(t, "after 40 s", s.got(), "1@0 2@0 3@15 4@15 5@30 6@30")
		if took := r.end(time.Minute); took != 0 {
			t.Errorf("it took %v to stop", took)
		}
		expect(t, "at the end", s.got(), "1@0 2@0 3@15 4@15 5@30 6@30 7@40 8@40 end@40+1ms")
		if r.disk.calls != 1 { // the folder was listed
			t.Errorf("%d calls of the disk", r.disk.calls)
		}
		expect(t, "log", r.logged.String(), "")
		if f := r.figures(); f.samples != 90 || f.delivered != 90 || f.sentBytes != 40 || f.requests["204"] != 9 || f.retries != 0 {
			t.Errorf("%+v", f)
		}
	})
}

// TestMetrics holds the whole output to what is documented, at the start and in the middle of an outage; and it is gathered
// by the very gathering that is pushed.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		page := func() string {
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			for _, f := range families {
				if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
					t.Fatal(err)
				}
			}
			return text.String()
		}
		s := &fakeSink{}
		r := newRig(t, newMemDisk(), 1<<20, s, &fakeSink{})
		r.Gatherer = registry
		registry.MustRegister(r.Pusher)
		begin := page()
		s.answers(func(_ context.Context, n string) pipeline.Answer {
			if strings.HasPrefix(n, "1@") {
				return refusing
			}
			a := down
			a.RetryAfter = time.Minute
			return a
		})
		r.run()
		r.at(31 * time.Second)
		text := "# AT THE START\n" + begin + "# IN AN OUTAGE OF 16 s\n" + page()
		if *update {
			if err := os.WriteFile("testdata/metrics.txt", []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile("testdata/metrics.txt")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "metrics", text, string(want))
		r.end(0)
	})
}

// TestLag: it is the age of the oldest sample that waits, and what a clock that was set back would make negative is 0.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{answer: hang}
		r := newRig(t, newMemDisk(), 1<<20, s)
		var set time.Duration // the clock, by so much
		r.now = func() time.Time { return time.Now().Add(set) }
		lag := func() float64 {
			ch := make(chan prometheus.Metric, 100)
			r.Collect(ch)
			close(ch)
			for m := range ch {
				if m.Desc() == descLag {
					var value dto.Metric
					if err := m.Write(&value); err != nil {
						t.Fatal(err)
					}
					return value.GetGauge().GetValue()
				}
			}
			return -1
		}
		if l := lag(); l != 0 {
			t.Errorf("nothing waits: %v", l)
		}
		r.run()
		r.at(20 * time.Second)
		for _, c := range []struct {
			set  time.Duration
			want float64
		}{{0, 20}, {time.Hour, 3620}, {-time.Hour, 0}} {
			if set = c.set; lag() != c.want {
				t.Errorf("the clock is set by %v: %v, want %v", c.set, lag(), c.want)
			}
		}
		set = 0
		r.end(0)
	})
}

// TestNobodyWaits: a store that hangs, and a disk that does, delay neither the gathering, nor other sinks, nor a scrape; and
// they don't look like a goroutine that hangs.
func TestNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, good := &fakeSink{answer: hang}, &fakeSink{}
		r := newRig(t, newMemDisk(), 1<<20, slow, good)
		beats := map[string]*pipeline.Beat{}
		for _, to := range r.targets {
			to.beat = new(pipeline.Beat)
			beats[to.Name] = to.beat
		}
		beats["gathering"] = new(pipeline.Beat)
		r.Beat = func(string) *pipeline.Beat { return beats["gathering"] }
		r.disk.stop = make(chan struct{})
		r.run()
		r.at(59 * time.Second)
		expect(t, "the good sink", good.got(), "1@0 2@15 3@30 4@45")
		ch := make(chan prometheus.Metric, 100)
		r.Collect(ch) // it would block the bubble
		if f := r.figures(); f.pending != 40 || f.disk != 0 || slow.requests() != 1 {
			t.Errorf("%+v", f)
		}
		for name, b := range beats {
			if since, busy := b.Since(); busy {
				t.Errorf("%s is busy since %v", name, since)
			}
		}
		close(r.disk.stop)
		r.at(60 * time.Second)
		r.end(10 * time.Second)
		expect(t, "files", r.files(), "1-946684800000-10.push 2-946684815000-10.push 3-946684830000-10.push 4-946684845000-10.push "+
			"5-946684860000-10.push 6-946684860001-10.push 7-946684860002-10.push")
	})
}

// TestTicks: a gathering that takes its time costs ticks, and a clock that is set or a machine that slept makes no more of
// them.
func TestTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, long := &fakeSink{silent: true}, 38*time.Second
		r := newRig(t, newMemDisk(), 1<<20, s)
		var gathered []time.Duration
		r.Gatherer = gatherer(func() ([]*dto.MetricFamily, error) {
			gathered = append(gathered, time.Since(start))
			time.Sleep(long)
			long = 0
			return nil, nil
		})
		var set atomic.Int64 // the clock, by so much
		r.now = func() time.Time { return time.Now().Add(time.Duration(set.Load())).Round(0) }
		r.run()
		r.at(50 * time.Second)
		expect(t, "after a slow one", s.got(), "1@0 2@45")
		for i, jump := range []time.Duration{-24 * time.Hour, 24 * time.Hour, 0} {
			set.Store(int64(jump))
			if f := r.figures(); f.pending != 0 {
				t.Errorf("%+v", f)
			}
			r.at(50*time.Second + time.Duration(i+1)*60*time.Second)
		}
		if len(gathered) != 14 {
			t.Errorf("gathered at %v", gathered)
		}
		expect(t, "after jumps", s.got(), "1@0 2@45 "+
			"3@-86340 4@-86325 5@-86310 6@-86295 7@86520 8@86535 9@86550 10@86565 11@180 12@195 13@210 14@225")
		set.Store(int64(-10 * time.Second))
		r.end(time.Minute)
		expect(t, "a time of its own each", s.got()[len(s.got())-6:], "15@220")
		for last, i := r.stamp(), 0; i < 9; i++ {
			next := r.stamp()
			if !next.After(last) {
				t.Errorf("%v comes after %v", next, last)
			}
			last = next
		}
	})
}

// TestGatherInPart: what could not be gathered or encoded is complained of once, the rest is pushed.
func TestGatherInPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{encErr: errors.New("a family makes no sense")}
		r := newRig(t, newMemDisk(), 1<<20, s)
		var well atomic.Bool
		r.Gatherer = gatherer(func() ([]*dto.MetricFamily, error) {
			if well.Load() {
				return nil, nil
			}
			return nil, errors.New("a collector hangs")
		})
		r.run()
		r.at(50 * time.Second)
		well.Store(true)
		s.mu.Lock()
		s.encErr = nil
		s.mu.Unlock()
		r.at(80 * time.Second)
		r.end(time.Minute)
		expect(t, "sent", s.got(), "1@0 2@15 3@30 4@45 5@60 6@75 7@80 end@80+1ms")
		expect(t, "log", r.logged.String(), ""+
			`level=WARN msg="metrics: some could not be gathered; the others are pushed" error="a collector hangs"`+"\n"+
			`level=ERROR msg="sink cannot encode some of the metrics; the others are pushed" sink=s0 error="a family makes no sense"`+"\n"+
			`level=INFO msg="metrics: all can be gathered again" after=1m0s failures=4`+"\n"+
			`level=INFO msg="sink can encode all metrics again" sink=s0 after=1m0s failures=4`+"\n")
	})
}

// TestNoTargets: without a sink nothing is gathered.
func TestNoTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemDisk(), 0)
		r.Gatherer = nil
		r.run()
		r.at(time.Minute)
		r.end(0)
	})
}
