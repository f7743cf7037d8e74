package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCheck compares all that `leatd check` says, with the host's folder shown as HOST.
func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config string
		logs   map[string]string // below the folder of pods; nil: there is no such folder
		code   int
	}{
		{
			name: "found",
			config: `node: node-1
state: HOST/state
logs:
  pods: HOST/pods
  exclude: ["kube-system/*/*"]
  files:
    - {path: HOST/host/*.log, labels: {job: host}}
sinks:
  central: {type: loki, url: "http://loki:3100"}
  archive: {type: otlp, url: "https://otel.example:4318/v1/logs?token=secret"}
  here: {type: file}
`,
			logs: map[string]string{
				"shop_cart-0_uid/app/0.log":                    strings.Repeat("x", 3000),
				"shop_cart-0_uid/app/0.log.20260101-000000":    strings.Repeat("x", 5<<20),
				"shop_cart-0_uid/app/0.log.20250101-000000.gz": "compressed",
				"shop_cart-0_uid/proxy/2.log":                  "x\n",
				"kube-system_dns-0_uid/dns/0.log":              "left out\n",
				"shop_pod/app/0.log":                           "no pod's\n",
				"../host/auth.log":                             strings.Repeat("x", 2048),
			},
		},
		{name: "missing", config: "node: node-1\nstate: HOST/state\nlogs:\n  pods: HOST/pods\n"},
		{name: "empty", config: "node: node-1\nstate: HOST/state\nlogs:\n  pods: HOST/pods\n", logs: map[string]string{"../state/x": ""}},
		{
			name:   "metrics",
			config: "node: node-1\nstate: HOST/state\nlogs:\n  pods: HOST/pods\nsinks:\n  prom: {type: remote_write, url: \"http://prometheus:9090\"}\n",
			logs:   map[string]string{"shop_cart-0_uid/app/0.log": "nobody wants it\n"},
		},
		{name: "bad", code: exitBadInput, config: `node: node-1
logs:
  pods: HOST/pods
  max_lin: 1MiB
sinks:
  central:
    type: lokki
    url: http://loki:3100
    basic_auth: {username: leat, password: geheim}
`},
		{name: "certificate", code: exitBadInput, config: `node: node-1
state: HOST/state
logs:
  pods: HOST/pods
sinks:
  central: {type: loki, url: "https://loki:3100", tls_config: {ca_file: HOST/no-such-file.pem}}
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			for name, text := range tt.logs {
				h.write(name, text)
			}
			if tt.logs == nil {
				if err := os.Remove(h.pods); err != nil {
					t.Fatal(err)
				}
			}
			cfg := h.file("leat.yaml", strings.ReplaceAll(tt.config, "HOST", h.dir))
			before := tree(t, h.dir)
			got := call(t.Context(), "check", "--config.file", cfg)
			text := "stdout:\n" + got.stdout + "stderr:\n" + got.stderr
			text = spaces.ReplaceAllString(strings.ReplaceAll(text, h.dir, "HOST"), "$1  ") // columns are as wide as HOST is long
			golden(t, "check-"+tt.name+".txt", text)
			if got.code != tt.code {
				t.Errorf("exit code %d, want %d", got.code, tt.code)
			}
			if strings.Contains(text, "secret") || strings.Contains(text, "geheim") {
				t.Error("a secret is shown")
			}
			if after := tree(t, h.dir); after != before {
				t.Errorf("check changes what it looks at:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

var spaces = regexp.MustCompile(`(\S) {2,}`)

// tree lists every file below a folder.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		b.WriteString(path + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestRunWithBadConfiguration: it ends before anything is touched, and shows where the mistake is.
func TestRunWithBadConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	cfg := h.file("leat.yaml", "state: "+h.state+"\nsinks:\n  central: {type: loki, url: \"${LOKI_URL}\"}\n")
	got := call(t.Context(), "--config.file", cfg)
	if got.code != exitBadInput || got.stdout != "" || !strings.Contains(got.stderr, "leat.yaml:3:") ||
		!strings.Contains(got.stderr, "LOKI_URL") || !strings.Contains(got.stderr, "    central: {type: loki") || !strings.Contains(got.stderr, "^") {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(h.state); err == nil {
		t.Error("the folder of state was made")
	}
	got = call(t.Context(), "--config.file", filepath.Join(h.dir, "none.yaml"))
	if got.code != exitBadInput || !strings.Contains(got.stderr, "check --config.file") {
		t.Errorf("without the file: got %+v", got)
	}
}

// TestCheckOfAFile: check looks at a folder of pods that is none, says so, and ends.
func TestCheckOfAFile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	pods := h.file("pods-file", "")
	var out, errs bytes.Buffer
	config := h.file("leat.yaml", "state: "+h.state+"\nlogs: {pods: "+pods+"}\n")
	code := leatd(t.Context(), []string{"check", "--config.file", config}, os.LookupEnv, &out, &errs)
	if code != exitBadInput || !strings.Contains(errs.String(), "logs.pods: "+pods+" is no folder") {
		t.Errorf("exit %d, %s", code, &errs)
	}
}

// TestCheckWebConfig: what --web.config.file names is read by check too.
func TestCheckWebConfig(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	cfg := h.file("leat.yaml", "state: "+h.state+"\nlogs: {pods: "+h.pods+"}\n")
	for text, code := range map[string]int{
		"no_such_key: 1\n": exitBadInput,
		"tls_server_config: {cert_file: none.pem, key_file: none.pem}\n": exitBadInput,
		"http_server_config: {http2: false}\n":                           exitOK,
	} {
		web := h.file("web.yaml", text)
		got := call(t.Context(), "check", "--config.file", cfg, "--web.config.file", web)
		if got.code != code || (code != exitOK) != strings.Contains(got.stderr, "web config: "+web) {
			t.Errorf("%s: exit %d, %s", text, got.code, got.stderr)
		}
	}
}

// TestRootfsMissing: a root that is not there is a mistake of the command line, and not a folder to wait for.
func TestRootfsMissing(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"run", "check"} {
		var out, errs bytes.Buffer
		code := leatd(t.Context(), []string{command, "--state", t.TempDir(), "--path.rootfs", "/is/not/there"}, os.LookupEnv, &out, &errs)
		if code != exitBadInput || !strings.Contains(errs.String(), "--path.rootfs: /is/not/there is no folder") {
			t.Errorf("%s: exit %d, %s", command, code, &errs)
		}
	}
}
