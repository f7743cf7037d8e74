package sinks

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatd/leat/pipeline"
)

// oldText is the series of a 1.0 body, a line each.
func oldText(tb testing.TB, body []byte) string {
	tb.Helper()
	plain, err := s2.Decode(nil, body)
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	each := func(message []byte, see func(num protowire.Number, v []byte, n uint64)) {
		if !fields(message, func(num protowire.Number, _ protowire.Type, v []byte, n uint64) bool {
			see(num, v, n)
			return true
		}) {
			tb.Fatalf("%x is no message", message)
		}
	}
	each(plain, func(num protowire.Number, series []byte, _ uint64) {
		if num != 1 {
			tb.Fatalf("field %d of the request", num)
		}
		each(series, func(num protowire.Number, v []byte, _ uint64) {
			switch num {
			case 1: // a label
				each(v, func(num protowire.Number, text []byte, _ uint64) {
					fmt.Fprintf(&b, "%s%s", text, []string{"", "=", ","}[num])
				})
			case 2: // a sample
				var value float64
				var time int64
				each(v, func(num protowire.Number, _ []byte, n uint64) {
					if num == 1 {
						value = math.Float64frombits(n)
					} else {
						time = int64(n)
					}
				})
				fmt.Fprintf(&b, " %s %+d\n", shown(value), time-gathered.UnixMilli())
			default:
				tb.Fatalf("field %d of a series", num)
			}
		})
	})
	return b.String()
}

