package exporter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// handshakes answers TLS clients. It differs from the exporter toolkit, whose configuration it serves, in two ways.
//
// A client certificate cannot be asked for by path, for the handshake comes before. So it is asked for and verified if
// given; whoever gives none where one is required gets as far as the probes.
//
// When the web config or a certificate is broken by an edit, the toolkit refuses every new connection, and the kubelet
// would restart leatd for it. Here the handshake goes on as it was before; the pages are refused all the same.
type handshakes struct {
	load func(*tls.ClientHelloInfo) (*tls.Config, error) // reads the files
	log  *slog.Logger

	mu      sync.Mutex
	good    handshake // as it last was
	trouble string    // what is wrong with the files, logged once
}

// A handshake is how a client is met.
type handshake struct {
	config   *tls.Config
	mustShow bool // a certificate, to see more than the probes
}

func (h *handshakes) answer(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	now, err := h.config()
	said := ""
	if err != nil {
		said = err.Error()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case said == h.trouble:
	case err != nil:
		h.log.Warn("web config: cannot be used any more; correct it: until then connections are made as before, and "+
			"what is not a probe may be refused", "err", err)
	default:
		h.log.Info("web config: can be used again")
	}
	h.trouble = said
	if err != nil {
		now = h.good
	}
	hello.Conn.(*conn).mustShow.Store(now.mustShow)
	return now.config, nil
}

// config reads the files, and remembers what they say if it is sound.
func (h *handshakes) config() (handshake, error) {
	c, err := h.load(nil)
	if err != nil {
		return handshake{}, err
	}
	// The toolkit would read the certificate again at the end of the handshake, when it may be gone.
	certificate, err := c.GetCertificate(nil)
	if err != nil {
		return handshake{}, err
	}
	c.Certificates, c.GetCertificate = []tls.Certificate{*certificate}, nil
	now := handshake{config: c, mustShow: relax(c)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.good = now
	return now, nil
}

// relax lets clients without a certificate through the handshake, and tells whether they should have shown one.
func relax(c *tls.Config) (mustShow bool) {
	switch c.ClientAuth {
	case tls.RequireAnyClientCert:
		c.ClientAuth = tls.RequestClientCert
	case tls.RequireAndVerifyClientCert:
		c.ClientAuth = tls.VerifyClientCertIfGiven
	default:
		return false
	}
	if verify := c.VerifyPeerCertificate; verify != nil {
		c.VerifyPeerCertificate = func(raw [][]byte, chains [][]*x509.Certificate) error {
			if len(raw) == 0 {
				return nil
			}
			return verify(raw, chains)
		}
	}
	return true
}

// showCertificate refuses who should have shown a certificate at the handshake and did not.
func showCertificate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(connKey{}).(*conn).mustShow.Load() && len(r.TLS.PeerCertificates) == 0 {
			http.Error(w, "a client certificate is required", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A conn remembers what its client was to show at the handshake: the file may say something else by now.
type conn struct {
	net.Conn
	mustShow atomic.Bool
}

type connKey struct{}

// remember makes a request's connection known to its handler.
func remember(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c.(*tls.Conn).NetConn())
}

// conns makes a conn of every connection of a listener.
type conns struct{ net.Listener }

func (l conns) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}
