package sinktest_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/sinks"
	"github.com/leatd/leat/sinks/sinktest"
)

func open(tb testing.TB, kind, url string) sinktest.Sink {
	tb.Helper()
	r := sinks.Remote{Name: kind, URL: url, HTTP: config.DefaultHTTPClientConfig}
	var s sinktest.Sink
	var err error
	switch kind {
	case "loki":
		s, err = sinks.NewLoki(r, sinks.LokiFormat{Metadata: []string{"pod_uid", "restart_count"}, RecordID: true}, 0)
	case "otlp":
		s, err = sinks.NewOTLP(r, sinks.OTLPFormat{Compression: "zstd", RecordID: true})
	case "http":
		s, err = sinks.NewHTTP(r, sinks.NDJSONFormat{RecordID: true})
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

var kinds = []string{"loki", "otlp", "http"}

func TestReceiver(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			r := sinktest.NewReceiver(kind)
			defer r.Close()
			r.Reply = func(n int, req *http.Request) sinktest.Reply {
				switch n {
				case 2:
					return sinktest.Reply{Status: 503, Body: "not now", RetryAfter: "3"}
				case 3:
					return sinktest.Reply{Status: 500, Stored: true}
				case 4:
					return sinktest.Reply{Drop: true, Status: 1}
				}
				return sinktest.Reply{}
			}
			s := open(t, kind, r.URL)
			var got []string
			for i := range 5 {
				a := s.Send(t.Context(), sinktest.Encode(t, s, sinktest.Lines(fmt.Sprint("request ", i+1), 6)))
				sinktest.CheckAnswer(t, a)
				got = append(got, fmt.Sprint(a.Outcome == pipeline.Accepted, " ", a.RetryAfter))
			}
			if want := "[true 0s false 3s false 0s false 0s true 0s]"; fmt.Sprint(got) != want {
				t.Errorf("answers %v, want %v", got, want)
			}
			requests, lines, _, sent := r.Totals()
			if requests != 5 || lines != 18 || sent == 0 || r.Err() != nil {
				t.Errorf("%d requests, %d lines, %d bytes: %v", requests, lines, sent, r.Err())
			}
			var all []string
			for _, s := range r.Sources() {
				for _, l := range s.Lines {
					all = append(all, l.String())
				}
			}
			var want []string
			for _, container := range []string{"app", "sidecar"} {
				for _, stream := range []string{"stderr", "stdout"} {
					for _, n := range []int{1, 3, 5} {
						for _, l := range sinktest.Lines(fmt.Sprint("request ", n), 6) {
							if l.Container == container && l.Stream == stream {
								want = append(want, l.String())
							}
						}
					}
				}
			}
			if got, want := strings.Join(all, "\n"), strings.Join(want, "\n"); got != want {
				t.Errorf("stored\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A receiver that takes anything proves nothing: each of these must be refused and reported.
func TestReceiverRefuses(t *testing.T) {
	good := map[string][]byte{}
	types := map[string]string{"loki": "application/x-protobuf", "otlp": "application/x-protobuf", "http": "application/x-ndjson"}
	for _, kind := range kinds {
		good[kind] = sinktest.Encode(t, open(t, kind, "http://unused"), sinktest.Lines("good", 5))
	}
	encoding := map[string]string{"otlp": "zstd", "http": "gzip"}
	for _, c := range []struct {
		name, kind, contentType, encoding string
		body                              []byte
	}{
		{"wrong type", "loki", "text/plain", "", good["loki"]},
		{"encoding said aloud", "loki", types["loki"], "snappy", good["loki"]},
		{"unknown encoding", "http", types["http"], "br", good["http"]},
		{"torn snappy", "loki", types["loki"], "", good["loki"][:len(good["loki"])-1]},
		{"torn zstd", "otlp", types["otlp"], "zstd", good["otlp"][:len(good["otlp"])-1]},
		{"torn gzip", "http", types["http"], "gzip", good["http"][:len(good["http"])-1]},
		{"another protocol", "otlp", types["otlp"], "", []byte("{}\n")},
		{"no JSON", "http", types["http"], "", []byte("line\n")},
		{"no end of line", "http", types["http"], "", []byte(`{"time":"2026-01-02T03:04:05Z","msg":"a"}`)},
		{"no time", "http", types["http"], "", []byte(`{"msg":"a"}` + "\n")},
		{"wrong time", "http", types["http"], "", []byte(`{"time":"noon","msg":"a"}` + "\n")},
		{"control character", "http", types["http"], "", []byte(`{"time":"2026-01-02T03:04:05Z","msg":"a` + "\x01" + `"}` + "\n")},
		{"invalid UTF-8", "http", types["http"], "", []byte(`{"time":"2026-01-02T03:04:05Z","msg":"a` + "\xff" + `"}` + "\n")},
		{"bad escape", "http", types["http"], "", []byte(`{"time":"2026-01-02T03:04:05Z","msg":"\q"}` + "\n")},
		{"bad number", "http", types["http"], "", []byte(`{"time":"2026-01-02T03:04:05Z","msg":"a","n":1.2.3}` + "\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sinktest.NewReceiver(c.kind)
			defer r.Close()
			post := func(contentType, encoding string, body []byte) int {
				req, err := http.NewRequest(http.MethodPost, r.URL, bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", contentType)
				if encoding != "" {
					req.Header.Set("Content-Encoding", encoding)
				}
				client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				io.Copy(io.Discard, resp.Body)
				return resp.StatusCode
			}
			if status := post(types[c.kind], encoding[c.kind], good[c.kind]); status/100 != 2 || r.Err() != nil {
				t.Fatalf("good: %d: %v", status, r.Err())
			}
			if status := post(c.contentType, c.encoding, c.body); status != 400 || r.Err() == nil {
				t.Errorf("%d: %v", status, r.Err())
			} else {
				t.Log(r.Err())
			}
		})
	}
}

// Loki takes JSON as well, which other agents send.
func TestDecodeLokiJSON(t *testing.T) {
	const stream = `{"streams":[{"stream":{"namespace":"shop","pod":"cart","container":"app","stream":"stderr"},"values":[%s]}]}`
	for _, c := range []struct{ values, want string }{
		{`["1767323045000000006","a \"word\""],["7","b",{"meta":"data"}]`, `[shop/cart/app stderr 1767323045000000006 "a \"word\"" shop/cart/app stderr 7 "b"]`},
		{``, `[]`},
		{`["7"]`, `[] loki: an entry of 1 values`},
		{`[7,"a"]`, `[] loki: time: no string: "7"`},
		{`["noon","a"]`, `[] loki: time: strconv.ParseInt: parsing "noon": invalid syntax`},
		{`["7",8]`, `[] loki: line: no string: "8"`},
	} {
		lines, err := sinktest.Decode("loki_json", "", fmt.Appendf(nil, stream, c.values))
		got := fmt.Sprint(lines)
		if err != nil {
			got += " " + err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.values, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for i, kind := range kinds {
		s := open(f, kind, "http://unused")
		f.Add(i, sinktest.Encode(f, s, sinktest.Lines("seed", 3)))
	}
	f.Add(3, []byte(`{"streams":[{"stream":{"pod":"p"},"values":[["7","a"]]}]}`))
	f.Add(2, []byte(`{"time":"2026-01-02T03:04:05Z","msg":"\u00e4\\","n":1}`+"\n"))
	f.Fuzz(func(t *testing.T, i int, b []byte) {
		kind := append(kinds, "loki_json")[uint(i)%4]
		if kind == "loki" && len(b) > 0 && b[0] > 0x7f { // snappy's length would be taken at its word
			return
		}
		sinktest.Decode(kind, "", b)
	})
}

// BenchmarkReceiver is what the store's side of a test costs for each byte of log text.
func BenchmarkReceiver(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind, func(b *testing.B) {
			r := sinktest.NewReceiver(kind)
			defer r.Close()
			r.OnLine = func(*sinktest.Source, int64, []byte) {}
			s := open(b, kind, r.URL)
			var lines []sinktest.Line
			for i := range 8000 {
				lines = append(lines, sinktest.Line{Namespace: "shop", Pod: "cart", Container: "app", Stream: "stdout",
					Time: time.Now().UnixNano(), Text: fmt.Sprintf("%s GET /api/v1/items/%d?page=%d HTTP/1.1 200 %dms %x", "10.0.0.1", i, i%9, i%77, i*i*7919*31337)})
			}
			body := sinktest.Encode(b, s, lines)
			n := int64(0)
			for _, l := range lines {
				n += int64(len(l.Text))
			}
			b.SetBytes(n)
			b.ReportAllocs()
			for b.Loop() {
				if a := s.Send(b.Context(), body); a.Err != nil {
					b.Fatal(a.Err)
				}
			}
			b.ReportMetric(float64(len(lines)), "lines/op")
		})
	}
}
