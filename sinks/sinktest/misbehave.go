package sinktest

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/leatd/leat/pipeline"
)

// An answerCase is one way in which a server answers, and what a sink must make of it.
type answerCase struct {
	name  string
	serve http.HandlerFunc

	outcome         pipeline.Outcome
	code            string // "" means "error"
	reason          pipeline.Reason
	leftOut         int64
	says            []string // what the complaint must contain
	atLeast, atMost time.Duration
	timeout         time.Duration // of the sink; 0 means long
}

const loginPage = "<!DOCTYPE html><html><head><title>Sign in to\n Example</title></head><body><form>…</form></body></html>"

// Loki's words for a limit that concerns one stream, as versions 3.7 and 2.9 say them.
const (
	perStream37 = `entry with timestamp 2026-01-02 03:04:05 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: 3MB/sec) while attempting to ingest for stream '{pod="a"}' totaling 8238B, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased',
user 'fake', total ignored: 1 out of 1 for stream: {pod="a"}`
	activeStreams37 = `maximum active stream limit exceeded when trying to create stream {pod="a"}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: 'fake'`
	activeStreams29 = `Maximum active stream limit exceeded, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased`
	tenantRate37    = `ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec) while attempting to ingest '4082' lines totaling '7820025' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased`
)

// Loki's words, as version 3.7 says them, for entries that it leaves out while it stores the rest.
const (
	lokiTooOld  = `1 errors like: entry for stream '{pod="a"}' has timestamp too old: 2026-01-02T03:04:05Z, oldest acceptable timestamp is: 2026-01-09T03:04:05Z; 1 errors like: entry for stream '{pod="a"}' has timestamp too old: 2026-01-02T03:04:06Z, oldest acceptable timestamp is: 2026-01-09T03:04:05Z`
	lokiTooLong = `max entry size '262144' bytes exceeded for stream '{pod="a"}' while adding an entry with length '300000' bytes`
	lokiBehind  = `entry with timestamp 2026-01-02 03:04:05 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-01-02T03:04:05Z, oldest acceptable timestamp is: 2026-01-02T05:04:05Z',
entry with timestamp 2026-01-02 03:04:06 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-01-02T03:04:06Z, oldest acceptable timestamp is: 2026-01-02T05:04:05Z',
user 'fake', total ignored: 2 out of 3 for stream: {pod="a"}`
)

