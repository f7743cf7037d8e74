package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/config"
)

const (
	connectionLife = 5 * time.Minute
	// An idle connection is closed before a store or a proxy would do it (60 s and more are usual), so that a request
	// does not run into the closing.
	connectionIdle = 50 * time.Second
	tokenTimeout   = 20 * time.Second
)

// connections is a transport that begins anew about every five minutes: the name is looked up again and the load is
// spread again over whatever stands behind it. A request under way keeps its connection; that one dies of idleness.
type connections struct {
	make func() (http.RoundTripper, error)
	now  func() time.Time

	mu       sync.Mutex
	current  http.RoundTripper
	previous http.RoundTripper // requests may still be under way there; an HTTP/2 connection stays when they are over
	until    time.Time
}

func (c *connections) take() (http.RoundTripper, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.current != nil && now.Before(c.until) {
		return c.current, nil
	}
	next, err := c.make()
	if err != nil {
		return nil, err
	}
	closeIdle(c.previous)
	closeIdle(c.current)
	c.previous, c.current = c.current, next
	// Between 80 and 120 %: many nodes that came back at once don't do so again.
	c.until = now.Add(connectionLife*8/10 + rand.N(connectionLife*4/10))
	return next, nil
}

// RoundTrip implements http.RoundTripper.
func (c *connections) RoundTrip(req *http.Request) (*http.Response, error) {
	rt, err := c.take()
	if err != nil {
		req.Body.Close()
		return nil, err
	}
	return rt.RoundTrip(req)
}

// CloseIdleConnections closes all connections that no request uses.
func (c *connections) CloseIdleConnections() {
	c.mu.Lock()
	defer c.mu.Unlock()
	closeIdle(c.previous)
	closeIdle(c.current)
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// newTransport builds what Prometheus' HTTP settings ask for over connections that are renewed. OAuth2 stands outside
// of them, so that a token outlives them.
func newTransport(cfg config.HTTPClientConfig, name string) (http.RoundTripper, *connections, error) {
	oauth := cfg.OAuth2
	cfg.OAuth2 = nil
	c := &connections{now: time.Now}
	c.make = func() (http.RoundTripper, error) {
		return config.NewRoundTripperFromConfig(cfg, name, config.WithIdleConnTimeout(connectionIdle))
	}
	if _, err := c.take(); err != nil { // a file of tls_config that is not there is said at start
		return nil, nil, err
	}
	if oauth == nil {
		return c, c, nil
	}
	secret, err := oauthSecret(oauth)
	if err != nil {
		return nil, nil, err
	}
	tokens := config.WithDialContextFunc(dialForToken)
	return &abandonable{RoundTripper: config.NewOAuth2RoundTripper(secret, oauth, c, tokens)}, c, nil
}

func oauthSecret(o *config.OAuth2) (config.SecretReader, error) {
	text, file, ref := o.ClientSecret, o.ClientSecretFile, o.ClientSecretRef
	if o.GrantType != "" && o.GrantType != "client_credentials" {
		text, file, ref = o.ClientCertificateKey, o.ClientCertificateKeyFile, o.ClientCertificateKeyRef
	}
	switch {
	case ref != "":
		return nil, errors.New("oauth2: references to a secret manager are not supported: use the file setting")
	case file != "":
		return config.NewFileSecret(file), nil
	}
	return config.NewInlineSecret(string(text)), nil
}

// dialForToken gives a connection to the token endpoint an end. Requests for tokens know no context, and one that
// hangs would hold the lock that every request of the sink takes.
func dialForToken(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: tokenTimeout / 2}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(tokenTimeout)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// abandonable returns when the request's context ends, even while its transport waits for a token.
type abandonable struct {
	http.RoundTripper
	running atomic.Int64 // requests, those that were abandoned among them
	closed  atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (a *abandonable) RoundTrip(req *http.Request) (*http.Response, error) {
	type result struct {
		resp *http.Response
		err  error
	}
	ctx := req.Context()
	done := make(chan result) // closed by nobody; the one result is taken or thrown away
	a.running.Add(1)
	go func() {
		resp, err := a.RoundTripper.RoundTrip(req)
		if a.running.Add(-1) == 0 && a.closed.Load() {
			closeIdle(a.RoundTripper)
		}
		select {
		case done <- result{resp, err}:
		case <-ctx.Done():
			if err == nil {
				resp.Body.Close()
			}
		}
	}()
	select {
	case r := <-done:
		return r.resp, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("oauth2: no token yet: %w", ctx.Err())
	}
}

// CloseIdleConnections is for the end. The library's own must not run beside one of its requests, so a request that was
// abandoned does it when it is over.
func (a *abandonable) CloseIdleConnections() {
	a.closed.Store(true)
	if a.running.Load() == 0 {
		closeIdle(a.RoundTripper)
	}
}