func TestToRemoteWrite1(t *testing.T) {
	w := newWrite(t, "http://prometheus:9090", pipeline.Label{Name: "job", Value: "leat"})
	var bodies []put
	if err := w.Encode(exposed(t, "# HELP a Is a.\n# TYPE a counter\na{x=\"1\"} 1\nb 0\nc{y=\"ü\"} NaN 1767323045000\n"), gathered, collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	if err := w.Stale(gathered.Add(time.Second), collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, p := range bodies {
		old, err := toRemoteWrite1(p.body)
		if err != nil {
			t.Fatal(err)
		}
		got += oldText(t, old)
	}
	lines(t, got, `
__name__=a,job=leat,x=1, 1 +0
__name__=b,job=leat, 0 +0
__name__=c,job=leat,y=ü, NaN -6
__name__=a,job=leat,x=1, STALE +1000
__name__=b,job=leat, STALE +1000
`)
}

// What was on disk can be anything.
func FuzzToRemoteWrite1(f *testing.F) {
	w := newWrite(f, "http://prometheus:9090")
	var bodies []put
	if err := w.Encode(ofAllKinds(f), gathered, collect(&bodies)); err != nil {
		f.Fatal(err)
	}
	f.Add(bodies[0].body)
	for _, plain := range []string{"", "\x22\x00", "\x2a\x00", "\x22\x00\x2a\x04\x0a\x02\x00\x00", "\x22\x00\x2a\x04\x0a\x02\x00\x01", "\x22\x00\x2a\x03\x0a\x01\x00", "\x08\x01",
		"\x22\x01a\x2a\x0f\x0a\x02\x00\x00\x12\x09\x09\x01\x02\x03\x04\x05\x06\x07\x08"} {
		f.Add(s2.EncodeSnappy(nil, []byte(plain)))
	}
	f.Add([]byte("\xff\xff\xff\xff\x07")) // says that it is 2 GiB
	f.Fuzz(func(t *testing.T, body []byte) {
		old, err := toRemoteWrite1(body)
		if err != nil {
			return
		}
		n := 0
		if err := readSeries(body, func(*series) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		if got := oldSamples(t, old); got != n {
			t.Errorf("%d samples, want %d", got, n)
		}
	})
}

// oldSamples counts the samples of a 1.0 body.
func oldSamples(t *testing.T, body []byte) (all int) {
	plain, err := s2.Decode(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	if !fields(plain, func(_ protowire.Number, _ protowire.Type, series []byte, _ uint64) bool {
		return fields(series, func(num protowire.Number, _ protowire.Type, _ []byte, _ uint64) bool {
			if num == oldSeriesSamples {
				all++
			}
			return true
		})
	}) {
		t.Fatal("no message")
	}
	return all
}

// One symbol that all series refer to makes a small body large.
func TestToRemoteWrite1IsBounded(t *testing.T) {
	plain := appendField(nil, writeSymbols, strings.Repeat("x", 64<<10))
	for range 1000 {
		plain = appendField(plain, writeSeries, appendField([]byte(nil), seriesLabels, []byte{0, 0}))
	}
	if old, err := toRemoteWrite1(s2.EncodeSnappy(nil, plain)); err == nil {
		t.Errorf("%d bytes", len(old))
	}
	if _, err := toRemoteWrite1([]byte("\xff\xff\xff\xff\x07")); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a body that says it is 2 GiB: %v", err)
	}
}

// An answer of a receiver: a status, and how many samples it says that it has written; -1 if it doesn't say.
type said struct {
	status, written int
	words           string
}

// What becomes of the answers to 2.0, and to the 1.0 that may follow.
func TestRemoteWriteAnswers(t *testing.T) {
	const samples = 16
	full, none := said{204, samples, ""}, said{204, -1, ""}
	for _, c := range []struct {
		name         string
		two, one     said
		want         pipeline.Answer // without Err
		says         string
		asked, again string // versions of the requests of this body, and of the next one
	}{
		{"all written", full, said{}, pipeline.Answer{Code: "204"}, "", "2", "2"},
		{"200", said{200, samples, "ok"}, said{}, pipeline.Answer{Code: "200"}, "", "2", "2"},
		{"fewer written", said{204, 14, ""}, said{}, pipeline.Answer{Code: "204", LeftOut: 2, Reason: pipeline.Rejected}, "left out 2 of 16 samples", "2", "2"},
		{"nothing written", said{204, 0, ""}, said{}, pipeline.Answer{Code: "204", LeftOut: 16, Reason: pipeline.Rejected}, "left out 16 of 16", "2", "2"},
		{"more written", said{204, 99, ""}, said{}, pipeline.Answer{Code: "204"}, "", "2", "2"},
		{"partial", said{400, 15, "out of order sample for series x"}, said{}, pipeline.Answer{Code: "400", LeftOut: 1, Reason: pipeline.BadRequest},
			`left out 1 of 16 samples, and has the rest: "out of order sample for series x"`, "2", "2"},
		{"an exemplar alone", said{400, 16, "bad exemplar"}, said{}, pipeline.Answer{Code: "400", Reason: pipeline.BadRequest}, "left out 0 of 16", "2", "2"},
		{"refused", said{400, 0, "out of bounds"}, said{}, pipeline.Answer{Outcome: pipeline.Refused, Code: "400", Reason: pipeline.BadRequest}, "out of bounds", "2", "2"},
		{"partial 422", said{422, 15, "too many"}, said{}, pipeline.Answer{Code: "422", LeftOut: 1, Reason: pipeline.Unprocessable}, "left out 1", "2", "2"},
		{"refused 422", said{422, -1, "no"}, said{}, pipeline.Answer{Outcome: pipeline.Refused, Code: "422", Reason: pipeline.Unprocessable}, "no", "2", "2"},
		{"413", said{413, -1, "no"}, said{}, pipeline.Answer{Outcome: pipeline.Refused, Code: "413", Reason: pipeline.TooLarge}, "raise the limit", "2", "2"},

		{"knows 1.0, says 415", said{415, -1, "what?"}, none, pipeline.Answer{Code: "204"}, "", "21", "1"},
		{"knows 1.0, says 406", said{406, -1, "what?"}, none, pipeline.Answer{Code: "204"}, "", "21", "1"},
		{"knows 1.0, says 400", said{400, -1, "what?"}, none, pipeline.Answer{Code: "204"}, "", "21", "1"},
		{"knows 1.0, says yes", none, none, pipeline.Answer{Code: "204"}, "", "21", "1"},
		{"knows 1.0, refuses", said{415, -1, ""}, said{400, -1, "out of order"}, pipeline.Answer{Outcome: pipeline.Refused, Code: "400", Reason: pipeline.BadRequest}, "out of order", "21", "21"},
		{"knows 1.0, is down", none, said{503, -1, ""}, pipeline.Answer{Outcome: pipeline.Failed, Code: "503"}, "not ready", "21", "21"},
		{"knows 1.0, says that nothing was written", none, said{204, 0, ""}, pipeline.Answer{Code: "204"}, "", "21", "1"},
		{"knows neither", said{415, -1, "two"}, said{415, -1, "one"}, pipeline.Answer{Outcome: pipeline.Failed, Code: "415"}, `"two"`, "21", "21"},
		{"knows 2.0, does not say so", none, said{415, -1, ""}, pipeline.Answer{Outcome: pipeline.Failed, Code: "204"}, "does not say that it has written", "21", "21"},
		{"refuses both", said{400, -1, "two"}, said{400, -1, "one"}, pipeline.Answer{Outcome: pipeline.Refused, Code: "400", Reason: pipeline.BadRequest}, `"one"`, "21", "21"},

		{"down", said{503, -1, ""}, none, pipeline.Answer{Outcome: pipeline.Failed, Code: "503"}, "not ready", "2", "2"},
		{"says 500", said{500, 3, "disk"}, none, pipeline.Answer{Outcome: pipeline.Failed, Code: "500"}, "disk", "2", "2"},
		{"throttles", said{429, -1, "slow down"}, none, pipeline.Answer{Outcome: pipeline.Throttled, Code: "429"}, "metrics.interval", "2", "2"},
		{"is off", said{404, -1, "remote write receiver needs to be enabled"}, none, pipeline.Answer{Outcome: pipeline.Failed, Code: "404"}, "--web.enable-remote-write-receiver", "2", "2"},
		{"wants a password", said{401, -1, ""}, none, pipeline.Answer{Outcome: pipeline.Failed, Code: "401"}, "basic_auth", "2", "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := ""
			server := testServer(t, func(rw http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				answer, version, media := c.two, "2.0.0", remoteWriteType
				if asked += "2"; r.Header.Get(versionHeader) == "0.1.0" {
					asked = asked[:len(asked)-1] + "1"
					answer, version, media = c.one, "0.1.0", "application/x-protobuf"
					if n := oldSamples(t, body); n != samples {
						t.Errorf("1.0: %d samples", n)
					}
				} else if writtenText(t, put{body, samples}) == "" {
					t.Error("2.0: nothing")
				}
				for header, want := range map[string]string{"Content-Type": media, "Content-Encoding": "snappy", versionHeader: version, "User-Agent": "leatd/1.2.3"} {
					if got := r.Header.Get(header); got != want {
						t.Errorf("%s: %q, want %q", header, got, want)
					}
				}
				if r.URL.Path != "/api/v1/write" {
					t.Error(r.URL.Path)
				}
				if answer.written >= 0 {
					rw.Header().Set("X-Prometheus-Remote-Write-Samples-Written", fmt.Sprint(answer.written))
					rw.Header().Set("X-Prometheus-Remote-Write-Histograms-Written", "0")
				}
				rw.WriteHeader(answer.status)
				io.WriteString(rw, answer.words)
			})
			w := newWrite(t, server.URL)
			var bodies []put
			if err := w.Encode(ofAllKinds(t), gathered, collect(&bodies)); err != nil {
				t.Fatal(err)
			}
			before := slices.Clone(bodies[0].body)
			got := w.Send(context.Background(), bodies[0].body, samples)
			err := got.Err
			if got.Err = nil; got != c.want {
				t.Errorf("%+v, want %+v: %v", got, c.want, err)
			}
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("says %v, want %q", err, c.says)
			}
			if asked != c.asked {
				t.Errorf("asked in %s, want %s", asked, c.asked)
			}
			asked = ""
			if w.Send(context.Background(), bodies[0].body, samples); asked != c.again {
				t.Errorf("next body: asked in %s, want %s", asked, c.again)
			}
			if !slices.Equal(before, bodies[0].body) {
				t.Error("Send has changed the body")
			}
		})
	}
}

// Headers are only counted as said if they say something.
func TestSamplesWritten(t *testing.T) {
	const samples, histograms = "X-Prometheus-Remote-Write-Samples-Written", "X-Prometheus-Remote-Write-Histograms-Written"
	for _, c := range []struct {
		h       http.Header
		written int64
		says    bool
	}{
		{http.Header{}, 0, false},
		{http.Header{samples: {"7"}}, 7, true},
		{http.Header{histograms: {"3"}}, 0, true},
		{http.Header{samples: {"0"}, histograms: {"0"}}, 0, true},
		{http.Header{samples: {"many"}}, 0, false},
		{http.Header{samples: {"-1"}}, 0, false},
		{http.Header{samples: {"99999999999999999999"}}, 0, false},
		{http.Header{samples: {""}}, 0, false},
	} {
		if written, says := samplesWritten(c.h); written != c.written || says != c.says {
			t.Errorf("%v: %d, %v", c.h, written, says)
		}
	}
}

// A receiver that knew only 1.0 is asked again after six hours; one that stops to know 1.0 gets 2.0 at once.
func TestRemoteWriteAsksAgain(t *testing.T) {
	asked, knows := "", "1"
	server := testServer(t, func(rw http.ResponseWriter, r *http.Request) {
		version := strings.TrimSuffix(r.Header.Get(versionHeader), ".0")[:1]
		if version == "0" {
			version = "1"
		}
		asked += version
		if version == "2" {
			rw.Header().Set("X-Prometheus-Remote-Write-Samples-Written", "1")
		}
		if !strings.Contains(knows, version) {
			rw.WriteHeader(http.StatusUnsupportedMediaType)
		}
	})
	w := newWrite(t, server.URL)
	now := gathered
	w.now = func() time.Time { return now }
	var bodies []put
	if err := w.Encode(exposed(t, "a 1\n"), gathered, collect(&bodies)); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		after       time.Duration
		knows, want string
	}{
		{0, "1", "21"}, {time.Second, "1", "1"}, {oldFor - 2*time.Second, "12", "1"}, {2 * time.Second, "1", "21"}, {time.Minute, "1", "1"},
		{oldFor, "12", "2"}, {time.Minute, "1", "21"}, {time.Minute, "2", "12"}, {time.Minute, "12", "2"},
	} {
		now = now.Add(step.after)
		asked, knows = "", step.knows
		if a := w.Send(context.Background(), bodies[0].body, 1); a.Outcome != pipeline.Accepted || a.Err != nil || asked != step.want {
			t.Errorf("step %d: asked in %s, want %s: %v", i, asked, step.want, a.Err)
		}
	}
}

// A body that is damaged is dropped where it has to be read, and not sent again and again.
func TestRemoteWriteDamagedBody(t *testing.T) {
	server := testServer(t, func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(http.StatusUnsupportedMediaType) })
	a := newWrite(t, server.URL).Send(context.Background(), []byte("damaged"), 7)
	if a.Outcome != pipeline.Refused || a.Reason != pipeline.BadRequest || !strings.Contains(a.Err.Error(), "central: a body cannot be read back") {
		t.Errorf("%+v", a)
	}
}
