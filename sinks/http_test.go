package sinks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/leatd/leat/pipeline"
)

func testSender(tb testing.TB, r Remote) *sender {
	tb.Helper()
	if r.Name == "" {
		r.Name = "central"
	}
	s, err := newSender(r, lokiPath, "application/x-protobuf", "", anyBody)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func testServer(tb testing.TB, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s
}

func TestEndpoint(t *testing.T) {
	for raw, want := range map[string]string{
		"http://loki:3100":                      "http://loki:3100/loki/api/v1/push",
		"http://loki:3100/":                     "http://loki:3100/loki/api/v1/push",
		" https://loki ":                        "https://loki/loki/api/v1/push",
		"http://[::1]:3100":                     "http://[::1]:3100/loki/api/v1/push",
		"http://loki/other":                     "http://loki/other",
		"http://loki/other/":                    "http://loki/other/",
		"http://loki?a=b":                       "http://loki/loki/api/v1/push?a=b",
		"http://loki/a%2Fb#c":                   "http://loki/a%2Fb",
		"":                                      "error: is missing",
		"loki:3100":                             "error: begins with neither",
		"//loki":                                "error: begins with neither",
		"ftp://loki":                            "error: begins with neither",
		"http://":                               "error: names no host",
		"http://:3100":                          "error: names no host",
		"http://agent:hunter2/x@loki":           "error: cannot be read",
		"http://agent:hun ter2@loki":            "error: cannot be read",
		"http://agent:hunter2@lo ki":            "error: cannot be read",
		"http://agent:hunter2@loki:port":        "error: cannot be read",
		"http://loki:3100/\x00":                 "error: cannot be read",
		"http://agent:hunter%zz@loki:3100/path": "error: cannot be read",
	} {
		u, err := endpoint(raw, lokiPath)
		got := ""
		if err != nil {
			got = "error: " + err.Error()
		} else {
			got = u.String()
		}
		if strings.HasPrefix(want, "error: ") {
			if !strings.HasPrefix(got, want) || strings.Contains(got, "hun") {
				t.Errorf("%q: %s, want %s", raw, got, want)
			}
		} else if got != want {
			t.Errorf("%q: %s, want %s", raw, got, want)
		}
	}
}

func TestRemoteIsChecked(t *testing.T) {
	basic := &config.BasicAuth{Username: "u", Password: "hunter2"}
	for want, r := range map[string]Remote{
		"central: url: ":                      {URL: "nowhere"},
		"central: url: holds a user":          {URL: "http://a:b@loki", HTTP: config.HTTPClientConfig{BasicAuth: basic}},
		"central: at most one of basic_auth":  {URL: "http://loki", HTTP: config.HTTPClientConfig{BasicAuth: basic, OAuth2: &config.OAuth2{}}},
		"central: unable to read CA cert":     {URL: "http://loki", HTTP: config.HTTPClientConfig{TLSConfig: config.TLSConfig{CAFile: "/nowhere/ca.pem"}}},
		"central: oauth2: references":         {URL: "http://loki", HTTP: config.HTTPClientConfig{OAuth2: &config.OAuth2{ClientID: "c", TokenURL: "http://t", ClientSecretRef: "r"}}},
		"central: authorization type cannot ": {URL: "http://loki", HTTP: config.HTTPClientConfig{Authorization: &config.Authorization{Type: "Basic", Credentials: "hunter2"}}},
	} {
		r.Name = "central"
		_, err := newSender(r, "/", "", "", anyBody)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	var got *http.Request
	server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.WriteHeader(http.StatusNoContent)
	})
	s := testSender(t, Remote{URL: strings.Replace(server.URL, "http://", "http://agent:hunter2@", 1), Tenant: "team-a", Version: "1.2.3"})
	if a := s.Send(context.Background(), []byte("body")); a.Outcome != pipeline.Accepted || a.Code != "204" {
		t.Fatal(a.Err)
	}
	want := http.Header{"Content-Type": {"application/x-protobuf"}, "Content-Length": {"4"}, "User-Agent": {"leatd/1.2.3"},
		"X-Scope-Orgid": {"team-a"}, "Authorization": {"Basic YWdlbnQ6aHVudGVyMg=="}}
	if fmt.Sprint(got.Header) != fmt.Sprint(want) {
		t.Errorf("headers %v, want %v", got.Header, want)
	}
	if where := s.Where(); where != server.URL+"/loki/api/v1/push, tenant team-a" {
		t.Error(where)
	}
}

