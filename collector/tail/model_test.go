package tail

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("tail.seed", 0, "run one random schedule, this one")
	runsFlag  = flag.Int("tail.runs", 300, "how many random schedules")
	traceFlag = flag.Bool("tail.trace", false, "say what happens in it")
	fromFlag  = flag.Uint64("tail.from", 1, "the first of them")
)

// TestModel plays random schedules of everything that containers, runtimes, the kubelet, stores and leatd's own life can
// do to a log, and holds what arrives against what was written.
//
//	go test -run TestModel -tail.seed N        one schedule again
//	go test -run TestModel -tail.runs 10000    many
func TestModel(t *testing.T) {
	if *seedFlag != 0 {
		schedule(t, *seedFlag)
		return
	}
	begin := time.Now()
	for i := range uint64(*runsFlag) {
		seed := *fromFlag + i
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { schedule(t, seed) }) {
			t.Fatalf("seed %d failed; see it again with -tail.seed %d", seed, seed)
		}
		if *runsFlag <= 300 && time.Since(begin) > 20*time.Second {
			t.Logf("%d schedules in 20 s", i+1)
			return
		}
	}
}

func schedule(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	opts := holdAll(Options{MaxLine: []int{1 << 10, 4 << 10, 20 << 10}[rnd.IntN(3)], Log: quietLog})
	p := &play{t: t, rnd: rnd, world: newWorld(t, rnd, opts.MaxLine, 1+rnd.IntN(3)), rig: newRig(t, rnd, opts, 1+rnd.IntN(2))}
	p.rig.size = []int{4 << 10, 5000, 16 << 10}[rnd.IntN(3)]
	p.rig.park = rnd.IntN(4) == 0
	p.leases = rnd.IntN(4) > 0
	before := openFiles(t)
	goroutines := runtime.NumGoroutine()
	for range 50 + rnd.IntN(400) {
		p.act()
	}
	p.finish()
	eventually(t, "all descriptors are closed", func() bool { return openFiles(t) <= before+trackers })
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutines+trackers })
}

// trackers allows for the one inotify of a process and its goroutines.
const trackers = 4

// A play is one schedule.
type play struct {
	t      *testing.T
	rnd    *rand.Rand
	world  *world
	rig    *rig
	up     bool
	leases bool
}

func (p *play) start() {
	p.rig.start()
	if !p.leases {
		p.rig.set.lease = func(int) writers { return unknownWriters }
	}
	p.up, p.world.set = true, p.rig.set
	for _, c := range p.world.all {
		if c.alive {
			p.world.sync(c)
		}
	}
	p.rig.set.Ready()
}

// act does one thing that can happen.
func (p *play) act() {
	w := p.world
	c := w.all[p.rnd.IntN(len(w.all))]
	if !c.alive && p.rnd.IntN(4) == 0 {
		w.unpod(c)
	}
	k := p.rnd.IntN(100)
	switch {
	case k < 40 && c.alive:
		for range 1 + p.rnd.IntN(12) {
			w.say(c)
		}
	case k < 44:
		w.rename(c)
	case k < 52:
		w.reopen(c)
	case k < 53 && !w.docker:
		w.remove(c)
	case k < 54:
		w.pack(c)
	case k < 56:
		w.restart(c)
	case k < 58:
		w.over(c)
	case k < 59:
		w.unpod(c)
	case k < 60 && p.up && c.alive && !c.renamed:
		w.finishHalf(c)
		if len(c.open[0])+len(c.open[1]) == 0 {
			w.sync(c)
			p.settle()
			w.truncate(c)
		}
	case k < 80:
		w.sync(c)
	case k < 82 && p.up:
		for _, c := range w.all {
			p.straggle(c)
		}
		p.rig.now = p.rig.now.Add(7 * time.Second)
	case k < 84:
		p.life()
	}
	if p.up {
		for range p.rnd.IntN(25) {
			p.rig.step()
		}
	}
}

// life starts leatd, stops or kills it.
func (p *play) life() {
	if !p.up {
		p.start()
		return
	}
	for _, c := range p.world.all {
		if c.deleted { // what only leatd holds open would be lost with it
			p.settle()
			break
		}
	}
	kill := p.rnd.IntN(2) == 0
	for _, l := range p.rig.lanes {
		if kill && p.rnd.IntN(2) == 0 {
			l.save()
		}
	}
	p.rig.stop(kill)
	p.up, p.world.set = false, nil
	p.world.lostPieces()
}

// settle waits until all whole lines have arrived in all lanes, in the files that discovery knows, and are saved.
func (p *play) settle() {
	for _, c := range p.world.all {
		if c.alive {
			p.world.sync(c)
		}
	}
	for range 5000 {
		for _, l := range p.rig.lanes {
			l.calm = true
		}
		p.rig.round()
		for _, l := range p.rig.lanes {
			l.calm = false
		}
		p.rig.now = p.rig.now.Add(100 * time.Millisecond)
		if p.arrived() {
			for _, l := range p.rig.lanes {
				l.save()
			}
			return
		}
		for _, c := range p.world.all {
			p.straggle(c)
		}
	}
	p.compare(true)
	p.t.Fatalf("not all has arrived\n%s", p.rig.dump())
}

