package push

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatd/leat/pipeline"
)

// An account is what a target counts since the process began. At every moment samples = delivered + dropped + pending, each
// counted where it happens. The target's queue guards it.
type account struct {
	samples, delivered, pending int64
	dropped                     [pipeline.NumReasons]int64

	requests           map[string]int64 // by code
	sentBytes, retries int64
	down               bool
}

// settle counts what became of a body that was pending.
func (a *account) settle(samples, dropped int64, why pipeline.Reason) {
	a.pending -= samples
	a.delivered += samples - dropped
	a.dropped[why] += dropped
}

// figures are a target's account and the state of its queue at one moment.
type figures struct {
	account
	disk   int64 // bytes that the files take
	oldest int64 // time of the oldest sample that is pending, in ms since 1970
}

func (q *queue) figures() figures {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := figures{account: q.account, disk: q.disk}
	f.requests = maps.Clone(f.requests)
	if len(q.bodies) > 0 {
		f.oldest = q.bodies[0].at
	}
	return f
}

// reasons are those for which a sample can be dropped here.
var reasons = []pipeline.Reason{
	pipeline.BadRequest, pipeline.TooLarge, pipeline.Unprocessable, pipeline.Rejected, pipeline.ServerError,
	pipeline.SpoolFull, pipeline.SpoolDamaged,
}

var (
	descSamples = desc("leat_push_samples_total",
		"Samples taken into the sink's queue; those that an earlier run had left in it count when leatd starts.")
	descDelivered = desc("leat_push_delivered_samples_total", "Samples that the sink has for good.")
	descDropped   = desc("leat_push_dropped_samples_total", "Samples that could never be delivered to the sink.", "reason")
	descPending   = desc("leat_push_pending_samples", "Samples that wait for the sink, in memory or on disk.")
	descRequests  = desc("leat_push_requests_total", "Requests with metrics to the sink by the code of its answer.", "code")
	descSent      = desc("leat_push_sent_bytes_total", "Bytes of request bodies with metrics as sent, the repeated ones included.")
	descRetries   = desc("leat_push_retries_total", "Requests with metrics that were sent because an earlier one had failed.")
	descUp        = desc("leat_push_up", "0 while the oldest metrics have to be sent to the sink again, else 1.")
	descDisk      = desc("leat_push_spool_bytes", "Bytes that the sink's waiting metrics take on disk.")
	descLimit     = desc("leat_push_spool_limit_bytes", "The most that leat_push_spool_bytes may be; 0 if nothing is kept on disk.")
	descLag       = desc("leat_push_lag_seconds", "Age of the oldest sample that waits for the sink, 0 if there is none.")
)

func desc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"sink"}, more...), nil)
}

// Describe is prometheus.Collector's.
func (p *Pusher) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descSamples, descDelivered, descDropped, descPending, descRequests, descSent, descRetries, descUp, descDisk, descLimit, descLag,
	} {
		ch <- d
	}
}

// Collect is prometheus.Collector's. It waits for no store and no disk.
func (p *Pusher) Collect(ch chan<- prometheus.Metric) {
	now := p.now().UnixMilli()
	for _, t := range p.targets {
		f := t.queue.figures()
		put := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, kind, v, append([]string{t.Name}, more...)...)
		}
		counter := func(d *prometheus.Desc, v int64, more ...string) {
			put(d, prometheus.CounterValue, float64(v), more...)
		}
		gauge := func(d *prometheus.Desc, v float64) { put(d, prometheus.GaugeValue, v) }
		counter(descSamples, f.samples)
		counter(descDelivered, f.delivered)
		for _, r := range reasons {
			counter(descDropped, f.dropped[r], r.String())
		}
		gauge(descPending, float64(f.pending))
		for code, n := range f.requests {
			counter(descRequests, n, code)
		}
		counter(descSent, f.sentBytes)
		counter(descRetries, f.retries)
		up := 1.0
		if f.down {
			up = 0
		}
		gauge(descUp, up)
		gauge(descDisk, float64(f.disk))
		gauge(descLimit, float64(t.MaxBytes))
		lag := 0.0
		if f.oldest != 0 {
			lag = max(0, float64(now-f.oldest)/1000)
		}
		gauge(descLag, lag)
	}
}
