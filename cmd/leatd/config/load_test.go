package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"
)

var update = flag.Bool("update", false, "write the goldens anew")

// secret stands wherever a secret can stand in the tests' files; no error may hold it.
const secret = "hunter2"

func environment(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := pairs[name]; return v, ok }
}

var testEnv = environment(map[string]string{
	"NODE_NAME": "node-1", "RATE": "5MB", "PW": secret, "EMPTY": "", "YES": "true", "BRACES": "{type: console}",
	"BINARY": "\xff", "LINES": secret + "\n" + secret,
})

func TestDefault(t *testing.T) {
	file := Sink{
		Name: "local", Type: "file", Path: "/var/lib/leat/logs", inState: true, MaxBytes: 1 << 30, SegmentBytes: 64 << 20,
		MaxWait: 200 * time.Millisecond, MaxBatch: 1 << 20, MaxShards: 1,
	}
	want := &Config{
		Node: "node-1", State: "/var/lib/leat", MemoryLimit: 64 << 20,
		Logs: Logs{Pods: "/var/log/pods", Start: "beginning", StartMaxAge: 24 * time.Hour, MaxLine: 256 << 10, HoldMaxBytes: 1 << 30, HoldMaxAge: 24 * time.Hour},
		Metrics: Metrics{
			Interval: 15 * time.Second, Node: true, Containers: true, CollectTimeout: 5 * time.Second, Job: "leat",
			LogsBy: "container", LogsMaxSeries: 5000,
		},
		Traces: Traces{Ratio: 1, HTTP: promconfig.DefaultHTTPClientConfig},
		Sinks:  Sinks{file},
	}
	if got := Default(testEnv); !reflect.DeepEqual(got, want) {
		t.Errorf("Default:\n got %#v\nwant %#v", got, want)
	}
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "sinks:\n", "logs: {}\nlabels: ~\n", "\uFEFF"} {
		got, err := Load("leat.yaml", []byte(text), testEnv)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Load(%q): %v\n got %#v\nwant %#v", text, err, got, want)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := Default(environment(nil)).Node; got != host {
		t.Errorf("node without NODE_NAME: %q, want the hostname %q", got, host)
	}
}

