package exporter

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func options() Options {
	return Options{
		Addresses: []string{"127.0.0.1:0"}, Version: "1.2.3", Log: discard(),
		Registry: NewRegistry("1.2.3", "abc", ledgerOf(ByContainer, workload(time.Now())...)),
		Health:   new(Health), Ready: NewReady(),
	}
}

// serve runs a server until the test ends, and checks that it stops.
func serve(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func TestPages(t *testing.T) {
	for _, profiles := range []bool{false, true} {
		o := options()
		o.Addresses = append(o.Addresses, "127.0.0.1:0")
		o.Pprof = profiles
		s := serve(t, o)
		if len(s.Addrs()) != 2 {
			t.Fatalf("listens on %v", s.Addrs())
		}
		for _, addr := range s.Addrs() {
			for path, want := range map[string]struct {
				code int
				has  string
			}{
				"/":                        {200, `<a href="/metrics">`},
				"/metrics":                 {200, "\nleat_sink_up{"},
				"/-/healthy":               {200, "leatd is healthy.\n"},
				"/-/ready":                 {200, "leatd is ready.\n"},
				"/nothing":                 {404, ""},
				"/metrics/":                {404, ""},
				"/debug/pprof/":            {map[bool]int{false: 404, true: 200}[profiles], ""},
				"/debug/pprof/heap":        {map[bool]int{false: 404, true: 200}[profiles], ""},
				"/debug/pprof/cmdline":     {map[bool]int{false: 404, true: 200}[profiles], ""},
				"/-/healthy/../../metrics": {200, "\nleat_sink_up{"},
			} {
				resp, err := http.Get("http://" + addr.String() + path)
				if err != nil {
					t.Fatal(err)
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != want.code || !strings.Contains(string(b), want.has) {
					t.Errorf("%s: %d %.300s", path, resp.StatusCode, b)
				}
				if path == "/" && (strings.Contains(string(b), "http://") || strings.Contains(string(b), "https://") ||
					!strings.Contains(string(b), "1.2.3") || strings.Contains(string(b), `href="/debug/pprof/"`) != profiles) {
					t.Errorf("landing page: %s", b)
				}
			}
		}
		http.DefaultClient.CloseIdleConnections()
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	for _, c := range []struct {
		name   string
		change func(*Options)
		says   []string
	}{
		{"port in use", func(o *Options) { o.Addresses = append(o.Addresses, taken.Addr().String()) },
			[]string{taken.Addr().String(), "address already in use", "--web.listen-address"}},
		{"no address", func(o *Options) { o.Addresses = []string{"9110"} }, []string{"9110", "--web.listen-address"}},
		{"no web config", func(o *Options) { o.WebConfigFile = filepath.Join(dir, "none.yml") },
			[]string{"none.yml", "no such file", "--web.config.file"}},
		{"bad web config", func(o *Options) { o.WebConfigFile = write(t, filepath.Join(dir, "bad.yml"), []byte("basic_auth: x")) },
			[]string{"bad.yml", "basic_auth", "--web.config.file"}},
		{"no certificate", func(o *Options) {
			o.WebConfigFile = write(t, filepath.Join(dir, "tls.yml"), []byte("tls_server_config:\n  cert_file: c\n  key_file: k\n"))
		}, []string{"tls.yml", "--web.config.file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options()
			c.change(&o)
			s, err := Listen(o)
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			t.Log(err)
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("no %q in: %v", s, err)
				}
			}
		})
	}
	// A failed Listen gives back what it took: the same ports can be had again.
	o := options()
	first, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	free := first.Addrs()[0].String()
	first.Close()
	o.Addresses = []string{free, taken.Addr().String()}
	if _, err := Listen(o); err == nil {
		t.Fatal("no error")
	}
	o.Addresses = []string{free}
	again, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestStopLetsAnswersEnd stops the server while a scrape is under way: the client gets all of it.
func TestStopLetsAnswersEnd(t *testing.T) {
	o := options()
	slow := &slowCollector{entered: make(chan struct{}), leave: make(chan struct{})}
	o.Registry.MustRegister(slow)
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(ctx) }()
	type answer struct {
		code int
		body string
	}
	answers := make(chan answer, 1)
	url := "http://" + s.Addrs()[0].String() + "/metrics"
	go func() {
		code, body := visitor{}.visit(t, url)
		answers <- answer{code, body}
	}()
	<-slow.entered
	stop()
	for deadline := time.Now().Add(10 * time.Second); ; { // until the port is closed: the server is stopping
		c, err := net.Dial("tcp", s.Addrs()[0].String())
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("it still takes connections")
		}
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with an answer under way: %v", err)
	default:
	}
	close(slow.leave)
	if a := <-answers; a.code != 200 || !strings.Contains(a.body, "leat_sink_up{") {
		t.Errorf("%d %.200s", a.code, a.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if code, _ := (visitor{}).visit(t, url); code != 0 {
		t.Errorf("it still answers: %d", code)
	}
}

// TestListenerFails takes a listener away from a server: that is an error, and it stops.
func TestListenerFails(t *testing.T) {
	s, err := Listen(options())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "serving /metrics") {
		t.Errorf("Serve: %v", err)
	}
}

// TestHead: who only asks whether there is a page gets its head, and who scrapes is counted as promhttp counts.
func TestHead(t *testing.T) {
	s := serve(t, options())
	defer http.DefaultClient.CloseIdleConnections()
	url := "http://" + s.Addrs()[0].String() + "/metrics"
	resp, err := http.Head(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if code, body := (visitor{}).visit(t, url+"?collect[]=cpu"); code != 400 {
		t.Errorf("%d %s", code, body)
	}
	_, body := visitor{}.visit(t, url)
	got := samples(t, body)
	for key, want := range map[string]float64{
		`promhttp_metric_handler_requests_total{code="200"}`: 1, `promhttp_metric_handler_requests_total{code="400"}`: 1,
		`promhttp_metric_handler_requests_total{code="503"}`: 0, `promhttp_metric_handler_requests_in_flight`: 1,
		`promhttp_metric_handler_errors_total{cause="gathering"}`: 0, `promhttp_metric_handler_errors_total{cause="encoding"}`: 0,
	} {
		if v, there := got[key]; !there || v != want {
			t.Errorf("%s is %v (%v), want %v", key, v, there, want)
		}
	}
}
