package push

import (
	"time"

	"github.com/leatd/leat/pipeline"
)

// A complaint is told once when it begins, and taken back when it is over. One that comes and goes must not fill leatd's
// own log, so each kind of it is told once in a while. It belongs to one goroutine.
type complaint struct {
	since    time.Time // when the present one began
	failures int       // since then; 0 while all is well
	told     bool      // the log has heard of the present one
	said     map[string]time.Time
}

const (
	sayAgainAfter = 5 * time.Minute
	sayAtLast     = 15 * time.Second // what lasts so long is told, however lately there was one like it
)

// fails counts a failure and tells whether to speak of it.
func (c *complaint) fails(kind string) (tell bool) {
	now := time.Now()
	if c.failures++; c.failures == 1 {
		c.since = now
	}
	tell = c.due(kind, !c.told && now.Sub(c.since) >= sayAtLast)
	c.told = c.told || tell
	return tell
}

// ends tells whether to speak of the end, and what there was. It may be called at any time.
func (c *complaint) ends() (after time.Duration, failures int, tell bool) {
	if c.failures == 0 {
		return 0, 0, false
	}
	after, failures, tell = c.lasts().Round(time.Second), c.failures, c.told
	c.failures, c.told = 0, false
	return after, failures, tell
}

// lasts is for how long there have been nothing but failures.
func (c *complaint) lasts() time.Duration {
	if c.failures == 0 {
		return 0
	}
	return time.Since(c.since)
}

// due tells whether to say something of this kind now.
func (c *complaint) due(kind string, must bool) bool {
	now := time.Now()
	if last, ok := c.said[kind]; ok && now.Sub(last) < sayAgainAfter && !must {
		return false
	}
	if c.said == nil {
		c.said = make(map[string]time.Time)
	}
	c.said[kind] = now
	return true
}

// complain tells that the oldest body has to be sent again. That of a witness says nothing about whether the queue moves.
func (t *target) complain(a pipeline.Answer) {
	if c := &t.failing; c.fails("fails " + a.Code) {
		t.log.Warn("sink does not take metrics; they wait and are tried again",
			"error", words(a), "failures", c.failures, "since", c.since.UTC().Format(time.RFC3339))
	}
}

// remark tells what a store said about a body that is settled.
func (t *target) remark(a pipeline.Answer) {
	c := &t.failing
	switch {
	case a.Outcome == pipeline.Refused:
		if c.due("refuses "+a.Code, false) {
			t.log.Error("sink refuses metrics for good; see leat_push_dropped_samples_total for how many",
				"reason", a.Reason.String(), "error", words(a))
		}
	case a.LeftOut != 0:
		if c.due("leaves out "+a.Code, false) {
			t.log.Error("sink leaves out samples of requests that it takes; see leat_push_dropped_samples_total for how many",
				"reason", a.Reason.String(), "error", words(a))
		}
	case a.Err != nil:
		if c.due("remarks "+a.Code, false) {
			t.log.Warn("sink has taken metrics and remarked on it", "error", words(a))
		}
	}
}

func words(a pipeline.Answer) string {
	if a.Err == nil {
		return a.Code
	}
	return a.Err.Error()
}
