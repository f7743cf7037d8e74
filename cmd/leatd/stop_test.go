package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/sinks/sinktest"
)

// A load is some containers that log at an even pace until stop.
type load struct {
	t          *testing.T
	each       float64 // lines a second that a container writes
	containers []*simulate.Container
	numbers    []atomic.Int64 // lines written, by container
	end        chan struct{}
	writing    sync.WaitGroup
}

// load starts n containers that write burst lines every 5 ms each.
func (h *host) load(n, burst int) *load { return h.flow(n, 200*n*burst, simulate.Spec{}) }

// flow starts n containers that write so many lines a second together; spec says how their files are rotated.
func (h *host) flow(n, rate int, spec simulate.Spec) *load {
	h.t.Helper()
	l := &load{t: h.t, each: float64(rate) / float64(n), numbers: make([]atomic.Int64, n), end: make(chan struct{})}
	node := &simulate.Node{Root: h.pods}
	for i := range n {
		spec.Namespace, spec.Pod, spec.Name = "load", fmt.Sprintf("pod-%d", i), "app"
		c, err := node.Start(spec)
		if err != nil {
			h.t.Fatal(err)
		}
		l.containers = append(l.containers, c)
		l.writing.Go(func() { l.write(i, c) })
	}
	h.t.Cleanup(l.stop)
	return l
}

// write keeps the pace over all: what a busy machine made it miss, it writes at its next turn.
func (l *load) write(i int, c *simulate.Container) {
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	lines := simulate.NewLines(simulate.Shape(i)%simulate.NumShapes, uint64(i)).Number(0)
	var buf []byte
	for {
		select {
		case <-l.end:
			return
		case <-tick.C:
		}
		for due := int64(time.Since(began).Seconds() * l.each); l.numbers[i].Load() < due; {
			now := time.Now()
			var s simulate.Stream
			buf, s = lines.Append(buf[:0], now)
			if err := c.Write(s, buf, now); err != nil {
				l.t.Error(err)
				return
			}
			l.numbers[i].Add(1)
		}
	}
}

// stop ends the writing. Calling it again does nothing.
func (l *load) stop() {
	select {
	case <-l.end:
	default:
		close(l.end)
	}
	l.writing.Wait()
}

// rotate rotates every log.
func (l *load) rotate() {
	l.t.Helper()
	for _, c := range l.containers {
		if err := c.Rotate(); err != nil {
			l.t.Fatal(err)
		}
	}
}

// expect tells a store what has been written so far, and returns how many lines that are.
func (l *load) expect(store *depot) (lines int64) {
	for i := range l.numbers {
		n := l.numbers[i].Load()
		store.verify.Expect(fmt.Sprintf("load/pod-%d/app", i), n)
		lines += n
	}
	return lines
}

// arrive waits until all that was written so far has arrived.
func (l *load) arrive(store *depot) {
	l.t.Helper()
	l.expect(store)
	eventually(l.t, "all lines written so far", func() error {
		for _, r := range store.verify.Results() {
			if r.Missing > 0 {
				return errors.New(r.String())
			}
		}
		return nil
	})
}

// finish stops the load, waits for its last line and returns what the verifier found.
func (l *load) finish(store *depot) []simulate.Result {
	l.t.Helper()
	l.stop()
	l.arrive(store)
	return store.verify.Results()
}

// burst is how many lines each container of these tests writes in 5 ms.
func burst() int {
	if underRace {
		return 5
	}
	return 50
}

// TestTermUnderLoad: SIGTERM delivers what is in hand, and the next life goes on at the next line: none is missing, none
// comes twice, and each container's lines come in order, over rotations while leatd was away.
func TestTermUnderLoad(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"loki", "otlp", "http"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, store := newHost(t), newDepot(t, kind)
			store.keep = false
			var more []string
			if kind == "loki" {
				more = append(more, atFullSpeed) // what a stream's rate holds back is left to the next life, in its file
			}
			cfg := h.config(kind, store.URL, more...)
			l := h.load(4, burst())
			for life := range 4 {
				d := start(t, "--config.file", cfg)
				l.arrive(store) // so that no rotated file is compressed before it was read
				if life%2 == 0 {
					l.rotate()
				}
				store.reach(store.total() + 1000)
				began := time.Now()
				d.stop()
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("stopping took %s", took)
				}
				d.says("leatd has stopped", "pending_lines=0")
				if life%2 == 1 {
					l.rotate()
				}
			}
			d := start(t, "--config.file", cfg)
			results := l.finish(store)
			d.balanced()
			d.stop()
			for _, r := range results {
				if !r.OK() {
					t.Errorf("%v", r)
				}
			}
			t.Logf("%d lines", store.total())
		})
	}
}

