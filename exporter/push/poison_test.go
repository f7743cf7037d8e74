package push

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

// TestPoison: a body that gets the same 5xx for ever goes after the store has taken two others in between, and nothing else
// ever does.
func TestPoison(t *testing.T) {
	after := func(n string, a pipeline.Answer) func(context.Context, string) pipeline.Answer {
		return func(_ context.Context, body string) pipeline.Answer {
			if strings.HasPrefix(body, n+"@") {
				return a
			}
			return ok
		}
	}
	later := broken
	later.RetryAfter = time.Second
	throttled := pipeline.Answer{Outcome: pipeline.Throttled, Code: "429"}
	unauthorized := pipeline.Answer{Outcome: pipeline.Failed, Code: "401"}
	calls := 0
	for _, c := range []struct {
		name    string
		answer  func(context.Context, string) pipeline.Answer
		dropped bool
	}{
		{"the same 5xx, others are taken", after("3", broken), true},
		{"the oldest of all", after("1", broken), true},
		{"a 5xx that asks for a pause", after("3", later), false},
		{"throttled", after("3", throttled), false},
		{"unauthorized", after("3", unauthorized), false},
		{"the network", after("3", away), false},
		{"the store is down", func(context.Context, string) pipeline.Answer { return down }, false},
		{"two kinds of 5xx in turn", func(_ context.Context, body string) pipeline.Answer {
			if !strings.HasPrefix(body, "3@") {
				return ok
			}
			if calls++; calls%2 == 0 {
				return down
			}
			return broken
		}, false},
		{"a 5xx, but for every eighth time", func(_ context.Context, body string) pipeline.Answer {
			if !strings.HasPrefix(body, "3@") {
				return ok
			}
			if calls++; calls%8 == 0 {
				return away
			}
			return broken
		}, false},
		{"a store that takes every other witness", func(_ context.Context, body string) pipeline.Answer {
			if strings.HasPrefix(body, "3@") {
				return broken
			}
			if calls++; calls > 2 && calls%2 == 0 { // the first two are before it
				return broken
			}
			return ok
		}, false},
		{"a store that refuses the witness", func(_ context.Context, body string) pipeline.Answer {
			if strings.HasPrefix(body, "3@") {
				return broken
			}
			return refusing
		}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			calls = 0
			s := &fakeSink{answer: c.answer}
			r := newRig(t, newMemDisk(), 1<<20, s).run()
			r.at(5*time.Minute - time.Second)
			if f := r.figures(); f.dropped[pipeline.ServerError] != 0 || f.pending < 100 {
				t.Errorf("%s: too early: %+v", c.name, f)
			}
			r.at(8 * time.Minute)
			f := r.figures()
			if lost := f.dropped[pipeline.ServerError]; c.dropped != (lost == 10) || lost > 10 || c.dropped && f.pending != 0 || !c.dropped && f.pending < 10 {
				t.Errorf("%s: %+v", c.name, f)
			}
			if c.dropped && !strings.Contains(r.logged.String(), `msg="sink refuses metrics for good; see leat_push_dropped_samples_total for how many" sink=s0 reason=server_error error="central: 500: panic"`) {
				t.Errorf("%s: log:\n%s", c.name, r.logged.String())
			}
			s.always(ok)
			r.at(9 * time.Minute)
			r.end(time.Minute)
			if f := r.figures(); f.pending != 0 || !c.dropped && f.dropped[pipeline.ServerError] != 0 {
				t.Errorf("%s: %+v", c.name, f)
			}
		})
	}
}

// TestAccuse: it has to be the same body that gets the same answer.
func TestAccuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s suspect
		first, second := new(body), new(body)
		for _, b := range []*body{first, second} {
			for n := 1; n <= suspiciousAfter; n++ {
				if n == suspiciousAfter {
					time.Sleep(suspiciousFor)
				}
				if s.accuse(b, broken) != (n == suspiciousAfter) {
					t.Errorf("answer %d", n)
				}
			}
		}
	})
}

