package demo

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/pipeline"
)

// Options say how lively the workloads are. The zero value is good.
type Options struct {
	Rate    float64 // lines a second of all together; default 300
	MaxSize int64   // bytes at which a log is rotated; default 256 KiB, so that it is seen within a minute
	Seed    uint64  // what is written follows from it, and from the times
}

// Workloads are the sample workloads: the usual kinds of a small shop, and those that are hard on a collector. Each
// line carries its sequence number, counted by container.
type Workloads struct {
	node    simulate.Node
	options Options
	events  Events

	mu         sync.Mutex
	containers map[string][]*simulate.Container // by workload
	names      map[string]string                // workload by container's key; entries are never removed
}

// A program is one workload: what it is called, its share of the lines, and how it lives.
type program struct {
	name, namespace, pod, container string

	shape simulate.Shape
	share float64
	late  int
	run   func(ctx context.Context, w *writer) error
}

// programs are in the order in which they are shown; their shares come to 1.
var programs = []program{
	{"frontend", "shop", "frontend-7d9c5b6f4-x2v8k", "nginx", simulate.Nginx, 0.22, 0, steady},
	{"checkout", "shop", "checkout-58f6d7c9b-q4m7t", "app", simulate.JSON, 0.15, 0, steady},
	{"orders", "shop", "orders-0", "java", simulate.Java, 0.12, 0, steady},
	{"postgres", "data", "postgres-0", "postgres", simulate.Postgres, 0.06, 0, steady},
	{"gateway", "edge", "gateway-6c8b9d5f7-h9wzp", "proxy", simulate.JSON, 0.36, 6, chatty},
	{"importer", "data", "importer-0", "importer", simulate.JSON, 0.0015, 1, bulky},
	{"report", "batch", "report-29391%03d-%s", "report", simulate.Klog, 0.06, 0, comesAndGoes},
	{"mailer", "shop", "mailer-5f7d8c6b4-t8n2r", "mailer", simulate.JSON, 0.0285, 0, crashes},
}

// NewWorkloads prepares the workloads; root is the folder that plays /var/log/pods.
func NewWorkloads(root string, o Options) *Workloads {
	if o.Rate <= 0 {
		o.Rate = 300
	}
	if o.MaxSize <= 0 {
		o.MaxSize = 256 << 10
	}
	w := &Workloads{
		options:    o,
		containers: make(map[string][]*simulate.Container),
		names:      make(map[string]string),
	}
	w.node = simulate.Node{Root: root, OnEvent: func(e simulate.Event) {
		w.events.observe(time.Now(), w.workload(e.Container.Key()), e)
	}}
	return w
}

// Run writes logs until ctx ends or one of the workloads cannot write. When it returns, no line is open.
func (w *Workloads) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	failed := make(chan error, len(programs))
	for i := range programs {
		p := &programs[i]
		wr := &writer{
			of: w, program: p, rate: w.options.Rate * p.share,
			rng: rand.New(rand.NewPCG(w.options.Seed, uint64(i))),
		}
		wg.Go(func() {
			if err := p.run(ctx, wr); err != nil {
				err = fmt.Errorf("workload %s: %w", p.name, err)
				failed <- err
				cancel(err)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Written is what each workload wrote so far.
func (w *Workloads) Written() []Written {
	sums := make([]Written, len(programs))
	for i, p := range programs {
		sums[i].Workload = p.name
		for _, c := range w.of(p.name) {
			n := c.Written()
			sums[i].Lines += n.Lines
			sums[i].Bytes += n.Bytes
			sums[i].Unfinished += n.Unfinished
		}
	}
	return sums
}

// Lines is how many lines each container wrote, by its key. Their sequence numbers begin at 0.
func (w *Workloads) Lines() map[string]int64 {
	lines := make(map[string]int64)
	for _, p := range programs {
		for _, c := range w.of(p.name) {
			lines[c.Key()] = c.Written().Lines
		}
	}
	return lines
}

// of is a workload's containers. They are asked without mu: a container that tells of an event holds its own lock and
// wants mu.
func (w *Workloads) of(name string) []*simulate.Container {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.containers[name])
}

// Workload names the workload that a target belongs to, "other" if to none.
func (w *Workloads) Workload(t *pipeline.Target) string { return w.workload(t.Key) }

func (w *Workloads) workload(key string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name, ok := w.names[key]; ok {
		return name
	}
	return "other"
}

// Events are what happens to the workloads' files and pods.
func (w *Workloads) Events() *Events { return &w.events }

// start begins a container in a pod of the given name.
func (w *Workloads) start(p *program, pod string) (*simulate.Container, error) {
	spec := simulate.Spec{
		Namespace: p.namespace, Pod: pod, Name: p.container, MaxSize: w.options.MaxSize, Late: p.late,
	}
	// The name is known before the first event of the container asks for it.
	w.mu.Lock()
	w.names[spec.Key()] = p.name
	w.mu.Unlock()
	c, err := w.node.Start(spec)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.containers[p.name] = append(w.containers[p.name], c)
	w.mu.Unlock()
	return c, nil
}

// A writer writes the lines of one workload, at its pace. One goroutine uses it.
type writer struct {
	of      *Workloads
	program *program
	rate    float64 // lines a second
	rng     *rand.Rand

	c     *simulate.Container
	lines *simulate.Lines
	seq   int64 // of the next line; the same as lines' own
	line  []byte
	debt  float64 // lines that are due
}

// begin starts the container that the writer writes to from now on.
func (w *writer) begin(pod string) error {
	c, err := w.of.start(w.program, pod)
	if err != nil {
		return err
	}
	w.c, w.seq = c, 0
	w.lines = simulate.NewLines(w.program.shape, w.rng.Uint64()).Number(0)
	return nil
}

// next makes the next line.
func (w *writer) next() ([]byte, simulate.Stream) {
	var s simulate.Stream
	w.line, s = w.lines.Append(w.line[:0], time.Now())
	w.seq++
	return w.line, s
}

// write writes the next line, and those that belong to it.
func (w *writer) write() error {
	for {
		line, s := w.next()
		if err := w.c.Write(s, line, time.Now()); err != nil {
			return err
		}
		if !w.lines.More() {
			return nil
		}
	}
}

// own is a line that the generator doesn't make; it takes the next number all the same.
func (w *writer) own() int64 {
	w.seq++
	w.lines.Number(w.seq)
	return w.seq - 1
}

// beat is how often a workload looks what is due.
const beat = 50 * time.Millisecond

// pace calls write for each line that is due, until d has passed; it says whether ctx still stands. The pace breathes:
// it swings by half about the rate, each workload in its own time.
func (w *writer) pace(ctx context.Context, d time.Duration, write func() error) (bool, error) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	period := float64(7 + len(w.program.name))
	from := time.Now()
	last := from
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case now := <-tick.C:
			wave := 1 + 0.5*math.Sin(2*math.Pi*float64(now.UnixMilli())/1000/period)
			w.debt += now.Sub(last).Seconds() * w.rate * wave
			last = now
			for ; w.debt >= 1; w.debt-- {
				if err := write(); err != nil {
					return false, err
				}
			}
			if d > 0 && now.Sub(from) >= d {
				return true, nil
			}
		}
	}
}

// wait lets d pass; it says whether ctx still stands.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
