package servers

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// LokiOptions say what a test wants to be different.
type LokiOptions struct {
	// Dir is where Loki keeps its data, configuration and log. Empty takes a temporary folder, which Stop removes.
	Dir string

	// Limits are entries of limits_config, each with its value as YAML, that are added to or replace the defaults of
	// this package: nothing a test does at full speed meets a rate limit, and what was pushed is what is read back.
	// For example "per_stream_rate_limit": "64KB" and "per_stream_rate_limit_burst": "64KB".
	Limits map[string]string
}

// lokiLimits differ from Loki's own, which make a test's speed or the age of its lines matter. What says how a line or
// a request must look (256 KB a line, 15 labels, 4 MiB a request, ...) is left as users meet it.
var lokiLimits = map[string]string{
	"allow_structured_metadata":   "true",
	"reject_old_samples":          "false",
	"ingestion_rate_mb":           "4096",
	"ingestion_burst_size_mb":     "4096",
	"per_stream_rate_limit":       "4GB",
	"per_stream_rate_limit_burst": "4GB",
	"max_global_streams_per_user": "0",
	"max_entries_limit_per_query": "0",
	"max_query_length":            "0",
	"max_query_lookback":          "0",
	"query_timeout":               "5m",
	"split_queries_by_interval":   "0",
	"discover_log_levels":         "false",            // else a label is added to every line that names a level
	"discover_service_name":       "[]",               // else a label is added to every stream
	"shard_streams":               "{enabled: false}", // else a busy stream is cut in several with a label of their own
}

// lokiConfig says what differs from Loki's defaults. With those it takes 17 s to be ready: 15 s of min_ready_duration, and
// 10 s until the parts have found the query scheduler in a ring. As configured here it takes 0.3 s.
//
//go:embed loki.yaml.tmpl
var lokiConfig string

// A Loki is one running server.
type Loki struct {
	// URL is where it listens, "http://127.0.0.1:PORT". It pushes at /loki/api/v1/push and /otlp/v1/logs.
	URL string

	process *process
	client  *http.Client
}

// StartLoki starts a Loki with no data, and returns when it is ready to store and to answer.
func StartLoki(ctx context.Context, options LokiOptions) (*Loki, error) {
	path, err := loki.binary(ctx)
	if err != nil {
		return nil, err
	}
	for tries := 3; ; tries-- {
		l, err := startLoki(ctx, path, options)
		// Another process can take a port between our look and Loki's.
		if err == nil || tries == 1 || !strings.Contains(err.Error(), errInUse) {
			return l, err
		}
	}
}

func startLoki(ctx context.Context, path string, options LokiOptions) (_ *Loki, err error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, fmt.Errorf("loki: port: %w", err)
	}
	p, err := newProcess("loki", options.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && p.ownDir {
			err = errors.Join(err, os.RemoveAll(p.dir))
		}
	}()
	config := filepath.Join(p.dir, "loki.yaml")
	if err := writeLokiConfig(config, p.dir, ports[0], ports[1], options.Limits); err != nil {
		return nil, fmt.Errorf("loki: configuration: %w", err)
	}
	l := &Loki{
		URL:     fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		process: p,
		client:  &http.Client{Transport: &http.Transport{}},
	}
	args := []string{"-config.file=" + config}
	if err := p.run(ctx, path, args, l.ready); err != nil {
		l.client.CloseIdleConnections()
		return nil, err
	}
	return l, nil
}

func (l *Loki) ready(ctx context.Context) bool {
	_, err := l.get(ctx, "/ready")
	return err == nil
}

// Stop ends the server and waits for it. It is an error if Loki had ended by itself. Calling it again does nothing.
func (l *Loki) Stop() error {
	l.client.CloseIdleConnections()
	return l.process.stop()
}

func (l *Loki) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels") // structured metadata by line, not as labels
	return answerTo(l.client, req)
}

// answerTo returns the body of a 200; any other answer is an error with the server's words.
func answerTo(client *http.Client, req *http.Request) ([]byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &answerError{resp.StatusCode, strings.TrimSpace(string(body))}
	}
	return body, nil
}

// An answerError is an answer other than 200.
type answerError struct {
	code int
	text string
}

func (e *answerError) Error() string { return fmt.Sprintf("answer %d: %s", e.code, e.text) }

func writeLokiConfig(path, dir string, httpPort, grpcPort int, limits map[string]string) error {
	all := maps.Clone(lokiLimits)
	maps.Copy(all, limits)
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	t, err := template.New("loki").Parse(lokiConfig)
	if err != nil {
		return err
	}
	return t.Execute(file, map[string]any{
		"Dir": dir, "HTTP": httpPort, "GRPC": grpcPort, "Limits": all, // a template ranges over a map in order of its keys
	})
}

// freePorts are loopback ports that nobody listens on at this moment.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // only at the end, so that no port is found twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	slices.Sort(ports)
	return ports, nil
}