// sinkOf loads one sink with its keys.
func sinkOf(t *testing.T, keys string) Sink {
	t.Helper()
	c, err := Load("/etc/leat/leat.yaml", []byte("labels: {cluster: prod}\nsinks: {a: {"+keys+"}}"), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c.Sinks[0]
}

func TestSinkDefaults(t *testing.T) {
	for _, tt := range []struct{ keys, url, compression string }{
		{"type: loki, url: 'http://h:3100'", "http://h:3100/loki/api/v1/push", "snappy"},
		{"type: loki, url: 'http://h:3100/'", "http://h:3100/loki/api/v1/push", "snappy"},
		{"type: loki, url: 'https://h/other'", "https://h/other", "snappy"},
		{"type: otlp, url: 'http://h:4318'", "http://h:4318/v1/logs", "gzip"},
		{"type: http, url: 'http://h?a=b'", "http://h/?a=b", "gzip"},
	} {
		got := sinkOf(t, tt.keys)
		if got.URL.String() != tt.url {
			t.Errorf("%s: url %s, want %s", tt.keys, got.URL, tt.url)
		}
		want := Sink{
			Name: "a", Type: got.Type, URL: got.URL, Compression: tt.compression, Timeout: 30 * time.Second,
			MaxWait: 200 * time.Millisecond, MaxBatch: 1 << 20, MaxShards: 4, Spool: Spool{MaxBytes: 1 << 30, WhenFull: "block"},
			DeadLetter: DeadLetter{MaxBytes: 64 << 20},
			HTTP:       promconfig.HTTPClientConfig{FollowRedirects: true, EnableHTTP2: true},
		}
		if got.Type == TypeLoki {
			want.StreamRate = 3 << 20
		}
		if got.Type == TypeOTLP {
			want.Signals = []string{"logs"}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %#v\nwant %#v", tt.keys, got, want)
		}
	}
	if got, want := sinkOf(t, "type: remote_write, url: 'http://h:9090'"), (Sink{
		Name: "a", Type: "remote_write", URL: sinkOf(t, "type: remote_write, url: 'http://h:9090/api/v1/write'").URL,
		Timeout: 30 * time.Second, Spool: Spool{MaxBytes: 1 << 30, WhenFull: "drop_oldest"},
		HTTP: promconfig.HTTPClientConfig{FollowRedirects: true, EnableHTTP2: true},
	}); !reflect.DeepEqual(got, want) {
		t.Errorf("remote_write:\n got %#v\nwant %#v", got, want)
	}
	if got := sinkOf(t, "type: console"); !reflect.DeepEqual(got, Sink{
		Name: "a", Type: "console", MaxWait: 200 * time.Millisecond, MaxBatch: 1 << 20, MaxShards: 1,
	}) {
		t.Errorf("console: %#v", got)
	}
}

// TestSignals: what a sink is sent, and where.
func TestSignals(t *testing.T) {
	const none = ""
	for _, tt := range []struct{ keys, logs, metrics string }{
		{"type: console", none, none},
		{"type: loki, url: 'http://h'", "http://h/loki/api/v1/push", none},
		{"type: remote_write, url: 'http://h'", none, "http://h/api/v1/write"},
		{"type: otlp, url: 'http://h'", "http://h/v1/logs", none},
		{"type: otlp, url: 'http://h/x', signals: [logs]", "http://h/x", none},
		{"type: otlp, url: 'http://h', signals: [metrics]", none, "http://h/v1/metrics"},
		{"type: otlp, url: 'http://h/api/v1/otlp/v1/metrics', signals: [metrics]", none, "http://h/api/v1/otlp/v1/metrics"},
		{"type: otlp, url: 'http://h', signals: [metrics, logs]", "http://h/v1/logs", "http://h/v1/metrics"},
		{"type: otlp, url: 'http://h/otlp/?k=v', signals: [metrics, logs]", "http://h/otlp/v1/logs?k=v", "http://h/otlp/v1/metrics?k=v"},
	} {
		s := sinkOf(t, tt.keys)
		got := [2]string{}
		if s.TakesLogs() {
			got[0] = s.SignalURL(SignalLogs)
		}
		if s.TakesMetrics() {
			got[1] = s.SignalURL(SignalMetrics)
		}
		if want := [2]string{tt.logs, tt.metrics}; got != want {
			t.Errorf("%s: %q, want %q", tt.keys, got, want)
		}
	}
}

// TestMetricsOnly: without a place where logs are looked for, no sink is made up for them.
func TestMetricsOnly(t *testing.T) {
	c, err := Load("leat.yaml", []byte(`logs: {pods: ""}`), testEnv)
	if err != nil || len(c.Sinks) != 0 || c.ReadsLogs() {
		t.Errorf("%v, %v", c, err)
	}
}

func TestLoad(t *testing.T) {
	const path = "/etc/leat/leat.yaml"
	for _, tt := range []struct {
		name, text string
		get        func(c *Config) any
		want       any
	}{
		{"node", "node: n", func(c *Config) any { return c.Node }, "n"},
		{"empty node", `node: ""`, func(c *Config) any { return c.Node }, "node-1"},
		{"labels keep their text", "labels: {version: 1.10, on: yes, n: 007, d: 2024-01-02}", func(c *Config) any { return c.Labels },
			map[string]string{"version": "1.10", "on": "yes", "n": "007", "d": "2024-01-02"}},
		{"no pods", `logs: {pods: ""}`, func(c *Config) any { return c.Logs.Pods }, ""},
		{"sizes", "memory_limit: 134217728\nlogs: {max_line: 64KB}", func(c *Config) any { return []Size{c.MemoryLimit, c.Logs.MaxLine} }, []Size{128 * MiB, 64000}},
		{"durations", "logs: {start: end, start_max_age: 1h30m}", func(c *Config) any { return c.Logs.StartMaxAge }, 90 * time.Minute},
		{"a lasting age", "logs: {start_max_age: 100y}", func(c *Config) any { return c.Logs.StartMaxAge }, 100 * 365 * 24 * time.Hour},
		{"files", "logs: {files: [{path: /var/log/*.log, labels: {job: a}}]}", func(c *Config) any { return c.Logs.Files },
			[]File{{Path: "/var/log/*.log", Labels: map[string]string{"job": "a"}}}},
		{"typed from the environment", "sinks:\n  a:\n    type: console\n    max_rate: ${RATE}\n    record_id: ${YES}", func(c *Config) any {
			return []any{c.Sinks[0].MaxRate, c.Sinks[0].RecordID}
		}, []any{Size(5e6), true}},
		{"an empty variable is an empty value", "memory_limit: ${EMPTY}\nstate: x${EMPTY}", func(c *Config) any { return []any{c.MemoryLimit, c.State} }, []any{64 * MiB, "x"}},
		{"no YAML from the environment", "labels:\n  a: ${BRACES}\n  b: $$${PW}$$x$y", func(c *Config) any { return c.Labels },
			map[string]string{"a": "{type: console}", "b": "$hunter2$x$y"}},
		{"sinks are sorted", "sinks: {b: {type: console}, a: {type: console}}", func(c *Config) any { return c.Sinks[0].Name + c.Sinks[1].Name }, "ab"},
		{"paths count from the file", "sinks: {a: {type: otlp, url: 'http://h', basic_auth: {password_file: pw}, tls_config: {ca_file: ca.pem}}}", func(c *Config) any {
			return []string{c.Sinks[0].HTTP.BasicAuth.PasswordFile, c.Sinks[0].HTTP.TLSConfig.CAFile}
		}, []string{"/etc/leat/pw", "/etc/leat/ca.pem"}},
		{"an older way", "sinks: {a: {type: otlp, url: 'http://h', bearer_token: '${PW}'}}", func(c *Config) any { return *c.Sinks[0].HTTP.Authorization },
			promconfig.Authorization{Type: "Bearer", Credentials: secret}},
		{"headers", "sinks: {a: {type: otlp, url: 'http://h', http_headers: {X-A: {secrets: ['${PW}'], values: [b]}}}}", func(c *Config) any { return c.Sinks[0].HTTP.HTTPHeaders.Headers },
			map[string]promconfig.Header{"X-A": {Secrets: []promconfig.Secret{secret}, Values: []string{"b"}}}},
		{"tls", "sinks: {a: {type: otlp, url: 'https://h', enable_http2: false, tls_config: {min_version: TLS13}}}", func(c *Config) any {
			return []any{c.Sinks[0].HTTP.EnableHTTP2, c.Sinks[0].HTTP.FollowRedirects, c.Sinks[0].HTTP.TLSConfig.MinVersion}
		}, []any{false, true, promconfig.TLSVersions["TLS13"]}},
		{"a proxy with a password", "sinks: {a: {type: otlp, url: 'https://h', proxy_url: 'socks5://u:p@h:1'}}", func(c *Config) any { return c.Sinks[0].HTTP.ProxyURL.String() }, "socks5://u:p@h:1"},
		{"claims", "sinks:\n  a:\n    type: otlp\n    url: https://h\n    oauth2:\n      client_id: c\n      token_url: http://t\n      claims:\n        n: 5\n        l: [a, {b: true}]\n        s: ${RATE}\n        y: '${YES}'\n        z: ${YES}", func(c *Config) any {
			return c.Sinks[0].HTTP.OAuth2.Claims
		}, map[string]any{"n": 5, "l": []any{"a", map[string]any{"b": true}}, "s": "5MB", "y": "true", "z": true}},
		{"traces", "traces: {url: 'http://tempo:4318', ratio: 0.25, tls_config: {ca_file: ca.pem}}", func(c *Config) any {
			return []any{c.Traces.URL.String(), c.Traces.Ratio, c.Traces.HTTP.TLSConfig.CAFile}
		}, []any{"http://tempo:4318/v1/traces", 0.25, "/etc/leat/ca.pem"}},
		{"loki fields", "labels: {cluster: c}\nsinks: {a: {type: loki, url: 'https://h', labels: [namespace, cluster], structured_metadata: [pod, restart_count]}}", func(c *Config) any {
			return [][]string{c.Sinks[0].Labels, c.Sinks[0].StructuredMetadata}
		}, [][]string{{"namespace", "cluster"}, {"pod", "restart_count"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load(path, []byte(tt.text), testEnv)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.get(c); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
		})
	}
}

func TestSetState(t *testing.T) {
	c, err := Load("x", []byte("state: /a\nsinks: {own: {type: file, path: /b}, in: {type: file}}"), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{c.State, c.Sinks[0].Path, c.Sinks[1].Path}; !reflect.DeepEqual(got, []string{"/a", "/a/logs", "/b"}) {
		t.Errorf("before: %q", got)
	}
	c.SetState("/c")
	if got := []string{c.State, c.Sinks[0].Path, c.Sinks[1].Path}; !reflect.DeepEqual(got, []string{"/c", "/c/logs", "/b"}) {
		t.Errorf("after: %q", got)
	}
}

// TestBad compares the whole errors of testdata/bad/*.yaml with the .txt beside each.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Load("leat.yaml", data, testEnv)
			if err == nil {
				t.Fatalf("no error, but %v", c)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if got := err.Error() + "\n"; got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			checkError(t, err)
			if strings.Contains(err.Error(), secret) {
				t.Error("a secret was printed")
			}
		})
	}
}

var (
	errorHead = regexp.MustCompile(`^leat\.yaml:(\d+):(\d+): [^ ]`)
	errorTail = regexp.MustCompile(`^and \d+ more$`)
)

// checkError checks the form: a place and what is wrong, a line, a caret; and so on.
func checkError(t *testing.T, err error) {
	t.Helper()
	lines := strings.Split(err.Error(), "\n")
	for i := 0; i < len(lines); i += 3 {
		if errorTail.MatchString(lines[i]) && i == 3*maxProblems && i == len(lines)-1 {
			return
		}
		if i+2 >= len(lines) || !errorHead.MatchString(lines[i]) || !strings.HasPrefix(lines[i+1], "    ") || !strings.HasPrefix(lines[i+2], "    ") || strings.TrimLeft(lines[i+2], " ") != "^" {
			t.Fatalf("line %d of the error is not of the form PLACE: TEXT, line, caret:\n%s", i+1, err)
		}
	}
}