func answers(k Kind) []answerCase {
	status := func(code int, contentType, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	failed := func(name string, code int, body string, says ...string) answerCase {
		return answerCase{name: name, serve: status(code, "text/plain", body), outcome: pipeline.Failed, code: strconv.Itoa(code), says: says}
	}
	refused := func(name string, code int, reason pipeline.Reason, body string, says ...string) answerCase {
		c := failed(name, code, body, says...)
		c.outcome, c.reason = pipeline.Refused, reason
		return c
	}
	leaves := func(name string, n int64, body string, says ...string) answerCase {
		return answerCase{name: name, serve: status(400, "text/plain; charset=utf-8", body+"\n"), code: "400", reason: pipeline.BadRequest, leftOut: n, says: says}
	}
	// in these the server does something else than to answer properly
	odd := func(name string, serve http.HandlerFunc, says ...string) answerCase {
		return answerCase{name: name, serve: serve, outcome: pipeline.Failed, says: says}
	}

	cases := []answerCase{
		{name: "yes", serve: func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); accept(k.Name, w) },
			code: map[bool]string{true: "200", false: "204"}[k.Name == "otlp"]},
		{name: "204", serve: status(204, "", ""), code: "204"},
		{name: "200 without a body", serve: status(200, "", ""), code: "200"},
		{name: "slow yes", code: map[bool]string{true: "200", false: "204"}[k.Name == "otlp"], serve: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-time.After(50 * time.Millisecond)
			accept(k.Name, w)
		}},

		failed("200 login page", 200, "", "web page"), // content types are set below
		failed("200 page without a type", 200, loginPage, "web page"),
		failed("301", 301, "", "redirects to http://elsewhere.example/login?…", "login page"),
		failed("302", 302, "", "redirects to http://elsewhere.example/login?…", "login page"),
		failed("303", 303, "", "redirects to"),
		failed("304", 304, "", ""),
		failed("307 without a place", 307, "", "redirects to"),

		refused("400", 400, pipeline.BadRequest, "couldn't parse labels: 1:2: parse error", "400 Bad Request", "couldn't parse labels"),
		refused("413", 413, pipeline.TooLarge, "request body too large", "max_batch"),
		refused("422", 422, pipeline.Unprocessable, "cannot parse", "cannot parse"),
		refused("413 of a proxy", 413, pipeline.TooLarge, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
		failed("400 of a proxy", 400, "<html><head><title>400 Bad Request</title></head></html>", "web page"),
		failed("400 of a TLS port", 400, "Client sent an HTTP request to an HTTPS server.\n", "https://"),

		failed("401", 401, "no org id", "basic_auth", "tenant", `"no org id"`),
		failed("402", 402, "pay first", "pay first"),
		failed("403", 403, "forbidden", "rights"),
		failed("404", 404, "404 page not found", "path"),
		failed("405", 405, "", "path"),
		failed("407", 407, "", "proxy_url"),
		failed("408", 408, "", "waited"),
		failed("409", 409, "conflict", "conflict"),
		failed("415", 415, "", "compression"),
		failed("418", 418, "", "418"),
		failed("431", 431, "", "431"),
		failed("500", 500, "entry has no time", "its logs", "entry has no time"),
		refused("500 of a message too large", 500, pipeline.TooLarge, "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5000000 vs. 4194304)", "max_batch"),
		refused("503 of a message too large", 503, pipeline.TooLarge, "\x12\x45rpc error: grpc: received message larger than max (5000000 vs. 4194304)", "max_batch"),
		leaves("400 of entries too old", 2, lokiTooOld, "too old", "has the rest"),
		leaves("400 of a line too long", 1, lokiTooLong, "max entry size"),
		leaves("400 of a line too long, older", 1, "M"+lokiTooLong[1:], "entry size"),
		leaves("400 of bad labels and a line too long", pipeline.SomeLeftOut, "1 errors like: "+lokiTooLong+"; 1 errors like: stream '{a=\"b\"}' has label name too long: 'x'", "label name"),
		leaves("400 of entries too far behind", 2, lokiBehind, "too far behind"),
		leaves("400 of entries too old, without end", pipeline.SomeLeftOut, strings.Repeat("1 errors like: "+lokiTooLong+"; ", 1000), "max entry size"),
		refused("400 that speaks of a line too long", 400, pipeline.BadRequest, "couldn't parse labels: "+lokiTooLong),
		failed("260 of a tenant that is blocked", 260, "ingestion blocked for user 'fake' until '2026-01-02T03:04:05Z' with status code '260'", "blocked", "wait"),
		failed("501", 501, "", "path"),
		failed("502", 502, "<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
		failed("503", 503, "at least 1 live replicas required", "not ready"),
		failed("504", 504, "", "not ready"),
		failed("599", 599, "", "599"),
		failed("long words", 500, strings.Repeat("all work and no play\n", 5000), "all work and no play all work"),
		failed("strange words", 500, "bell \a, escape \x1b[31m, nul \x00, broken \xff, line\r\nline", `escape \x1b[31m`, `nul \x00`, `broken \xff, line line`),

		{name: "429", serve: status(429, "text/plain", tenantRate37), outcome: pipeline.Throttled, code: "429", says: []string{"ingestion rate limit exceeded"}},
		{name: "429 for one stream", serve: status(429, "text/plain", perStream37), outcome: pipeline.OneTarget, code: "429", says: []string{"Per stream rate limit exceeded"}},
		{name: "429 for a new stream", serve: status(429, "text/plain", activeStreams37), outcome: pipeline.OneTarget, code: "429"},
		{name: "429 for a new stream, older", serve: status(429, "text/plain", activeStreams29), outcome: pipeline.OneTarget, code: "429"},
		{name: "429 for one stream, far behind", serve: status(429, "text/plain", strings.Repeat("x", 40<<10)+perStream37), outcome: pipeline.OneTarget, code: "429"},
		{name: "429 with Retry-After", serve: status(429, "", "", "Retry-After", "7"), outcome: pipeline.Throttled, code: "429", atLeast: 7 * time.Second},
		{name: "503 with Retry-After", serve: status(503, "", "", "Retry-After", "120"), outcome: pipeline.Failed, code: "503", atLeast: 2 * time.Minute},
		{name: "Retry-After of a year", serve: status(503, "", "", "Retry-After", "31536000"), outcome: pipeline.Failed, code: "503", atLeast: 10 * time.Minute},
		{name: "Retry-After without end", serve: status(503, "", "", "Retry-After", strings.Repeat("9", 40)), outcome: pipeline.Failed, code: "503", atLeast: 10 * time.Minute},
		{name: "Retry-After in the past", serve: status(503, "", "", "Retry-After", "Fri, 02 Jan 1970 03:04:05 GMT"), outcome: pipeline.Failed, code: "503"},
		{name: "Retry-After below zero", serve: status(503, "", "", "Retry-After", "-5"), outcome: pipeline.Failed, code: "503"},
		{name: "Retry-After in words", serve: status(503, "", "", "Retry-After", "soon"), outcome: pipeline.Failed, code: "503"},
		{name: "Retry-After as a date", outcome: pipeline.Failed, code: "503", atLeast: 50 * time.Second, atMost: time.Minute,
			serve: func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Retry-After", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
				w.WriteHeader(http.StatusServiceUnavailable)
			}},

		{name: "secrets sent back", outcome: pipeline.Failed, code: "401", says: []string{"<secret>"}, serve: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			user, password, _ := r.BasicAuth()
			http.Error(w, "who is "+user+" with "+password+" ("+r.Header.Get("Authorization")+")?", http.StatusUnauthorized)
		}},

		{name: "hangs", timeout: 200 * time.Millisecond, outcome: pipeline.Failed, says: []string{"no answer within 200ms"}, serve: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
		{name: "hangs in the answer", timeout: 200 * time.Millisecond, outcome: pipeline.Failed, says: []string{"no answer within"}, serve: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusOK)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		odd("closes before it reads", func(w http.ResponseWriter, r *http.Request) { hangUp(w) }, "closed the connection"),
		odd("closes after it read", func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); hangUp(w) }, "closed the connection"),
		odd("closes within the head", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			hangUp(w, "HTTP/1.1 204 No Con")
		}),
		odd("closes within the answer", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			hangUp(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly so much")
		}, "broke off"),
		odd("closes within a refusal", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			hangUp(w, "HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nonly so much")
		}, "broke off"),
		odd("speaks something else", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			hangUp(w, "220 mail.example ESMTP ready\r\n")
		}),
		{name: "refuses without end", serve: endless(500), outcome: pipeline.Failed, code: "500"},
		{name: "compressed garbage", serve: status(500, "text/plain", "\x1f\x8b\b\x00garbage\xff\xfe", "Content-Encoding", "gzip"), outcome: pipeline.Failed, code: "500"},
	}
	for i := range cases {
		if k.Metrics { // they have no max_batch
			cases[i].says = slices.DeleteFunc(cases[i].says, func(says string) bool { return says == "max_batch" })
		}
		switch c := &cases[i]; c.name {
		case "200 login page":
			c.serve = status(200, "text/html; charset=utf-8", loginPage)
			c.says = []string{"web page", `"Sign in to Example"`}
		case "200 page without a type":
			c.serve = status(200, "", loginPage) // the server's own library finds out the type
		case "301", "302", "303":
			code, _ := strconv.Atoi(c.name)
			c.serve = status(code, "text/html", loginPage, "Location", "http://user:pw@elsewhere.example/login?return=secret")
		case "413 of a proxy", "400 of a proxy", "502":
			code, _ := strconv.Atoi(c.code)
			c.serve = status(code, "text/html", "<html><head><title>"+c.code+" "+http.StatusText(code)+"</title></head></html>")
		}
	}
	return append(cases, answersOf(k, status)...)
}

