package sinks

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/pipeline"
)

// RemoteWrite pushes metrics by Prometheus remote write: to Prometheus, Mimir, Thanos, VictoriaMetrics and whatever else
// takes it. It speaks version 2.0 (https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/), and 1.0 to receivers
// that know no other.
//
// # What an answer proves
//
// A receiver of 2.0 says in headers how many samples it has written. These are compared with what was sent: a 2xx that
// names fewer left the others out, and so did a 400, which says that some samples can never be stored (too old, out of
// order) and that the others are. Both are counted and never sent again.
//
// An answer without these headers comes from a receiver that does not know 2.0. The two messages share no field number,
// so to such a receiver the request was empty: it may answer 2xx all the same, and has nothing. So after a 415, a 406, and
// after a 2xx or a 400 without the headers the same samples are sent as 1.0 at once; a receiver that has them already
// takes them again without a word. If 1.0 is taken it is kept to for six hours, and then 2.0 is tried again: the receiver
// may be a newer one by then. Bodies are always made and queued as 2.0, and turned into 1.0 when they are sent.
//
// 1.0 has no such headers: after its 400 the whole body counts as dropped, even where the receiver stored a part. Nor does
// it know types, help texts and start times.
//
// # Ended series
//
// A series that was in one gathering and is not in the next gets the marker that the protocol has for it, a special NaN, so
// that graphs end where the container ended and not five minutes later. What must be remembered for that is kept
// compressed; see writtenSeries. A crash leaves no markers.
//
// Encode and Stale belong to one goroutine, Send to any number of them.
type RemoteWrite struct {
	*sender
	flat    flattener
	encoder writeEncoder
	seed    maphash.Seed
	last    writtenSeries

	old      *http.Request // the template of 1.0; the sender's own is that of 2.0
	oldUntil atomic.Int64  // until when 1.0 is spoken, in nanoseconds since the epoch; 0: 2.0
	now      func() time.Time
}

// RemoteWriteFormat says what is said of every series.
type RemoteWriteFormat struct {
	// Labels are added to each series that has none of that name. Letters that Prometheus 2 does not take in a label's
	// name become underscores.
	Labels []pipeline.Label
}

const (
	remoteWritePath = "/api/v1/write"
	remoteWriteType = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
	remoteWrite1    = "application/x-protobuf"
	versionHeader   = "X-Prometheus-Remote-Write-Version"
	writtenHeader   = "X-Prometheus-Remote-Write-%s-Written" // of Samples, Histograms, Exemplars

	// oldFor is how long a receiver is spoken to in 1.0 before it is asked again.
	oldFor = 6 * time.Hour
)

// NewRemoteWrite makes the sink. It connects to nothing yet.
func NewRemoteWrite(r Remote, f RemoteWriteFormat) (*RemoteWrite, error) {
	s, err := newSender(r, remoteWritePath, remoteWriteType, "snappy", anyBody)
	if err != nil {
		return nil, err
	}
	s.advice = pushAdvice(r.Name, "nothing takes remote write at this path: a Prometheus needs --web.enable-remote-write-receiver, others another path in url of sinks."+r.Name)
	w := &RemoteWrite{sender: s, flat: newFlattener(f.Labels), seed: maphash.MakeSeed(), now: time.Now}
	s.request.Header.Set(versionHeader, "2.0.0")
	w.old = s.request.Clone(context.Background())
	w.old.Header.Set(versionHeader, "0.1.0")
	w.old.Header.Set("Content-Type", remoteWrite1)
	return w, nil
}

// pushAdvice is what an operator can do about a store that does not take metrics; the usual words speak of lines and of
// settings that only lanes have.
func pushAdvice(name, noPath string) map[int]string {
	return map[int]string{
		http.StatusNotFound:              noPath,
		http.StatusMethodNotAllowed:      noPath,
		http.StatusGone:                  noPath,
		http.StatusNotImplemented:        noPath,
		http.StatusRequestTimeout:        "the store waited too long for the request: is the network slow?",
		http.StatusRequestEntityTooLarge: "a request holds 1 MiB before compression: raise the limit of the store, or of the proxy before it",
		http.StatusTooManyRequests:       "the store's rate limit is reached: raise it there, or set a longer metrics.interval",
	}
}

