package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// PrometheusOptions say what a test wants to be different.
type PrometheusOptions struct {
	// Dir is where Prometheus keeps its data, configuration and log. Empty takes a temporary folder, which Stop removes.
	Dir string

	// Config is the text of prometheus.yml. Empty scrapes nothing.
	Config string

	// Args are further flags.
	Args []string
}

// A Prometheus is one server, which takes remote write and OTLP.
type Prometheus struct {
	// URL is where it listens, "http://127.0.0.1:PORT". It takes remote write at /api/v1/write and OTLP at
	// /api/v1/otlp/v1/metrics.
	URL string

	program string
	config  string // the file
	args    []string
	process *process
	client  *http.Client
}

// StartPrometheus starts a Prometheus on what the folder holds, and returns when it is ready to store and to answer.
func StartPrometheus(ctx context.Context, options PrometheusOptions) (*Prometheus, error) {
	path, err := prometheus.binary(ctx)
	if err != nil {
		return nil, err
	}
	for tries := 3; ; tries-- {
		p, err := startPrometheus(ctx, path, options)
		// Another process can take a port between our look and that of Prometheus.
		if err == nil || tries == 1 || !strings.Contains(err.Error(), errInUse) {
			return p, err
		}
	}
}

func startPrometheus(ctx context.Context, path string, options PrometheusOptions) (_ *Prometheus, err error) {
	address, err := lastingAddress()
	if err != nil {
		return nil, fmt.Errorf("prometheus: port: %w", err)
	}
	p, err := newProcess("prometheus", options.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && p.ownDir {
			err = errors.Join(err, os.RemoveAll(p.dir))
		}
	}()
	s := &Prometheus{
		URL:     "http://" + address,
		program: path,
		config:  filepath.Join(p.dir, "prometheus.yml"),
		process: p,
		client:  &http.Client{Transport: &http.Transport{}},
	}
	s.args = append([]string{
		"--config.file=" + s.config, "--storage.tsdb.path=" + filepath.Join(p.dir, "data"), "--web.listen-address=" + address,
		"--web.enable-remote-write-receiver", "--web.enable-otlp-receiver", "--web.enable-lifecycle",
	}, options.Args...)
	if err := os.WriteFile(s.config, []byte(options.Config), 0o644); err != nil {
		return nil, fmt.Errorf("prometheus: configuration: %w", err)
	}
	if err := p.run(ctx, path, s.args, s.ready); err != nil {
		s.client.CloseIdleConnections()
		return nil, err
	}
	return s, nil
}

func (s *Prometheus) ready(ctx context.Context) bool {
	_, err := s.get(ctx, "/-/ready")
	return err == nil
}

// Configure gives the server another configuration while it runs, for what cannot be known before it does.
func (s *Prometheus) Configure(ctx context.Context, config string) error {
	if err := os.WriteFile(s.config, []byte(config), 0o644); err != nil {
		return fmt.Errorf("prometheus: configuration: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/-/reload", nil)
	if err == nil {
		_, err = answerTo(s.client, req)
	}
	if err != nil {
		return fmt.Errorf("prometheus: configuration: %w", err)
	}
	return nil
}

// Interrupt ends the server and waits for it, but keeps its folder: the beginning of an outage.
func (s *Prometheus) Interrupt() error {
	s.client.CloseIdleConnections()
	return s.process.end()
}

// Resume starts a server that was interrupted again, with the same folder, flags and port.
func (s *Prometheus) Resume(ctx context.Context) error {
	next, err := newProcess(s.process.name, s.process.dir)
	if err != nil {
		return err
	}
	next.ownDir = s.process.ownDir
	s.process = next
	return next.run(ctx, s.program, s.args, s.ready)
}

// Stop ends the server and waits for it. It is an error if Prometheus had ended by itself. Calling it again does nothing.
func (s *Prometheus) Stop() error {
	s.client.CloseIdleConnections()
	return s.process.stop()
}

// lastingAddress is a loopback address that nobody listens on, and whose port the kernel gives to no outgoing connection
// while the server is away: those come from above (net.ipv4.ip_local_port_range), so it can be had again.
func lastingAddress() (string, error) {
	var err error
	for range 20 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}