// straggle says that time passes in the middle of a rotation: an old file that nobody closes is given up after a while, so
// order is not promised then. Where the kernel doesn't tell of writers, half a line at its end is taken for a whole one.
func (p *play) straggle(c *container) {
	if c.renamed {
		c.straggle, c.late = true, true
		if !p.leases || len(c.open[0])+len(c.open[1]) > 0 {
			p.world.finishHalf(c)
		}
		p.world.finishOpen(c)
	}
}

func (p *play) arrived() bool {
	for _, l := range p.rig.lanes {
		for _, c := range p.world.all {
			var got [2][]arrival
			if g := l.got[c.key]; g != nil {
				got = *g
			}
			if len(got[0]) < len(c.want[0]) || len(got[1]) < len(c.want[1]) {
				return false
			}
		}
	}
	return true
}

// finish closes the world and looks whether all of it has arrived.
func (p *play) finish() {
	if !p.up {
		p.start()
	}
	for _, c := range p.world.all {
		if c.alive {
			w := p.world
			w.finishHalf(c)
			w.reopen(c)
			if !p.leases { // nobody can know that the container has ended
				w.finishOpen(c)
			}
			c.old.Close()
			w.flush(c)
			w.sync(c)
		}
	}
	for i := 0; i < 5000 && !(p.arrived() && p.quiet()); i++ {
		for _, l := range p.rig.lanes {
			l.calm = i > 100
		}
		p.rig.round()
		p.rig.now = p.rig.now.Add(200 * time.Millisecond)
	}
	p.compare(false)
	for _, l := range p.rig.lanes {
		for _, lt := range l.rows {
			if f := lt.Account.Snapshot(); f.Pending != l.inSpool[lt] || f.Unread != 0 || f.Oldest != 0 {
				p.t.Errorf("lane %d %s: all has arrived, but %+v", l.name, lt.Key, f)
			}
		}
		l.save()
		for _, c := range p.world.all {
			cur := l.saved[c.key]
			all := cur.Totals.Delivered.Lines + cur.Totals.Dropped.Lines + l.spooledLines[c.key]
			if want := int64(len(c.want[0]) + len(c.want[1])); c.again == 0 && !c.fuzzy && c.alive && all != want {
				p.t.Errorf("lane %d %s: lifetime totals %+v, %d in the spool, want %d lines", l.name, c.key, cur.Totals, l.spooledLines[c.key], want)
				for _, lt := range l.rows {
					p.t.Logf("%s: %+v", lt.Key, lt.Account.Snapshot())
				}
			}
		}
	}
	// Then everything goes, and nothing must stay.
	for _, c := range p.world.all {
		if c.alive {
			c.alive = false
			p.world.must(os.RemoveAll(c.dir))
			p.world.sync(c)
		}
	}
	sources := func() (n int) {
		for _, l := range p.rig.lanes {
			n += len(l.lane.sources)
		}
		return n
	}
	for i := 0; i < 1000 && sources() > 0; i++ {
		p.rig.round()
		p.rig.now = p.rig.now.Add(200 * time.Millisecond)
	}
	if sources() > 0 {
		p.t.Fatalf("sources of deleted pods are left\n%s", p.rig.dump())
	}
	for _, l := range p.rig.lanes {
		l.save()
		for _, lt := range l.rows {
			if c, left := l.saved[lt.Key]; left {
				p.t.Errorf("lane %d: the cursor of a deleted pod is left: %+v", l.name, c)
			}
		}
	}
	if n := len(p.rig.set.parker.parked); n > 0 {
		p.t.Errorf("%d files are still parked", n)
	}
}

func (p *play) quiet() bool {
	for _, l := range p.rig.lanes {
		for _, lt := range l.rows {
			if f := lt.Account.Snapshot(); f.Pending != l.inSpool[lt] || f.Unread != 0 {
				return false
			}
		}
	}
	return true
}

// compare holds what has arrived against what was written.
func (p *play) compare(prefix bool) {
	p.t.Helper()
	for _, l := range p.rig.lanes {
		for _, c := range p.world.all {
			if c.fuzzy {
				continue
			}
			for s, want := range c.want {
				var got []string
				if g := l.got[c.key]; g != nil {
					got = bodies(g[s])
				}
				if c.straggle {
					want = slices.Clone(want)
					slices.Sort(want)
					slices.Sort(got)
				}
				for i := range max(len(got), len(want)) {
					if entry(got, i) != entry(want, i) || i >= len(got) || i >= len(want) {
						p.t.Errorf("lane %d %s stream %d: line %d of %d (want %d): got %.60q (%d bytes), want %.60q (%d bytes)\n%s", l.name, c.key, s, i, len(got), len(want), entry(got, i), len(entry(got, i)), entry(want, i), len(entry(want, i)), p.rig.dump())
						for _, line := range got {
							if !slices.Contains(want, line) {
								p.t.Logf("not wanted: %.120q (%d bytes)", line, len(line))
							}
						}
						for _, line := range want {
							if !slices.Contains(got, line) {
								p.t.Logf("missing: %.120q (%d bytes)", line, len(line))
							}
						}
						return
					}
				}
			}
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 5 s", what)
		}
		<-time.After(time.Millisecond)
	}
}
