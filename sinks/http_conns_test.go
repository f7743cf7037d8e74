package sinks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/config"
	"go.uber.org/goleak"

	"github.com/leatd/leat/pipeline"
)

// After about five minutes requests go over new connections; the old ones don't stay.
func TestConnectionsAreRenewed(t *testing.T) {
	t.Run("HTTP/1.1", func(t *testing.T) { testRenewal(t, false) })
	t.Run("HTTP/2", func(t *testing.T) { testRenewal(t, true) })
}

func testRenewal(t *testing.T, http2 bool) {
	leaks := goleak.IgnoreCurrent()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) == "wait" {
			arrived <- struct{}{}
			<-goOn
		}
		if r.ProtoMajor == 2 != http2 {
			t.Errorf("protocol is %s", r.Proto)
		}
		w.WriteHeader(204)
	}))
	var fresh, open atomic.Int64
	server.Config.ConnState = connCounter(&fresh, &open)
	remote := Remote{HTTP: config.DefaultHTTPClientConfig}
	if http2 {
		remote.HTTP.TLSConfig.InsecureSkipVerify = true
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	remote.URL = server.URL
	s := testSender(t, remote)
	now := time.Now()
	s.conns.now = func() time.Time { return now }
	ask := func(want int64) {
		t.Helper()
		if a := s.Send(context.Background(), []byte("body")); a.Err != nil {
			t.Fatal(a.Err)
		}
		if fresh.Load() != want {
			t.Errorf("%d connections so far, want %d", fresh.Load(), want)
		}
	}
	ask(1)
	now = now.Add(3 * time.Minute)
	ask(1)
	now = now.Add(4 * time.Minute)
	ask(2)
	ask(2)
	now = now.Add(4*time.Minute - 2*time.Second)
	ask(2)
	now = now.Add(3 * time.Minute)
	ask(3)
	// a request under way keeps its connection, and Close finds that one, too
	done := make(chan pipeline.Answer)
	go func() { done <- s.Send(context.Background(), []byte("wait")) }()
	<-arrived
	now = now.Add(7 * time.Minute)
	ask(4)
	goOn <- struct{}{}
	if a := <-done; a.Err != nil {
		t.Error(a.Err)
	}
	ask(4)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		s.Close() // an HTTP/2 stream that has just ended may count as in use a moment longer
		if open.Load() == 0 {
			break
		}
		<-time.After(time.Millisecond)
	}
	if n := open.Load(); n != 0 {
		t.Errorf("%d connections are open after Close", n)
	}
	server.Close()
	goleak.VerifyNone(t, leaks)
}

func TestConnectionsLiveWithJitter(t *testing.T) {
	s := testSender(t, Remote{URL: "http://loki"})
	now := time.Now()
	s.conns.now = func() time.Time { return now }
	lives := map[time.Duration]bool{}
	for range 100 {
		now = now.Add(time.Hour)
		if _, err := s.conns.take(); err != nil {
			t.Fatal(err)
		}
		life := s.conns.until.Sub(now)
		lives[life] = true
		if life < 4*time.Minute || life >= 6*time.Minute {
			t.Errorf("connections live %s", life)
		}
	}
	if len(lives) < 90 {
		t.Errorf("100 lives of %d lengths: no jitter", len(lives))
	}
}

// OAuth2: the token outlives the connections, its secret file is read, a token endpoint that hangs holds up nobody for
// longer than the request's time, and what it says about our secret stays out of the complaint.
func TestOAuth2(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	var tokens atomic.Int64
	var hang atomic.Bool
	released := make(chan struct{})
	issuer := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if hang.Load() {
			<-released
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}`, tokens.Add(1))
	})
	store := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Header.Get("Authorization") != "Bearer token-1" {
			http.Error(w, "what is "+r.Header.Get("Authorization"), http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	remote := Remote{URL: store.URL, Timeout: 10 * time.Second, HTTP: config.HTTPClientConfig{OAuth2: &config.OAuth2{
		ClientID: "agent", ClientSecretFile: secret, TokenURL: issuer.URL}}}
	s := testSender(t, remote)
	now := time.Now()
	s.conns.now = func() time.Time { return now }
	for range 3 {
		if a := s.Send(context.Background(), []byte("body")); a.Outcome != pipeline.Accepted {
			t.Fatal(a.Err)
		}
		now = now.Add(time.Hour)
	}
	if n := tokens.Load(); n != 1 {
		t.Errorf("%d tokens were fetched, want 1", n)
	}

	second := testSender(t, remote)
	a := second.Send(context.Background(), []byte("body"))
	if a.Outcome != pipeline.Failed || a.Code != "401" || strings.Contains(a.Err.Error(), "token-2") {
		t.Errorf("outcome %d, code %s: %v", a.Outcome, a.Code, a.Err)
	}

	hang.Store(true)
	remote.Timeout = 50 * time.Millisecond
	third := testSender(t, remote)
	begin := time.Now()
	a = third.Send(context.Background(), []byte("body"))
	if a.Outcome != pipeline.Failed || time.Since(begin) > 5*time.Second {
		t.Errorf("after %s: outcome %d: %v", time.Since(begin), a.Outcome, a.Err)
	}
	close(released)
}

func connCounter(fresh, open *atomic.Int64) func(c net.Conn, s http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			fresh.Add(1)
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
}
