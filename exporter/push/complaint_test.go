package push

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestComplaint: what comes and goes is told once in five minutes, what lasts is told after 15 s however lately there was
// one like it, and only the end of what was told is told.
func TestComplaint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c complaint
		for _, step := range []struct {
			at       int // s
			fails    bool
			kind     string
			tell     bool
			after    time.Duration
			failures int
		}{
			{at: 0, tell: false},
			{at: 1, fails: true, tell: true},
			{at: 2, fails: true},
			{at: 11, tell: true, after: 10 * time.Second, failures: 2},
			{at: 20, fails: true}, // again, and short
			{at: 25, after: 5 * time.Second, failures: 1},
			{at: 30, fails: true}, // again, and long
			{at: 44, fails: true},
			{at: 45, fails: true, tell: true},
			{at: 61, fails: true},
			{at: 62, fails: true, kind: "another", tell: true},
			{at: 70, tell: true, after: 40 * time.Second, failures: 5},
			{at: 71},
			{at: 344, fails: true}, // five minutes after the last of its kind, all but a second
			{at: 345, fails: true, tell: true},
		} {
			time.Sleep(time.Until(start.Add(time.Duration(step.at) * time.Second)))
			var tell bool
			var after time.Duration
			var failures int
			if step.fails {
				tell = c.fails(step.kind)
			} else {
				after, failures, tell = c.ends()
			}
			if tell != step.tell || after != step.after || failures != step.failures {
				t.Errorf("%+v: %v, %v, %d", step, tell, after, failures)
			}
		}
	})
}