// Encode makes the bodies of one gathering: at most 2,000 samples and about 1 MiB before compression each. Samples have
// the time at, to the millisecond, unless a metric brings its own. put gets each body for good. Families that no sample
// can be made of are left out and named in the error; everything else has been put then.
func (w *RemoteWrite) Encode(families []*dto.MetricFamily, at time.Time, put func(body []byte, samples int) error) error {
	now := writtenSeries{at: at.UnixMilli()}
	w.encoder.begin(now.keep(put))
	defer w.encoder.end()
	leftOut, err := w.flat.each(families, now.at, func(s *series) error {
		now.hashes = append(now.hashes, s.hash(w.seed))
		return w.encoder.add(s)
	})
	if err != nil {
		return err
	}
	now.sort()
	if err := w.last.ended(&now, now.at, w.seed, w.encoder.add); err != nil {
		return err
	}
	if err := w.encoder.flush(); err != nil {
		return err
	}
	w.last = now
	if leftOut != nil {
		return fmt.Errorf("%s: left out: %w", w.name, leftOut)
	}
	return nil
}

// Stale makes the bodies that mark every series of the last Encode as ended at that time, or a millisecond after its
// last sample if that is later.
func (w *RemoteWrite) Stale(at time.Time, put func(body []byte, samples int) error) error {
	w.encoder.begin(put)
	defer w.encoder.end()
	if err := w.last.ended(nil, max(at.UnixMilli(), w.last.at+1), w.seed, w.encoder.add); err != nil {
		return err
	}
	if err := w.encoder.flush(); err != nil {
		return err
	}
	w.last = writtenSeries{}
	return nil
}

// Send posts one body of Encode or Stale with so many samples, in the version that the receiver is known to take, and in
// the other one if it turns out not to.
func (w *RemoteWrite) Send(ctx context.Context, body []byte, samples int) pipeline.Answer {
	old := w.now().UnixNano() < w.oldUntil.Load()
	first, unknown := w.try(ctx, old, body, samples)
	if !unknown {
		return first
	}
	second, unknown := w.try(ctx, !old, body, samples)
	switch {
	case unknown:
		return first
	case second.Outcome != pipeline.Accepted:
	case old:
		w.oldUntil.Store(0)
	default:
		w.oldUntil.Store(w.now().Add(oldFor).UnixNano())
	}
	return second
}

// try sends a body in one of the two versions. unknown says that the receiver did not understand it, or may not have.
func (w *RemoteWrite) try(ctx context.Context, old bool, body []byte, samples int) (a pipeline.Answer, unknown bool) {
	if !old {
		a = w.post(ctx, w.request, body, func(r *reply) pipeline.Answer {
			a := w.judge(r)
			unknown = w.settle(&a, r, samples)
			return a
		})
		return a, unknown
	}
	body, err := toRemoteWrite1(body)
	if err != nil {
		return pipeline.Answer{Outcome: pipeline.Refused, Code: "error", Reason: pipeline.BadRequest,
			Err: fmt.Errorf("%s: a body cannot be read back and is dropped: %w", w.name, err)}, false
	}
	a = w.post(ctx, w.old, body, w.judge)
	return a, notKnown(a.Code)
}

// settle corrects an answer to 2.0 by what its headers say.
func (w *RemoteWrite) settle(a *pipeline.Answer, r *reply, samples int) (unknown bool) {
	accepted := a.Outcome == pipeline.Accepted && r.StatusCode/100 == 2
	refused := a.Outcome == pipeline.Refused
	written, says := samplesWritten(r.Header)
	left := max(0, int64(samples)-written)
	switch {
	case notKnown(a.Code):
		return true
	case accepted && !says:
		a.Outcome = pipeline.Failed
		a.Err = w.complain(r, "the receiver does not say that it has written anything: does it take remote write, or does a proxy keep its headers back?")
		return true
	case refused && !says:
		return a.Reason == pipeline.BadRequest
	case accepted && left > 0:
		a.LeftOut, a.Reason = left, pipeline.Rejected
		a.Err = w.complain(r, fmt.Sprintf("the receiver has left out %d of %d samples, and has the rest", left, samples))
	case refused && written > 0:
		a.Outcome, a.LeftOut = pipeline.Accepted, left
		a.Err = w.complain(r, fmt.Sprintf("the receiver has left out %d of %d samples, and has the rest", left, samples))
	}
	return false
}

// notKnown says by the status that a receiver does not know the message that it was sent.
func notKnown(code string) bool { return code == "415" || code == "406" }

// samplesWritten reads what a receiver of 2.0 says it has written. A header that is missing beside others means 0.
func samplesWritten(h http.Header) (written int64, says bool) {
	for _, what := range []string{"Samples", "Histograms", "Exemplars"} {
		n, err := strconv.ParseInt(h.Get(fmt.Sprintf(writtenHeader, what)), 10, 64)
		if err != nil || n < 0 {
			continue
		}
		if says = true; what == "Samples" {
			written = n
		}
	}
	return written, says
}
