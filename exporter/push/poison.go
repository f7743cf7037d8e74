package push

import (
	"context"
	"time"

	"github.com/leatd/leat/pipeline"
)

// How a body that a store can't take is told from a store that is down. Some stores answer 5xx to a body for ever, and all
// that is behind it would wait for ever. But a store that is down answers 5xx too, and must not cost a sample. So the
// oldest body is dropped only if all of this has happened:
//
//   - It got the same 5xx suspiciousAfter times in a row, over suspiciousFor at least, without a Retry-After.
//   - Then, proofs times in a row: the store took the body behind it, the witness, and right after that gave the oldest
//     one the same 5xx again.
//
// A witness that is taken has overtaken the oldest body: that is what the proof costs, if the store takes that one after
// all and insists on order. Whatever is not proven is sent again without end.
const (
	suspiciousAfter = 8
	suspiciousFor   = 5 * time.Minute
	proofs          = 2
	breath          = 100 * time.Millisecond // between the witness and the oldest body
)

// A suspect is the oldest body while it gets the same 5xx again and again.
type suspect struct {
	body  *body // nil if there is none
	code  string
	equal int // answers in a row
	since time.Time
	taken int // witnesses in a row that the store took before it gave that answer again
}

// accuse counts a failure, and tells whether it is time for a witness.
func (s *suspect) accuse(b *body, a pipeline.Answer) bool {
	if !serverError(a) {
		*s = suspect{}
		return false
	}
	if s.body != b || s.code != a.Code {
		*s = suspect{body: b, code: a.Code, since: time.Now()}
	}
	s.equal++
	return s.equal >= suspiciousAfter && time.Since(s.since) >= suspiciousFor
}

// serverError tells a 5xx that does not say when to come again.
func serverError(a pipeline.Answer) bool {
	return a.Outcome == pipeline.Failed && len(a.Code) == 3 && a.Code[0] == '5' && a.RetryAfter == 0
}

// confront drops the oldest body if it is proven to be the cause, or asks for the next proof. It returns how long to wait.
func (t *target) confront(drain context.Context, b *body, a pipeline.Answer, pause time.Duration) time.Duration {
	if t.suspect.taken == proofs {
		a.Outcome, a.Reason = pipeline.Refused, pipeline.ServerError
		t.settle(b, a, true)
		return 0
	}
	if !t.testify(drain) {
		t.suspect.taken = 0
		return pause
	}
	t.suspect.taken++
	return breath
}

// testify tells that the store takes the body behind the oldest at this moment.
func (t *target) testify(drain context.Context) bool {
	b := t.queue.take(1)
	if b == nil {
		return false
	}
	answer, _ := t.request(drain, b)
	switch {
	case answer.Code == "":
		return false
	case answer.Outcome == pipeline.Accepted, answer.Outcome == pipeline.Refused:
		t.settle(b, answer, false)
		return answer.Outcome == pipeline.Accepted
	}
	t.queue.release()
	return false
}
