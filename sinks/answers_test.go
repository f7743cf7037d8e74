package sinks

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/config"

	"github.com/leatd/leat/pipeline"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"30":                            30 * time.Second,
		"600":                           10 * time.Minute,
		"601":                           10 * time.Minute,
		"18446744073709551615":          10 * time.Minute,
		"99999999999999999999":          10 * time.Minute,
		"-1":                            0,
		"1.5":                           0,
		"later":                         0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:04:05 GMT": 0,
		"Thu, 01 Jan 2026 03:04:05 GMT": 0,
		"Sat, 02 Jan 2027 03:04:05 GMT": 10 * time.Minute,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("30")
	f.Add("Fri, 02 Jan 2026 03:05:05 GMT")
	f.Add("Friday, 02-Jan-26 03:05:05 GMT")
	f.Fuzz(func(t *testing.T, header string) {
		if d := retryAfter(header, time.Unix(1767323045, 0)); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %s", header, d)
		}
	})
}

func TestPrintable(t *testing.T) {
	for _, c := range []struct {
		words string
		limit int
		want  string
	}{
		{"", 10, ""},
		{"  plain words \n", 20, "plain words"},
		{"a\r\n\t b", 20, "a b"},
		{"ümlaut", 20, "ümlaut"},
		{"ümlaut", 1, "…"},
		{"ümlaut", 2, "ü…"},
		{"exactly10.", 10, "exactly10."},
		{"exactly11..", 10, "exactly11.…"},
		{"\x00\x1b[0m\x7f\u202e\xff\u00a0.", 100, `\x00\x1b[0m\x7f\u202e\xff\u00a0.`},
		{"it is hunter2, or hunter2!", 100, "it is <secret>, or <secret>!"},
		{"hunter2", 100, "<secret>"},
		{"a short one: ab", 100, "a short one: ab"},
	} {
		if got := printable([]byte(c.words), []string{"hunter2", "ab", ""}, c.limit); got != c.want {
			t.Errorf("%q: %q, want %q", c.words, got, c.want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add([]byte("words\n\x00\xff and hunter2 and hunthunter2er2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := printable(b, []string{"hunter2"}, maxQuote)
		if len(got) > maxQuote+len("…") || !utf8.ValidString(got) {
			t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q at %d", got, i)
		}
	})
}

func FuzzAcceptOTLP(f *testing.F) {
	f.Add([]byte("\x0a\x0b\x08\x03\x12\x07too old"), "application/x-protobuf")
	f.Add([]byte(`{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}`), "application/json")
	f.Fuzz(func(t *testing.T, b []byte, media string) {
		r := &reply{Response: &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {media}}}, words: b, whole: true}
		wrong, remark, left := acceptOTLP(r)
		if wrong != "" && (remark != "" || left != 0) || left < 0 || left > 0 && remark == "" {
			t.Errorf("%q, %q and %d left out", wrong, remark, left)
		}
		quote(r, nil)
	})
}

// A 400 says that something was left out only with whole phrases of Loki's, and never the other way round.
func FuzzLeftOut(f *testing.F) {
	for _, w := range lokiLeavesOut {
		f.Add([]byte(w.begin + "{}" + w.then + "x"))
		f.Add([]byte("2 errors like: " + w.begin + w.then + "; 1 errors like: couldn't parse labels"))
	}
	f.Add([]byte("entry with timestamp 0 ignored, reason: 'entry too far behind',\nuser 'a', total ignored: 3 out of 4 for stream: {}"))
	f.Add([]byte("9999999999 errors like: max entry size '1' bytes exceeded for stream '"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := leftOut(&reply{Response: &http.Response{StatusCode: 400, Header: http.Header{}}, words: b, whole: true})
		if n < pipeline.SomeLeftOut || n > 1<<40 {
			t.Errorf("%d", n)
		}
		if lower := bytes.ToLower(b); n != 0 && !bytes.Contains(lower, []byte("stream")) && !bytes.Contains(lower, []byte("ignored")) &&
			!bytes.Contains(lower, []byte("labels")) {
			t.Errorf("%q leaves out %d", b, n)
		}
		if cut := leftOut(&reply{Response: &http.Response{StatusCode: 400, Header: http.Header{}}, words: b}); n == 0 && cut != 0 {
			t.Errorf("%d where it is cut off, 0 where it is not", cut)
		}
	})
}

func TestTitle(t *testing.T) {
	for page, want := range map[string]string{
		"<html><TITLE>Sign in</Title>": "Sign in",
		"<title>never closed":          "",
		"no title":                     "",
		"Ⱥ<title>longer lower</title>": "", // lower case has another length
		"":                             "",
	} {
		if got := string(title([]byte(page))); got != want {
			t.Errorf("%q: %q, want %q", page, got, want)
		}
	}
}

// Everything secret that the settings hold, or that a request carried, is known as such.
func TestSecrets(t *testing.T) {
	proxy, _ := url.Parse("http://p:proxy-pass@proxy")
	c := &config.HTTPClientConfig{
		BasicAuth:     &config.BasicAuth{Password: "basic-pass"},
		Authorization: &config.Authorization{Credentials: "auth-token"},
		OAuth2:        &config.OAuth2{ClientSecret: "oauth-secret", ClientCertificateKey: "oauth-key"},
		BearerToken:   "bearer-token",
		HTTPHeaders:   &config.Headers{Headers: map[string]config.Header{"X-Key": {Secrets: []config.Secret{"header-secret"}, Values: []string{"not secret"}}}},
		ProxyConfig:   config.ProxyConfig{ProxyURL: config.URL{URL: proxy}, ProxyConnectHeader: config.ProxyHeader{"A": {"proxy-header"}}},
	}
	u, _ := url.Parse("http://loki/?token=query+secret&_msg_field=msg")
	got := configSecrets(c, u)
	for _, want := range []string{"basic-pass", "auth-token", "oauth-secret", "oauth-key", "bearer-token", "header-secret", "proxy-pass", "proxy-header", "query secret", "query+secret"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
	if slices.Contains(got, "msg") || slices.Contains(got, "not secret") {
		t.Errorf("not all of %q is secret", got)
	}

	basic := base64.StdEncoding.EncodeToString([]byte("user:from-a-file"))
	req := &http.Request{Header: http.Header{"Authorization": {"Basic " + basic}, "X-Key": {"of-a-file"}, "User-Agent": {"leatd/1"}}}
	got = requestSecrets(req)
	for _, want := range []string{basic, "Basic " + basic, "from-a-file", "user:from-a-file", "of-a-file"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
	if slices.Contains(got, "leatd/1") {
		t.Errorf("not all of %q is secret", got)
	}
	if !slices.IsSortedFunc(got, func(a, b string) int { return len(b) - len(a) }) {
		t.Errorf("%q: one may hide within a longer one", got)
	}
}
