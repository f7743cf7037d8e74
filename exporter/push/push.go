package push

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/pipeline"
)

// A Sink is how one kind of store wants a gathering, and how its answers are told apart. Encode and Stale are called by one
// goroutine, Send by another one.
type Sink interface {
	// Encode makes the requests of one gathering, its samples at that time, and hands each to put with the number of
	// samples in it. put copies the body.
	Encode(families []*dto.MetricFamily, at time.Time, put func(body []byte, samples int) error) error
	// Stale marks every series of the last Encode as ended at that time. A protocol without such marks puts nothing.
	Stale(at time.Time, put func(body []byte, samples int) error) error
	// Send hands one body to the store and waits for its answer, of which LeftOut counts samples. It returns when ctx ends.
	Send(ctx context.Context, body []byte, samples int) pipeline.Answer
}

// A Target is a sink and where its bodies wait while it fails.
type Target struct {
	Name string // the label sink
	Sink Sink
	// Dir is the folder of the queue, MaxBytes how much its files may take. It is made when it is needed. With 0 bytes
	// nothing is written to it; what an earlier life has left there is sent all the same.
	Dir      string
	MaxBytes int64
}

// Options say what a Pusher works with.
type Options struct {
	Gatherer prometheus.Gatherer
	Interval time.Duration
	Targets  []Target // their names differ
	Log      *slog.Logger
	Beat     func(name string) *pipeline.Beat // nil: nobody looks

	disk disk             // nil: the node's
	now  func() time.Time // nil: time.Now; what samples are stamped with
}

// A Pusher pushes metrics to all targets. It is a prometheus.Collector of its own figures, those named leat_push_.
type Pusher struct {
	Options
	targets []*target

	failing complaint // of gatherings; the gathering goroutine's own
	last    int64     // time of the last gathering, in ms since 1970
	round   uint64    // number of the last gathering
}

// New makes a Pusher of what the targets' folders hold. Damage there never keeps it from that; a folder that is there and
// cannot be listed does.
func New(o Options) (*Pusher, error) {
	if o.disk == nil {
		o.disk = realDisk{}
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.Beat == nil {
		o.Beat = func(string) *pipeline.Beat { return nil }
	}
	p := &Pusher{Options: o}
	for _, to := range o.Targets {
		t := newTarget(to, o)
		if err := t.open(); err != nil {
			return nil, fmt.Errorf("push: sinks.%s: %w: leatd must be able to read its own spool; check the folder's owner and mode", to.Name, err)
		}
		p.targets = append(p.targets, t)
	}
	return p, nil
}
