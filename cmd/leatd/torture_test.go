package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/leatd/leat/collector/simulate"
)

var (
	tortureFor  = flag.Duration("torture", 0, "how long TestTortureLong runs, in rounds of about half a minute; it needs -timeout 0, too")
	tortureSeed = flag.Uint64("torture.seed", 0, "run the one round of TestTortureLong that printed this seed")
)

// A torture is containers that log and rotate as the kubelet has it, a leatd that is killed again and again, and a store
// that fails.
type torture struct {
	kind  string
	files int
	rate  int           // lines a second, over all files
	size  int64         // at which a file is rotated
	keep  int           // files of a container, the current one included
	late  int           // lines that still go to a file after it was renamed
	lasts time.Duration // as long lines are written
	lives func(rng *rand.Rand) time.Duration
	down  time.Duration // as long as the store is down, from a quarter of lasts on
	faults
	seed uint64
}

func (c torture) String() string {
	return fmt.Sprintf("%s, %d files, %d lines/s, rotated at %d KiB, %d kept, %d late lines, %s, store down for %s, %v; seed %d",
		c.kind, c.files, c.rate, c.size>>10, c.keep, c.late, c.lasts, c.down, c.faults, c.seed)
}

// suffered is what came of a torture or an outage.
type suffered struct {
	lines   int64 // written
	twice   int64 // lines that came again
	excused int64 // lines that the store took without saying so
	peak    int64 // bytes of resident memory, over all lives
	lives   int
	scrapes int
}

func (s suffered) String() string {
	return fmt.Sprintf("%d lines, %d twice (%.2f %%; the store took %d without saying so), %d lives, %d scrapes, peak of resident memory %.1f MiB",
		s.lines, s.twice, 100*float64(s.twice)/float64(s.lines), s.excused, s.lives, s.scrapes, float64(s.peak)/(1<<20))
}

// blamed is which share of the lines came twice by leatd's own doing.
func (s suffered) blamed() float64 { return float64(max(0, s.twice-s.excused)) / float64(s.lines) }

const mostTortured = 80 << 20 // bytes of resident memory

// bounded checks the memory, which means something without the race detector only.
func (s suffered) bounded(t *testing.T) {
	t.Helper()
	if s.peak > mostTortured && !underRace {
		t.Errorf("leatd had %.1f MiB resident, want at most %d", float64(s.peak)/(1<<20), mostTortured>>20)
	}
}

// watched takes in what a life's watch saw.
func (s *suffered) watched(t *testing.T, w *watch) {
	t.Helper()
	if err := w.end(); err != nil {
		t.Errorf("life %d: %v", s.lives, err)
	}
	s.lives++
	s.scrapes += w.scrapes
	s.peak = max(s.peak, w.peak)
}

func (c torture) run(t *testing.T) suffered {
	t.Helper()
	rng := rand.New(rand.NewPCG(c.seed, 0))
	h, store := newHost(t), newMoody(t, c.kind, c.faults, c.seed)
	cfg := h.config(c.kind, store.door.URL)
	var s suffered
	l := h.flow(c.files, c.rate, simulate.Spec{MaxSize: c.size, MaxFiles: c.keep, Late: c.late})
	if c.down > 0 {
		defer time.AfterFunc(c.lasts/4, func() { store.down.Store(true) }).Stop()
		defer time.AfterFunc(c.lasts/4+c.down, func() { store.down.Store(false) }).Stop()
	}
	for end := time.Now().Add(c.lasts); ; {
		life := min(c.lives(rng), time.Until(end))
		if life <= 0 {
			break
		}
		d := launch(t, exec.Command(binary, "--config.file", cfg, "--web.listen-address", "127.0.0.1:0"))
		w := d.watch()
		select {
		case <-time.After(life):
		case <-d.done:
			t.Fatalf("leatd has ended by itself: %v", d.cmd.ProcessState)
		}
		s.watched(t, w)
		d.kill()
	}
	d := start(t, "--config.file", cfg)
	w := d.watch()
	l.last(t, store.depot, &s)
	s.excused = store.excused.Load()
	s.watched(t, w)
	d.balanced()
	d.stop()
	t.Logf("%d of %d requests failed", store.failed.Load(), store.requests.Load())
	return s
}

