package pipeline

import (
	"sync"
	"time"
)

// fault holds what a lane complains of: a failure is told once when it begins, then as a count, then taken back. A store
// whose words differ in every answer, or that fails every other request, must not fill leatd's own log, so kinds of
// answers are told apart by their code alone, and each is told once in a while.
type fault struct {
	mu       sync.Mutex // taken by the senders, once a request that failed or ended a failure
	since    time.Time  // when the present failure began
	failures int        // requests that failed since
	told     bool       // the log has heard of it
	said     map[string]time.Time
}

const (
	sayAgainAfter = 5 * time.Minute
	sayAtLast     = 15 * time.Second // a failure that lasts so long is told, however lately there was one like it
)

// due tells whether to say something of this kind now.
func (f *fault) due(kind string, now time.Time, must bool) bool {
	if last, ok := f.said[kind]; ok && now.Sub(last) < sayAgainAfter && !must {
		return false
	}
	if f.said == nil {
		f.said = make(map[string]time.Time)
	}
	f.said[kind] = now
	return true
}

// answered keeps the sink's state up to date and tells the operator what is new about it. whose is the target that the
// request was about, empty if it was about several.
func (l *Lane) answered(a Answer, whose string) {
	failed := a.Outcome == Failed || a.Outcome == Throttled
	if !failed && a.Err == nil && l.stats.Up() {
		return
	}
	f := &l.fault
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if failed {
		l.complain(a, now)
		return
	}
	if l.stats.down.CompareAndSwap(true, false) {
		if f.told {
			l.Log.Info("sink has recovered", "sink", l.Name(), "after", now.Sub(f.since).Round(time.Second), "failures", f.failures)
		}
		f.told, f.failures = false, 0
	}
	if a.Err != nil {
		l.remark(a, whose, now)
	}
}

func (l *Lane) complain(a Answer, now time.Time) {
	f := &l.fault
	if f.failures++; l.stats.down.CompareAndSwap(false, true) {
		f.since = now
	}
	if !f.due("fails "+a.Code, now, !f.told && now.Sub(f.since) >= sayAtLast) {
		return
	}
	f.told = true
	l.Log.Warn("sink does not take logs; they wait in their files and are tried again", "sink", l.Name(),
		"error", words(a), "failures", f.failures, "since", f.since.UTC().Format(time.RFC3339))
}

// remark logs what a store said about a request that is settled. Where the request is asked again for each target, the
// answer to that is the one to tell.
func (l *Lane) remark(a Answer, whose string, now time.Time) {
	f := &l.fault
	switch {
	case a.Outcome == Accepted && a.LeftOut != 0:
		if f.due("leaves out "+a.Code, now, false) {
			l.Log.Error("sink leaves out lines of requests that it takes; see leat_dropped_lines_total for how many", "sink", l.Name(),
				"reason", a.Reason.String(), "error", words(a))
		}
	case a.Outcome == Accepted:
		if f.due("remarks "+a.Code, now, false) {
			l.Log.Warn("sink has taken a request and remarked on it", "sink", l.Name(), "error", words(a))
		}
	case whose == "":
	case a.Outcome == Refused:
		if f.due("refuses "+a.Code, now, false) {
			l.Log.Error("sink refuses lines for good; see leat_log_dropped_lines_total for whose", "sink", l.Name(),
				"target", whose, "reason", a.Reason.String(), "error", words(a))
		}
	case a.Outcome == OneTarget:
		if f.due("throttles "+a.Code, now, false) {
			l.Log.Warn("sink throttles a container; it waits, the others go on", "sink", l.Name(), "target", whose, "error", words(a))
		}
	}
}

// taught lets the streams of a target learn that the store takes less of them than it was thought to.
func (l *Lane) taught(pieces []piece) {
	news, now := false, ticks()
	for _, p := range pieces {
		news = p.segment.throttled(now) || news
	}
	l.fault.mu.Lock()
	defer l.fault.mu.Unlock()
	if news && l.fault.due("teaches", time.Now(), false) {
		l.Log.Warn("sink throttles a stream that is sent less than stream_rate: if its own limit is lower, set stream_rate to that",
			"sink", l.Name(), "target", pieces[0].segment.Target.Key)
	}
}

func words(a Answer) string {
	if a.Err == nil {
		return a.Code
	}
	return a.Err.Error()
}
