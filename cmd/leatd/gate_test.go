package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// An ailment is why a store does not take lines.
type ailment string

const (
	well    ailment = ""
	refused ailment = "connection refused" // nothing listens at its address
	busy    ailment = "503"
	hole    ailment = "black hole" // accepts connections and requests, and never answers
	grudge  ailment = "400"        // refuses everything for good
)

// A gate is the address of a depot that can be made to fail and to get well again.
type gate struct {
	*depot
	URL string

	address string
	place   int          // a socket that keeps the port for the gate while nothing listens there
	server  *http.Server // nil while nothing listens; turn's alone
	serving sync.WaitGroup

	mu      sync.Mutex
	ailment ailment
	mended  chan struct{} // closed when it is well again

	swallowed atomic.Int64 // lines that were stored and never answered for
}

// newGate makes a gate in front of a new depot.
func newGate(t *testing.T, kind string) *gate {
	g := &gate{depot: newDepot(t, kind), mended: make(chan struct{})}
	g.keep, g.torn = false, true
	var err error
	if g.place, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
		t.Cleanup(func() { unix.Close(g.place) })
		err = errors.Join(
			unix.SetsockoptInt(g.place, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), // net.Listen sets it, too: so both get the port
			unix.Bind(g.place, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	}
	var at unix.Sockaddr
	if err == nil {
		at, err = unix.Getsockname(g.place)
	}
	if err != nil {
		t.Fatal(err)
	}
	g.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*unix.SockaddrInet4).Port))
	g.URL = "http://" + g.address
	g.turn(well)
	t.Cleanup(func() {
		g.turn(refused)
		g.serving.Wait()
	})
	return g
}

// turn makes the store ill or well. What it is at gets its answer first, so that no line comes twice for that reason.
func (g *gate) turn(a ailment) {
	g.mu.Lock()
	if g.ailment != well {
		close(g.mended)
		g.mended = make(chan struct{})
	}
	g.ailment = a
	g.mu.Unlock()
	switch {
	case a == refused && g.server != nil:
		if err := g.server.Shutdown(context.Background()); err != nil {
			g.t.Error(err)
		}
		g.server = nil
	case a != refused && g.server == nil:
		l, err := net.Listen("tcp", g.address)
		if err != nil {
			g.t.Fatal(err)
		}
		s := &http.Server{Handler: g}
		g.server = s
		g.serving.Go(func() { _ = s.Serve(l) }) // until it is shut
	}
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	a, mended := g.ailment, g.mended
	g.mu.Unlock()
	switch a {
	case busy:
		http.Error(w, "not ready", http.StatusServiceUnavailable)
	case grudge:
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(w, "no", http.StatusBadRequest)
	case hole:
		g.swallowed.Add(g.swallow(r))
		<-mended
		panic(http.ErrAbortHandler)
	default:
		g.Receiver.ServeHTTP(w, r)
	}
}
