package sinks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/config"

	"github.com/leatd/leat/pipeline"
)

// A Remote is a store that is spoken to by HTTP: where it is and how it is asked.
type Remote struct {
	// Name is the sink's name in the configuration; errors begin with it.
	Name string

	// URL is where requests go. Without a path, or with "/" alone, the protocol's own path is added. A user and
	// password in it become basic_auth.
	URL string

	// Tenant is the X-Scope-OrgID header; empty for none.
	Tenant string

	// HTTP holds TLS, credentials, headers and proxy. Its zero value follows no redirect and speaks no HTTP/2: begin
	// with config.DefaultHTTPClientConfig.
	HTTP config.HTTPClientConfig

	// Timeout bounds a request from its first byte to the answer's last; 0 means 30 s.
	Timeout time.Duration

	// Version of leatd, for the User-Agent.
	Version string
}

const (
	defaultTimeout = 30 * time.Second
	maxAnswer      = 64 << 10 // bytes of an answer that are read; the rest costs the connection
	maxRedirects   = 5
)

// A sender posts bodies to one URL and understands the answers. Any number of goroutines may use it at once. It keeps
// no body after send has returned, not even when the transport is still at it.
type sender struct {
	name    string
	shown   string // the URL as it may be written anywhere
	tenant  string
	timeout time.Duration
	accept  acceptance

	request *http.Request // a template; its header is shared by all requests and never written to
	client  http.Client
	conns   *connections
	advice  map[int]string // by status: what an operator shall do, where the usual words don't fit this protocol
	own     []string       // secrets of the configuration, to be kept out of every text
	follow  bool
	headers bool // the configuration adds headers, which may be secrets

	answers sync.Pool // of *bytes.Buffer
}

// newSender makes a sender for bodies of one content type and encoding. ownPath is the protocol's path.
func newSender(r Remote, ownPath, contentType, contentEncoding string, accept acceptance) (*sender, error) {
	u, err := endpoint(r.URL, ownPath)
	if err != nil {
		return nil, fmt.Errorf("%s: url: %w", r.Name, err)
	}
	cfg := r.HTTP
	if u.User != nil {
		if cfg.BasicAuth != nil || cfg.Authorization != nil || cfg.OAuth2 != nil {
			return nil, fmt.Errorf("%s: url: holds a user, and there are credentials beside it: keep one of them", r.Name)
		}
		password, _ := u.User.Password()
		cfg.BasicAuth = &config.BasicAuth{Username: u.User.Username(), Password: config.Secret(password)}
		u.User = nil
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}

	s := &sender{
		name: r.Name, shown: showURL(u), tenant: r.Tenant, accept: accept,
		timeout: r.Timeout, follow: cfg.FollowRedirects,
		headers: cfg.HTTPHeaders != nil && len(cfg.HTTPHeaders.Headers) > 0,
		own:     configSecrets(&cfg, u),
	}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	s.answers.New = func() any { return new(bytes.Buffer) }
	s.request = &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: http.Header{
		"Content-Type": {contentType},
		"User-Agent":   {"leatd/" + r.Version},
	}}
	if contentEncoding != "" {
		s.request.Header.Set("Content-Encoding", contentEncoding)
	}
	if r.Tenant != "" {
		s.request.Header.Set("X-Scope-OrgID", r.Tenant)
	}

	transport, conns, err := newTransport(cfg, r.Name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	s.conns = conns
	s.client = http.Client{Transport: transport, CheckRedirect: s.redirect}
	return s, nil
}

// Send posts one body and waits for the answer, at most for the sink's timeout. It implements pipeline.Sink.
func (s *sender) Send(ctx context.Context, body []byte) pipeline.Answer {
	return s.post(ctx, s.request, body, s.judge)
}

// post is Send with the header of another request, and with a judge of its own for the answer.
func (s *sender) post(ctx context.Context, request *http.Request, body []byte, judge func(*reply) pipeline.Answer) pipeline.Answer {
	timed, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	on := &loan{body: body}
	defer on.end()
	req := request.WithContext(timed)
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return on.reader(), nil }
	req.Body = on.reader()
	if len(body) == 0 {
		req.Body = http.NoBody
	}

	resp, err := s.client.Do(req)
	if err != nil {
		return s.failed(ctx, err)
	}
	defer resp.Body.Close()
	buf := s.answers.Get().(*bytes.Buffer)
	defer s.answers.Put(buf)
	buf.Reset()
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && resp.StatusCode == http.StatusBadRequest && expectsTLS(buf.Bytes()) {
		err = nil // such a server hangs up on what it did not understand; its words are enough
	}
	if err != nil {
		return s.failed(ctx, fmt.Errorf("the answer broke off after %d bytes: %w", n, err))
	}
	return judge(&reply{Response: resp, words: buf.Bytes(), whole: n < maxAnswer})
}

// redirect follows only what repeats the request as it is, and never to where lines or credentials could be read by
// others: 301 to 303 would turn the POST into a GET, and mostly lead to a login page.
func (s *sender) redirect(req *http.Request, via []*http.Request) error {
	code, from := req.Response.StatusCode, via[0].URL
	switch {
	case !s.follow, len(via) > maxRedirects,
		code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect,
		from.Scheme == "https" && req.URL.Scheme != "https",
		s.headers && !strings.EqualFold(from.Hostname(), req.URL.Hostname()): // they would be sent along
		return http.ErrUseLastResponse
	}
	return nil
}

// Where says where lines go, without secrets.
func (s *sender) Where() string {
	if s.tenant != "" {
		return s.shown + ", tenant " + s.tenant
	}
	return s.shown
}

// Close closes the connections. No Send may be under way.
func (s *sender) Close() error {
	s.conns.CloseIdleConnections()
	s.client.CloseIdleConnections()
	return nil
}

// endpoint reads a sink's URL and gives it the protocol's path if it has none of its own. Its errors don't repeat the
// URL, which may hold a password.
func endpoint(raw, ownPath string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case raw == "":
		return nil, fmt.Errorf("is missing: where shall lines go?")
	case err != nil:
		return nil, fmt.Errorf("cannot be read: write it as http://HOST:PORT, with any special characters of a password as %%XX")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("begins with neither http:// nor https://")
	case u.Hostname() == "":
		return nil, fmt.Errorf("names no host")
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" || u.Path == "/" {
		u.Path, u.RawPath = ownPath, ""
	}
	return u, nil
}