// answersOf are those that the protocols take differently.
func answersOf(k Kind, status func(code int, contentType, body string, header ...string) http.HandlerFunc) []answerCase {
	plain := status(200, "text/plain", "hello")
	compressed := status(200, "application/x-protobuf", zipped("\x0a\x00"), "Content-Encoding", "gzip")
	if k.Name != "otlp" {
		return []answerCase{
			{name: "200 in words", serve: plain, code: "200"},
			{name: "202", serve: status(202, "application/json", `{"ok":true}`), code: "202"},
			{name: "says yes without end", serve: endless(200), code: "200"},
			{name: "yes, compressed", serve: compressed, code: "200"},
		}
	}
	what, inJSON := "records", "rejectedLogRecords"
	if k.Metrics {
		what, inJSON = "data points", "rejectedDataPoints"
	}
	// ExportLogsServiceResponse {partial_success = 1 {rejected_log_records = 1: 3, error_message = 2: "too old"}}
	partial := "\x0a\x0b\x08\x03\x12\x07too old"
	const stored, proto = pipeline.Accepted, "application/x-protobuf"
	return []answerCase{
		{name: "empty partial success", serve: status(200, proto, "\x0a\x00"), code: "200"},
		{name: "warning", serve: status(200, proto, "\x0a\x09\x12\x07too old"), code: "200", says: []string{"a warning", `"too old"`}},
		{name: "partial success", serve: status(200, proto, partial), code: "200", outcome: stored, leftOut: 3, reason: pipeline.Rejected, says: []string{"not 3 of its " + what, `"too old"`}},
		{name: "unknown field", serve: status(200, proto, "\x78\x01"), code: "200"},
		{name: "JSON", serve: status(200, "application/json; charset=utf-8", "{}"), code: "200"},
		{name: "JSON partial success", serve: status(200, "application/json", `{"partialSuccess":{"`+inJSON+`":"3","errorMessage":"too old"}}`), code: "200",
			outcome: stored, leftOut: 3, reason: pipeline.Rejected, says: []string{"not 3 of its " + what, `"too old"`}},
		{name: "JSON that is none", serve: status(200, "application/json", `{"partial`), code: "200", outcome: pipeline.Failed, says: []string{"none of OTLP's"}},
		{name: "200 in words", serve: plain, code: "200", outcome: pipeline.Failed, says: []string{"none of OTLP's", `"hello"`}},
		{name: "protobuf that is none", serve: status(200, proto, "hello"), code: "200", outcome: pipeline.Failed, says: []string{"none of OTLP's"}},
		{name: "torn protobuf", serve: status(200, proto, partial[:5]), code: "200", outcome: pipeline.Failed},
		{name: "202", serve: status(202, proto, ""), code: "202", outcome: pipeline.Failed},
		{name: "says yes without end", serve: endless(200), code: "200", outcome: pipeline.Failed},
		{name: "yes, compressed", serve: compressed, code: "200", outcome: pipeline.Failed, says: []string{"compressed"}},
		{name: "400 with a status", serve: status(400, proto, "\x08\x03\x12\x0btoo\x00 oldish"), code: "400", outcome: pipeline.Refused,
			reason: pipeline.BadRequest, says: []string{`"too\x00 oldish"`}},
	}
}

// endless answers without end, until the client has had enough.
func endless(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(code)
		chunk := bytes.Repeat([]byte("and on and on "), 1000)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

// hangUp closes the connection after what was said by then.
func hangUp(w http.ResponseWriter, said ...string) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	for _, s := range said {
		buf.WriteString(s)
	}
	buf.Flush()
	conn.Close()
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func silent() *log.Logger { return log.New(io.Discard, "", 0) }