// TestHalfDown: a store that fails at random, as long as it may, loses nothing.
func TestHalfDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{}
		n := 0
		s.answers(func(context.Context, string) pipeline.Answer {
			if n++; n%4 != 0 {
				return broken
			}
			return ok
		})
		r := newRig(t, newMemDisk(), 1<<20, s).run()
		r.at(time.Hour)
		s.always(ok)
		r.at(time.Hour + time.Minute)
		r.end(time.Minute)
		if f := r.figures(); f.delivered != f.samples || f.samples < 2400 {
			t.Errorf("%+v", f)
		}
	})
}

// TestAnswers: what each answer means for the account.
func TestAnswers(t *testing.T) {
	err := down.Err
	for _, c := range []struct {
		name      string
		answer    pipeline.Answer
		delivered int64
		why       pipeline.Reason
		dropped   int64
		log       string
	}{
		{"accepted", ok, 10, 0, 0, ""},
		{"accepted, with a remark", pipeline.Answer{Code: "204", Err: err}, 10, 0, 0, "sink has taken metrics and remarked on it"},
		{"some are left out", pipeline.Answer{Code: "400", LeftOut: 3, Reason: pipeline.BadRequest, Err: err}, 7, pipeline.BadRequest, 3, "sink leaves out samples"},
		{"more than there are", pipeline.Answer{Code: "200", LeftOut: 30, Reason: pipeline.Rejected}, 0, pipeline.Rejected, 10, "sink leaves out samples"},
		{"nobody knows how many", pipeline.Answer{Code: "400", LeftOut: pipeline.SomeLeftOut, Reason: pipeline.Rejected}, 9, pipeline.Rejected, 1, "sink leaves out samples"},
		{"refused", refusing, 0, pipeline.BadRequest, 10, "sink refuses metrics for good"},
		{"too large", pipeline.Answer{Outcome: pipeline.Refused, Code: "413", Reason: pipeline.TooLarge}, 0, pipeline.TooLarge, 10, "sink refuses metrics for good"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeSink{}
			s.always(c.answer)
			r := newRig(t, newMemDisk(), 1<<20, s).run()
			r.at(0)
			f := r.figures()
			if f.samples != 10 || f.delivered != c.delivered || f.dropped[c.why] != c.dropped || f.pending != 0 || f.down || s.requests() != 1 {
				t.Errorf("%s: %+v", c.name, f)
			}
			if !strings.Contains(r.logged.String(), c.log) || c.log == "" && r.logged.String() != "" {
				t.Errorf("%s: log:\n%s", c.name, r.logged.String())
			}
			r.end(time.Minute)
		})
	}
}

// TestRetryAfter: a store is left alone for as long as it asks, but not for ever.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct{ asks, least, most time.Duration }{
		{time.Minute, time.Minute, 72 * time.Second},
		{time.Hour, 10 * time.Minute, 12 * time.Minute},
		{0, 250 * time.Millisecond, 500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeSink{}
			var asked []time.Duration
			s.answers(func(context.Context, string) pipeline.Answer {
				asked = append(asked, time.Since(start))
				return pipeline.Answer{Outcome: pipeline.Throttled, Code: "429", RetryAfter: c.asks}
			})
			r := newRig(t, newMemDisk(), 1<<20, s).run()
			r.at(c.most)
			r.end(0)
			if len(asked) < 2 || asked[1] < c.least || asked[1] > c.most {
				t.Errorf("it asks for %v, and was asked at %v", c.asks, asked)
			}
		})
	}
}

// TestBackoffAnew: after a success, the first pause is short again.
func TestBackoffAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{}
		s.always(away)
		r := newRig(t, newMemDisk(), 1<<20, s).run()
		r.at(5 * time.Minute)
		s.always(ok)
		r.at(6*time.Minute - time.Second)
		var asked []time.Duration
		s.answers(func(context.Context, string) pipeline.Answer { asked = append(asked, time.Since(start)); return away })
		r.at(6*time.Minute + 14*time.Second)
		r.end(0)
		if len(asked) < 3 || asked[1]-asked[0] >= 500*time.Millisecond || asked[2]-asked[1] >= time.Second {
			t.Errorf("asked at %v", asked)
		}
	})
}
