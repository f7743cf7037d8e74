package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
)

// Options are what a server is made of. WebConfigFile and Pprof may be left out.
type Options struct {
	Addresses     []string // where to listen, each HOST:PORT or :PORT
	WebConfigFile string   // TLS, client certificates, passwords: what the exporter toolkit knows
	Pprof         bool     // serve /debug/pprof/

	Version  string // for the landing page and the audit
	Node     string // for the audit
	Registry *Registry
	Health   *Health
	Ready    *Ready
	Log      *slog.Logger
}

// drains is how long answers under way may take once the server is to stop.
const drains = 5 * time.Second

// A Server serves /metrics, the probes and the landing page.
type Server struct {
	http      *http.Server
	secure    bool
	listeners []net.Listener
	log       *slog.Logger
}

// Listen checks the web config and takes the ports. The error says which flag to change. Either Serve or Close must follow.
func Listen(o Options) (*Server, error) {
	if err := CheckWebConfig(o.WebConfigFile); err != nil {
		return nil, err
	}
	pages, err := pages(o)
	if err != nil {
		return nil, err
	}
	s := &Server{log: o.Log, http: &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       5 * time.Minute, // longer than most scrape intervals, so that a scraper keeps its connection
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // strangers' broken handshakes
	}}
	guarded := pages
	if o.WebConfigFile != "" {
		if s.secure, err = guard(s.http, o.WebConfigFile, pages, o.Log); err != nil {
			return nil, err
		}
		guarded = s.http.Handler
	}
	mux := http.NewServeMux()
	mux.Handle("/", guarded)
	mux.Handle("GET /-/healthy", o.Health)
	mux.Handle("GET /-/ready", o.Ready)
	s.http.Handler = mux

	for _, address := range o.Addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			s.Close()
			return nil, listenError(address, err)
		}
		if s.secure {
			l = conns{l}
		}
		s.listeners = append(s.listeners, l)
	}
	return s, nil
}

// pages is everything but the probes.
func pages(o Options) (http.Handler, error) {
	config := web.LandingConfig{
		Name:        "leatd",
		Description: "Carries this node's logs and metrics to the stores its owner chose.",
		Version:     o.Version,
		Profiling:   "false",
		Links: []web.LandingLinks{
			{Address: "/metrics", Text: "Metrics", Description: "what was read, delivered, pending, dropped and lost"},
			{Address: "/audit", Text: "Audit", Description: "what became of every line, as JSON; leatd audit prints it"},
			{Address: "/-/healthy", Text: "Healthy", Description: "whether every goroutine goes round"},
			{Address: "/-/ready", Text: "Ready", Description: "whether leatd has begun its work"},
		},
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.InstrumentMetricHandler(o.Registry.own, newMetrics(o.Registry, o.Log)))
	mux.Handle("GET /audit", &auditPage{o.Registry.ledger, o.Version, o.Node, time.Now().UTC()})
	if o.Pprof {
		config.Links = append(config.Links,
			web.LandingLinks{Address: "/debug/pprof/", Text: "Profiles", Description: "of the Go runtime"})
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	landing, err := web.NewLandingPage(config)
	if err != nil {
		return nil, fmt.Errorf("landing page: %w", err)
	}
	mux.Handle("GET /", landing)
	return mux, nil
}

func listenError(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: %w; stop what uses that port, or choose another with --web.listen-address",
			address, syscall.EADDRINUSE)
	}
	return fmt.Errorf("listen on %s: %w; correct --web.listen-address", address, err)
}

// Addrs is where the server listens, in the order of Options.Addresses.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// Close gives the ports of a server back that will not serve.
func (s *Server) Close() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// Serve serves until ctx ends, then lets answers under way end, and breaks off what is left of them after five seconds.
// The error is nil unless a listener failed by itself.
func (s *Server) Serve(ctx context.Context) error {
	defer s.Close()
	failed := make(chan error, len(s.listeners))
	for _, l := range s.listeners {
		s.log.Info("serving /metrics", "address", l.Addr().String(), "tls", s.secure)
		go func() {
			if s.secure {
				failed <- s.http.ServeTLS(l, "", "")
			} else {
				failed <- s.http.Serve(l)
			}
		}()
	}
	var err error
	running := len(s.listeners)
	select {
	case <-ctx.Done():
	case err = <-failed:
		running--
		err = fmt.Errorf("serving /metrics: %w", err)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drains)
	defer cancel()
	if s.http.Shutdown(stop) != nil {
		_ = s.http.Close()
	}
	for range running {
		<-failed
	}
	return err
}
