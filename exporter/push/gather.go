package push

import (
	"context"
	"sync"
	"time"
)

// Run pushes until ctx ends, and delivers what it then has until drain ends. It returns when what is left is on disk, as
// far as the disk takes it. It is called once.
func (p *Pusher) Run(ctx, drain context.Context) {
	if len(p.targets) == 0 {
		<-ctx.Done()
		return
	}
	var running sync.WaitGroup
	for _, t := range p.targets {
		running.Go(func() { t.run(drain) })
	}
	p.gatherAll(ctx)
	running.Wait()
}

// gatherAll gathers at once, then at each tick, and a last time when ctx has ended.
func (p *Pusher) gatherAll(ctx context.Context) {
	beat := p.Beat("metrics push")
	ticker := time.NewTicker(p.Interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		beat.Busy()
		p.gather()
		beat.Waiting()
		select {
		case <-ticker.C: // it came while that gathering took its time: it is skipped
		default:
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	beat.Busy()
	p.gather()
	p.end()
	beat.Waiting()
}

// gather takes one gathering and hands it to all targets.
func (p *Pusher) gather() {
	at := p.stamp()
	families, err := p.Gatherer.Gather()
	if err != nil {
		if p.failing.fails("") {
			p.Log.Warn("metrics: some could not be gathered; the others are pushed", "error", err)
		}
	} else if after, failures, tell := p.failing.ends(); tell {
		p.Log.Info("metrics: all can be gathered again", "after", after, "failures", failures)
	}
	p.round++
	p.encode(at, func(s Sink, put putBody) error { return s.Encode(families, at, put) })
}

// end marks the series as ended, just after their last samples: two of one series must not have the same time.
func (p *Pusher) end() {
	at := p.stamp()
	p.encode(at, func(s Sink, put putBody) error { return s.Stale(at, put) })
	for _, t := range p.targets {
		t.queue.close()
	}
}

type putBody = func(body []byte, samples int) error

func (p *Pusher) encode(at time.Time, encode func(Sink, putBody) error) {
	for _, t := range p.targets {
		err := encode(t.Sink, func(body []byte, samples int) error {
			t.take(p.round, at, body, samples)
			return nil
		})
		if err != nil {
			if t.encoding.fails("") {
				t.log.Error("sink cannot encode some of the metrics; the others are pushed", "error", err)
			}
		} else if after, failures, tell := t.encoding.ends(); tell {
			t.log.Info("sink can encode all metrics again", "after", after, "failures", failures)
		}
	}
}

// stamp is the time now, in milliseconds as most stores keep it, and later than the stamp before it if that was just now.
// Beyond that a clock that was set back is believed: samples are not given times that they didn't have.
func (p *Pusher) stamp() time.Time {
	now := p.now().UnixMilli()
	if now <= p.last && p.last-now < 1000 {
		now = p.last + 1
	}
	p.last = now
	return time.UnixMilli(now)
}
