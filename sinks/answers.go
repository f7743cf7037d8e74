package sinks

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A reply is an answer as it came.
type reply struct {
	*http.Response
	words []byte // the body, valid during judge
	whole bool   // words is all of it
}

// media is the content type without its parameters, told by the body if the header is missing.
func (r *reply) media() string {
	header := r.Header.Get("Content-Type")
	if header == "" && len(r.words) > 0 {
		header = http.DetectContentType(r.words)
	}
	media, _, err := mime.ParseMediaType(header)
	if err != nil && media == "" {
		return header
	}
	return media
}

// page says whether the answer is a web page: from a login page, a proxy, or somebody else's address.
func (r *reply) page() bool {
	media := r.media()
	return media == "text/html" || media == "application/xhtml+xml"
}

// An acceptance looks at a 2xx that is no web page. It returns what is wrong with it if it doesn't mean that the lines
// are stored, and what the store has to say if it does: how many of them it left out, and why.
type acceptance func(r *reply) (wrong, remark string, leftOut int64)

// judge understands an answer. Only 400, 413 and 422 refuse a body for good, and what says by other codes that a request
// is too large; and not even those if they come from something that is no store.
func (s *sender) judge(r *reply) pipeline.Answer {
	a := pipeline.Answer{Outcome: pipeline.Failed, Code: strconv.Itoa(r.StatusCode)}
	if r.StatusCode >= 300 {
		a.RetryAfter = retryAfter(r.Header.Get("Retry-After"), time.Now())
	}
	switch {
	case r.StatusCode/100 == 2 && r.page():
		a.Err = s.complain(r, "answered with a web page: is url the store's own address, or that of a login page or a proxy?")
		return a
	case blocked(r.words):
		a.Err = s.complain(r, "the store's owner has blocked what this tenant sends: lines wait until that is over")
		return a
	case r.StatusCode/100 == 2:
		wrong, remark, leftOut := s.accept(r)
		if wrong != "" {
			a.Err = s.complain(r, wrong)
			return a
		}
		a.Outcome = pipeline.Accepted
		if leftOut > 0 {
			a.LeftOut, a.Reason = leftOut, pipeline.Rejected
		}
		if remark != "" {
			a.Err = fmt.Errorf("%s: %s: %s", s.name, s.shown, printable([]byte(remark), s.secrets(r), 2*maxQuote))
		}
		return a
	case r.StatusCode/100 == 3:
		a.Err = s.complain(r, s.redirectAdvice(r))
		return a
	}

	advice, status := "", r.StatusCode
	switch status {
	case http.StatusBadRequest:
		if a.LeftOut = leftOut(r); a.LeftOut != 0 {
			a.Outcome, a.Reason = pipeline.Accepted, pipeline.BadRequest
			advice = "the store has left out what is beyond its limits, and has the rest: raise them there (limits_config), or let those containers write less"
		} else if advice = notAStore(r); advice == "" {
			a.Outcome, a.Reason = pipeline.Refused, pipeline.BadRequest
		}
	case http.StatusUnprocessableEntity:
		if advice = notAStore(r); advice == "" {
			a.Outcome, a.Reason = pipeline.Refused, pipeline.Unprocessable
		}
	case http.StatusRequestEntityTooLarge: // proxies say it by a web page, and mean it
		a.Outcome, a.Reason = pipeline.Refused, pipeline.TooLarge
		advice = "raise the limit of the store, or of the proxy before it, or lower max_batch of sinks." + s.name
	case http.StatusTooManyRequests:
		a.Outcome = pipeline.Throttled
		advice = "the store's rate limit is reached: raise it there, or set max_rate of sinks." + s.name
		if concernsOneStream(r.words) {
			a.Outcome = pipeline.OneTarget
			advice = "the store's limit for one stream is reached: raise it there, or let that container say less"
		}
	default:
		advice = s.statusAdvice(r)
		if r.StatusCode >= 500 && messageTooLarge(r.words) {
			a.Outcome, a.Reason, status = pipeline.Refused, pipeline.TooLarge, http.StatusRequestEntityTooLarge
			advice = "the request is larger than the store's grpc_server_max_recv_msg_size: raise it, or lower max_batch of sinks." + s.name
		}
	}
	if own := s.advice[status]; own != "" {
		advice = own
	}
	a.Err = s.complain(r, advice)
	return a
}

// concernsOneStream knows the words with which Loki (3.7: validation.ErrStreamRateLimit and StreamLimitErrorMsg)
// refuses single streams of a request and stores the others, by whichever protocol they came. Older ones differ in
// upper and lower case.
func concernsOneStream(words []byte) bool {
	words = bytes.ToLower(words)
	return bytes.Contains(words, []byte("per stream rate limit exceeded")) ||
		bytes.Contains(words, []byte("maximum active stream limit exceeded"))
}

// notAStore finds out the 400 and 422 that don't come from a store, and so say nothing about the body: no store
// answers with a web page, but proxies do, and a server that expects TLS says 400 to plain HTTP.
func notAStore(r *reply) (advice string) {
	switch {
	case expectsTLS(r.words):
		return "the server expects TLS: write https:// in url"
	case r.page():
		return "this is a web page and no store's answer: is url the store's own address, or that of a proxy?"
	}
	return ""
}

// expectsTLS knows what Go's server, nginx and Apache say to plain HTTP on a port for TLS.
func expectsTLS(words []byte) bool {
	return bytes.Contains(words, []byte("HTTP request to an HTTPS server")) ||
		bytes.Contains(words, []byte("plain HTTP request was sent to HTTPS port")) ||
		bytes.Contains(words, []byte("speaking plain HTTP to an SSL-enabled server port"))
}

// An answerError is an answer that did not accept. Its text is made when somebody reads it: the lane logs a complaint
// once and counts the rest.
type answerError struct {
	sink, url, status, advice, words string
}

func (e *answerError) Error() string {
	text := e.sink + ": " + e.url + ": " + e.status
	if e.advice != "" {
		text += ": " + e.advice
	}
	if e.words != "" {
		text += ": " + e.words
	}
	return text
}

func (s *sender) complain(r *reply, advice string) error {
	status := strconv.Itoa(r.StatusCode)
	if text := http.StatusText(r.StatusCode); text != "" {
		status += " " + text
	}
	at := s.shown
	if r.Request != nil && r.Request.Response != nil { // after redirects it was somebody else who answered
		at += " (redirected to " + showURL(r.Request.URL) + ")"
	}
	return &answerError{sink: s.name, url: at, status: status, advice: advice,
		words: quote(r, s.secrets(r))}
}

func (s *sender) secrets(r *reply) []string { return append(s.own, requestSecrets(r.Request)...) }

const maxRetryAfter = 10 * time.Minute

// retryAfter reads a Retry-After header, which is a number of seconds or a date. It is bounded, since a mistake in it
// must not silence a node; 0 if there is none or it makes no sense.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(header, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if errors.Is(err, strconv.ErrRange) {
		return maxRetryAfter
	}
	date, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(0, min(date.Sub(now), maxRetryAfter))
}