// The complaints, as operators read them.
func TestComplaints(t *testing.T) {
	var serve atomic.Pointer[http.HandlerFunc]
	server := testServer(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); (*serve.Load())(w, r) })
	s := testSender(t, Remote{URL: server.URL + "/push?token=verysecret", HTTP: config.DefaultHTTPClientConfig, Timeout: 100 * time.Millisecond})
	for _, c := range []struct {
		serve http.HandlerFunc
		want  string
	}{
		{func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no org id", http.StatusUnauthorized) },
			`central: URL/push?…: 401 Unauthorized: check basic_auth, authorization or oauth2, and tenant, of sinks.central: "no org id"`},
		{func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no such: "+r.URL.String(), 404) },
			`central: URL/push?…: 404 Not Found: nothing takes logs at this path: check the path in url, and type, of sinks.central: "no such: /push?token=<secret>"`},
		{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://me:pw@sso.example/login?state=x", http.StatusFound)
		},
			`central: URL/push?…: 302 Found: redirects to https://sso.example/login?…: is there a login page, or is the scheme or the path in url of sinks.central wrong?`},
		{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<TITLE>Log in</TITLE>")
		},
			`central: URL/push?…: 200 OK: answered with a web page: is url the store's own address, or that of a login page or a proxy?: "Log in"`},
		{func(w http.ResponseWriter, r *http.Request) { http.Error(w, "entry too far behind", 400) },
			`central: URL/push?…: 400 Bad Request: "entry too far behind"`},
		{func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/push" {
				http.Redirect(w, r, "/other?key=verysecret", http.StatusTemporaryRedirect)
				return
			}
			w.WriteHeader(503)
		},
			`central: URL/push?… (redirected to URL/other?…): 503 Service Unavailable: the store, or one behind this proxy, is not ready: look at its own logs`},
		{func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			`central: URL/push?…: no answer within 100ms: is the store overloaded, or a firewall in between? else raise timeout of sinks.central`},
		{func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
			`central: URL/push?…: EOF: the store, or a proxy before it, closed the connection: look at its own logs`},
	} {
		serve.Store(&c.serve)
		a := s.Send(context.Background(), []byte("body"))
		if got := strings.ReplaceAll(fmt.Sprint(a.Err), server.URL, "URL"); got != c.want {
			t.Errorf("says\n\t%s\nwant\n\t%s", got, c.want)
		}
	}
	server.Close()
	a := s.Send(context.Background(), []byte("body"))
	if got := strings.ReplaceAll(fmt.Sprint(a.Err), server.Listener.Addr().String(), "HOST"); got !=
		`central: http://HOST/push?…: dial tcp HOST: connect: connection refused: nothing listens there: is the store running? else check host and port in url of sinks.central` {
		t.Error(got)
	}
}

// Redirects that would tell somebody else the credentials or the lines are not followed.
func TestRedirectsNotFollowed(t *testing.T) {
	reached := false
	other := testServer(t, func(w http.ResponseWriter, r *http.Request) { reached = true; w.WriteHeader(204) })
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	server := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	headers := &config.Headers{Headers: map[string]config.Header{"X-Api-Key": {Secrets: []config.Secret{"hunter2"}}}}
	for name, cfg := range map[string]config.HTTPClientConfig{
		"follow_redirects is off":               {EnableHTTP2: true},
		"http_headers would go to another host": {FollowRedirects: true, HTTPHeaders: headers},
	} {
		a := testSender(t, Remote{URL: server.URL, HTTP: cfg}).Send(context.Background(), []byte("body"))
		if a.Outcome != pipeline.Failed || a.Code != "307" || !strings.Contains(a.Err.Error(), "not followed") || reached {
			t.Errorf("%s: outcome %d, reached %v: %v", name, a.Outcome, reached, a.Err)
		}
	}
	s := testSender(t, Remote{URL: server.URL, HTTP: config.DefaultHTTPClientConfig})
	if a := s.Send(context.Background(), []byte("body")); a.Outcome != pipeline.Accepted || !reached {
		t.Errorf("another host without secrets: %v", a.Err)
	}

	turns := 0
	circle := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		turns++
		http.Redirect(w, r, "/again", http.StatusPermanentRedirect)
	})
	a := testSender(t, Remote{URL: circle.URL, HTTP: config.DefaultHTTPClientConfig}).Send(context.Background(), []byte("body"))
	if a.Outcome != pipeline.Failed || turns != maxRedirects+1 {
		t.Errorf("a circle of redirects: %d turns, outcome %d: %v", turns, a.Outcome, a.Err)
	}

	s.follow = true
	from, to := &url.URL{Scheme: "https", Host: "loki"}, &url.URL{Scheme: "http", Host: "loki"}
	err := s.redirect(&http.Request{URL: to, Response: &http.Response{StatusCode: 307}}, []*http.Request{{URL: from}})
	if err != http.ErrUseLastResponse {
		t.Errorf("from https to http: %v", err)
	}
}

// A body given back is read by nobody.
func TestLoan(t *testing.T) {
	l := &loan{body: []byte("lines")}
	r := l.reader()
	two := make([]byte, 2)
	if n, err := r.Read(two); n != 2 || err != nil || string(two) != "li" {
		t.Fatal(n, err, two)
	}
	if all, err := io.ReadAll(l.reader()); string(all) != "lines" || err != nil {
		t.Fatal(string(all), err)
	}
	l.end()
	for _, r := range []io.Reader{r, l.reader()} {
		if n, err := r.Read(two); n != 0 || err != errLoanOver {
			t.Error(n, err)
		}
	}
}

// BenchmarkSend is what a request costs beside its bytes, the server's part included.
func BenchmarkSend(b *testing.B) {
	server := testServer(b, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	s := testSender(b, Remote{URL: server.URL})
	body := bytes.Repeat([]byte("x"), 128<<10) // 1 MiB of lines, compressed
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if a := s.Send(context.Background(), body); a.Err != nil {
			b.Fatal(a.Err)
		}
	}
}
