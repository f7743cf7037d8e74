package pipeline

import (
	"sync"
	"time"
)

// fault holds what a lane complains of, so that the same complaint is made once, then as a count, then taken back.
type fault struct {
	mu       sync.Mutex // taken by the senders, once a request that failed or ended a failure
	since    time.Time
	said     time.Time
	text     string
	failures int
	refused  map[string]time.Time
}

const sayAgainAfter = 5 * time.Minute

// answered keeps the sink's state up to date and tells the operator what is new about it.
func (l *Lane) answered(a Answer) {
	failed := a.Outcome == Failed || a.Outcome == Throttled
	if !failed && !l.stats.down.Load() && a.Err == nil {
		return
	}
	f := &l.fault
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !failed {
		if l.stats.down.CompareAndSwap(true, false) {
			l.Log.Info("sink has recovered", "sink", l.Name(), "after", now.Sub(f.since).Round(time.Second), "failures", f.failures)
			f.text, f.failures = "", 0
		}
		if a.Err != nil {
			l.remark(a, now)
		}
		return
	}
	if f.failures++; l.stats.down.CompareAndSwap(false, true) {
		f.since = now
	}
	text := ""
	if a.Err != nil {
		text = a.Err.Error()
	}
	if text != f.text || now.Sub(f.said) >= sayAgainAfter {
		f.text, f.said = text, now
		l.Log.Warn("sink does not take logs; they wait in their files and are tried again", "sink", l.Name(),
			"error", text, "failures", f.failures, "since", f.since.UTC().Format(time.RFC3339))
	}
}

// remark logs what a store said about a request that is settled, once per kind of answer and now and then again.
func (l *Lane) remark(a Answer, now time.Time) {
	f := &l.fault
	key := a.Code
	if last, ok := f.refused[key]; ok && now.Sub(last) < sayAgainAfter {
		return
	}
	if f.refused == nil {
		f.refused = make(map[string]time.Time)
	}
	f.refused[key] = now
	switch a.Outcome {
	case Refused:
		l.Log.Error("sink refuses lines for good; see leat_log_dropped_lines_total for whose", "sink", l.Name(), "reason", a.Reason.String(), "error", a.Err.Error())
	case OneTarget:
		l.Log.Warn("sink throttles a container; it waits, the others go on", "sink", l.Name(), "error", a.Err.Error())
	default:
		l.Log.Warn("sink has taken a request and remarked on it", "sink", l.Name(), "error", a.Err.Error())
	}
}