// last stops the load, waits for its last line as long as lines come, and checks what came, in which order.
func (l *load) last(t *testing.T, store *depot, s *suffered) {
	t.Helper()
	l.stop()
	s.lines = l.expect(store)
	missing := func() (n int64) {
		for _, r := range store.verify.Results() {
			n += r.Missing
		}
		return n
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	least, at := missing(), time.Now()
	for least > 0 {
		now := <-tick.C
		if n := missing(); n < least {
			least, at = n, now
		} else if now.Sub(at) > patience {
			break
		}
	}
	for _, r := range store.verify.Results() {
		s.twice += r.Duplicate
		if r.Missing > 0 || r.OutOfOrder > 0 || r.Foreign > 0 {
			t.Errorf("%v", r)
		}
	}
}

// every is a life of always the same length.
func every(d time.Duration) func(*rand.Rand) time.Duration {
	return func(*rand.Rand) time.Duration { return d }
}

// anyLife is a life of any length up to most; one in four is so short that leatd may not have begun.
func anyLife(most time.Duration) func(*rand.Rand) time.Duration {
	return func(rng *rand.Rand) time.Duration {
		if rng.IntN(4) == 0 {
			return time.Duration(1 + rng.Int64N(int64(250*time.Millisecond)))
		}
		return time.Duration(rng.Int64N(int64(most)))
	}
}

// TestTorture: whatever happens to leatd and to its store, no line is missing and each container's come in order.
func TestTorture(t *testing.T) {
	t.Parallel()
	c := torture{
		files: 6, rate: 6000, size: 512 << 10, keep: 4, late: 6, lasts: 6 * time.Second, lives: anyLife(2 * time.Second),
		faults: faults{errors: 15, resets: 5, throttles: 1, slow: 3, halves: 3, stored: 30},
	}
	if underRace {
		c.rate, c.size = 1500, 128<<10
	}
	for _, kind := range []string{"loki", "otlp", "http"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := c
			c.kind, c.seed = kind, rand.Uint64()
			t.Log(c)
			s := c.run(t)
			s.bounded(t)
			t.Log(s)
		})
	}
}

// TestTortureLong is run by hand, for minutes or hours: rounds of any kind, each with a seed of its own.
func TestTortureLong(t *testing.T) {
	if *tortureFor == 0 && *tortureSeed == 0 {
		t.Skip("run it by hand: -run TestTortureLong -torture 10m -timeout 0")
	}
	if *tortureSeed != 0 {
		tortureRound(t, *tortureSeed)
		return
	}
	for end := time.Now().Add(*tortureFor); time.Now().Before(end) && !t.Failed(); {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { tortureRound(t, seed) })
	}
}

// tortureRound makes up a torture. A file lives on for ten seconds at least after it was rotated, gzipped in the end, so
// that leatd has the time to come back to it. Every third time the store is down for longer than that: then leatd lives
// long enough to bring its lines to the spool, and so do the files.
func tortureRound(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	c := torture{
		kind:  kinds[rng.IntN(3)],
		files: 1 + rng.IntN(20),
		keep:  3 + rng.IntN(4),
		late:  rng.IntN(20),
		lasts: 10*time.Second + upTo(20*time.Second),
		lives: anyLife(2*time.Second + upTo(5*time.Second)),
		faults: faults{
			errors: rng.IntN(20), resets: rng.IntN(8), throttles: rng.IntN(3), slow: rng.IntN(20), halves: rng.IntN(5), stored: rng.IntN(100),
		},
		seed: seed,
	}
	// A store that fails so often must not be sent more than it takes: what is then rotated away is lost, and has to be.
	c.rate = 500 + rng.IntN(20000)
	if c.errors+c.resets+c.halves+c.slow/2 > 20 {
		c.rate = 500 + rng.IntN(5000)
	}
	const lineBytes = 220
	seconds := 10
	if rng.IntN(3) == 0 {
		c.down = 10*time.Second + upTo(20*time.Second)
		c.lasts = 2 * c.down
		c.lives = every(8*time.Second + upTo(4*time.Second))
		seconds = 20
	}
	c.size = int64(c.rate/c.files*lineBytes*seconds/(c.keep-1)) + 64<<10
	fmt.Println(time.Now().Format(time.TimeOnly), c)
	s := c.run(t)
	s.bounded(t)
	fmt.Println("        ", s)
}