// saved is how many lines the cursors on disk say are delivered: their totals are written with them at once.
func (h *host) saved() (lines int64) {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.state, "central", "cursors.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	var cursors struct {
		Targets []struct {
			Totals struct {
				Lines int64 `json:"delivered_lines"`
			} `json:"totals"`
		} `json:"targets"`
	}
	if err == nil {
		err = json.Unmarshal(text, &cursors)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range cursors.Targets {
		lines += c.Totals.Lines
	}
	return lines
}

// TestKill: after SIGKILL at any moment nothing is missing and the order is kept. What comes twice is what was delivered
// and not yet saved, and nothing else.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"otlp", "http"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, store := newHost(t), newDepot(t, kind)
			store.keep, store.torn = false, true
			cfg := h.config(kind, store.URL)
			l := h.load(4, burst())
			duplicates := func() (n int64) {
				for _, r := range store.verify.Results() {
					n += r.Duplicate
				}
				return n
			}
			var unsaved int64 // lines that have come and that the saved cursors know nothing of
			const lives = 6
			for life := range lives {
				twice := duplicates()
				d := start(t, "--config.file", cfg)
				if life == lives/2 {
					l.arrive(store)
					l.rotate()
					came := store.total() - duplicates()
					eventually(t, "saved cursors", func() error {
						if n := h.saved(); n < came {
							return fmt.Errorf("%d of %d lines", n, came)
						}
						return nil
					})
				}
				store.reach(store.total() + 100)
				<-time.After(rand.N(500 * time.Millisecond)) // any moment
				d.kill()
				store.quiet()
				if again := duplicates() - twice; again > unsaved {
					t.Errorf("%d lines came twice in life %d, though all but %d were saved", again, life, unsaved)
				}
				unsaved = store.total() - duplicates() - h.saved()
			}
			d := start(t, "--config.file", cfg)
			results := l.finish(store)
			d.balanced()
			d.stop()
			for _, r := range results {
				if r.Missing > 0 || r.OutOfOrder > 0 || r.Foreign > 0 {
					t.Errorf("%v", r)
				}
			}
			t.Logf("%d lines, %d of them twice after %d kills", store.total(), duplicates(), lives)
		})
	}
}

// TestTermWhileTheStoreIsDown: leatd gives up delivering after --shutdown.timeout, and the next life delivers all of it.
func TestTermWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "loki").choosy()
	store.keep = false
	cfg := h.config("loki", store.URL)
	l := h.load(4, burst())
	d := start(t, "--config.file", cfg)
	store.reach(1000)
	store.answer(all(sinktest.Reply{Status: 503}))
	d.metric(0, "leat_sink_up")
	d.stopsWithin(t, cfg, time.Second)

	store.answer(nil)
	d = start(t, "--config.file", cfg)
	results := l.finish(store)
	d.balanced()
	d.stop()
	for _, r := range results {
		if !r.OK() {
			t.Errorf("%v", r)
		}
	}
}

// stopsWithin ends a leatd whose store is down by a second signal, and one with a timeout of its own by that.
func (d *daemon) stopsWithin(t *testing.T, cfg string, timeout time.Duration) {
	t.Helper()
	d.signal(syscall.SIGTERM)
	d.says("leatd stops")
	select {
	case <-d.done:
		t.Fatal("it did not wait for the store")
	case <-time.After(timeout / 2):
	}
	d.signal(syscall.SIGTERM) // no patience
	d.wait(10 * time.Second)
	if status, ok := d.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Errorf("after a second signal: %v", d.cmd.ProcessState)
	}

	d = start(t, "--config.file", cfg, "--shutdown.timeout", timeout.String())
	d.metric(0, "leat_sink_up")
	began := time.Now()
	d.stop()
	if took := time.Since(began); took < timeout || took > timeout+5*time.Second {
		t.Errorf("leatd stopped after %s, want %s", took, timeout)
	}
	d.says("leatd has stopped", "pending_lines=")
}

// TestGoneBeforeRead: a container that lives for a moment only is read to its end, though its files are gone.
func TestGoneBeforeRead(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	d := start(t, "--config.file", h.config("http", store.URL))
	d.eventually("ready", func() error {
		if code, text := d.get("/-/ready"); code != 200 {
			return errors.New(text)
		}
		return nil
	})
	h.write("ns_brief_uid/app/0.log", cri(0, "stdout", bodies(0, 1000)...))
	store.reach(1)
	if err := os.RemoveAll(h.pods + "/ns_brief_uid"); err != nil {
		t.Fatal(err)
	}
	store.verify.Expect("ns/brief/app", 1000)
	store.reach(1000)
	d.stop()
	if err := store.verify.Err(); err != nil {
		t.Error(err)
	}
}
