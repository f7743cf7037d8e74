package sinktest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatd/leat/pipeline"
)

// keepAlive checks that requests in a row use one connection, whatever the answers, if these are short.
func (k *Kind) keepAlive(t *testing.T) {
	n := 0
	s := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if n++; n%2 == 0 {
			http.Error(w, strings.Repeat("words ", 5000), http.StatusServiceUnavailable)
			return
		}
		accept(k.Name, w)
	}))
	sink := k.open(t, s.URL, patience)
	body := Encode(t, sink, Lines("again", 100))
	for i := range 20 {
		want := pipeline.Outcome(pipeline.Accepted)
		if i%2 == 1 {
			want = pipeline.Failed
		}
		if a := send(t, context.Background(), sink, body); a.Outcome != want {
			t.Fatalf("request %d: outcome %d, want %d: %v", i, a.Outcome, want, a.Err)
		}
	}
	if s.seen != 1 {
		t.Errorf("20 requests took %d connections, want 1", s.seen)
	}
}

// concurrent checks that several goroutines can send at once, and each gets its own answer.
func (k *Kind) concurrent(t *testing.T) {
	const senders, requests = 8, 20
	r := NewReceiver(k.Name)
	r.Close()
	s := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Content-Length") == "" && req.ContentLength < 0 {
			t.Error("no Content-Length")
		}
		r.ServeHTTP(w, req)
	}))
	sink := k.open(t, s.URL, patience)
	var want []Line
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			for j := range requests {
				lines := Lines(fmt.Sprintf("sender %d request %d", i, j), 10)
				for l := range lines {
					lines[l].Pod = fmt.Sprintf("pod-%d", i)
				}
				body := Encode(t, sink, lines)
				mu.Lock()
				want = append(want, lines...)
				mu.Unlock()
				a := sink.Send(context.Background(), body)
				CheckAnswer(t, a)
				if a.Outcome != pipeline.Accepted {
					t.Errorf("outcome %d: %v", a.Outcome, a.Err)
				}
				clear(body) // it is the encoder's again
			}
		})
	}
	group.Wait()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	compare(t, r.Sources(), want)
}

// cancel checks that a Send ends when its context does, wherever it is.
func (k *Kind) cancel(t *testing.T) {
	arrived := make(chan struct{}, 1)
	s := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	sink := k.open(t, s.URL, time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	if a := send(t, ctx, sink, Encode(t, sink, Lines("cancel", 10))); a.Outcome != pipeline.Failed {
		t.Errorf("outcome %d, want Failed", a.Outcome)
	}
	// and one that has ended already sends nothing
	if a := send(t, ctx, sink, Encode(t, sink, Lines("cancel", 10))); a.Outcome != pipeline.Failed {
		t.Errorf("outcome %d, want Failed", a.Outcome)
	}
	select {
	case <-arrived:
		t.Error("a request was sent after the context had ended")
	default:
	}
}

// bodyIsFree checks that nobody reads the body after Send, for the encoder writes the next one to the same place: the
// race detector looks on while a server answers before it has read anything.
func (k *Kind) bodyIsFree(t *testing.T) {
	s := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	sink := k.open(t, s.URL, patience)
	body := make([]byte, 8<<20)
	for i := range 8 {
		if a := send(t, context.Background(), sink, body); a.Outcome != pipeline.Throttled && a.Outcome != pipeline.Failed {
			t.Errorf("outcome %d", a.Outcome)
		}
		for j := range body {
			body[j] = byte(i)
		}
	}
}

func (k *Kind) nobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	sink := k.open(t, "http://"+address, patience)
	a := send(t, context.Background(), sink, Encode(t, sink, Lines("nobody", 1)))
	if a.Outcome != pipeline.Failed || a.Code != "error" || !strings.Contains(a.Err.Error(), "nothing listens there") {
		t.Errorf("outcome %d, code %q: %v", a.Outcome, a.Code, a.Err)
	}
}

// wrongScheme checks that http for https and the other way round is an operator's mistake to be mended, and never a
// refusal: servers answer it with 400.
func (k *Kind) wrongScheme(t *testing.T) {
	yes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { accept(k.Name, w) })
	for _, c := range []struct {
		name string
		tls  bool
		from string
		to   string
		says string
		cut  bool
	}{
		{"http to https", true, "https://", "http://", "write https://", true},
		{"https to http", false, "http://", "https://", "write http://", false},
		{"unknown authority", true, "https://", "https://", "set ca_file in tls_config", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.tls, yes)
			sink := k.open(t, strings.Replace(s.URL, c.from, c.to, 1), patience)
			a := send(t, context.Background(), sink, Encode(t, sink, Lines("scheme", 1)))
			// A server that hangs up on what it does not understand may cut off its own words.
			told := a.Err != nil && (strings.Contains(a.Err.Error(), c.says) || c.cut && strings.Contains(a.Err.Error(), "closed the connection"))
			if a.Outcome != pipeline.Failed || !told {
				t.Errorf("outcome %d, want Failed and %q: %v", a.Outcome, c.says, a.Err)
			}
		})
	}
}
