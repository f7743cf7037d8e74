package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/exporter"
)

// sampleAudit is two sinks with every kind of trouble, and more logs than fit on a screen.
func sampleAudit() *exporter.Audit {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	fine := exporter.Balance{
		Read: exporter.Amount{Lines: 1200, Bytes: 98_304}, Delivered: exporter.Amount{Lines: 1200, Bytes: 98_304}, Consistent: true,
	}
	hurt := exporter.Balance{
		Read:      exporter.Amount{Lines: 1_234_567, Bytes: 300_000_000},
		Delivered: exporter.Amount{Lines: 1_234_000, Bytes: 299_900_000},
		Pending:   exporter.Amount{Lines: 500, Bytes: 60_000},
		Dropped:   map[string]exporter.Amount{"too_large": {Lines: 60, Bytes: 30_000}, "bad_request": {Lines: 7, Bytes: 700}, "max_line": {Bytes: 9_300}},
		LostBytes: map[string]int64{"deleted": 1 << 20, "truncated": 512}, Gaps: 2, DoubtfulLines: 120, Consistent: true,
	}
	broken := fine
	broken.Read.Lines, broken.Consistent = 1201, false
	central := exporter.AuditSink{
		Name: "central", SinceStart: hurt,
		Spool: &exporter.AuditSpool{Spooling: true, Bytes: 5 << 20, LimitBytes: 1 << 30},
		Lifetime: exporter.Lifetime{
			Delivered: exporter.Amount{Lines: 9_876_543, Bytes: 1 << 40}, Dropped: exporter.Amount{Lines: 67, Bytes: 40_000}, LostBytes: 1<<20 + 512, Gaps: 3},
		Targets: []exporter.AuditTarget{
			{Namespace: "shop", Pod: "web-6c8b9d5f7-h9wzp", Container: "app", Balance: broken},
			{Namespace: "shop", Pod: "web-0", Container: "app", Balance: hurt, LagSeconds: 7231},
			{Path: "/var/log/\x1b[31mred\nauth.log", Balance: fine, LagSeconds: 2.5},
		},
	}
	archive := exporter.AuditSink{Name: "archive", Up: true, SinceStart: fine, Lifetime: exporter.Lifetime{Delivered: fine.Delivered}}
	for i := range 30 {
		archive.Targets = append(archive.Targets, exporter.AuditTarget{
			Namespace: "load", Pod: fmt.Sprintf("pod-%02d", i), Container: "app", Balance: fine})
	}
	return &exporter.Audit{
		Time: begin.Add(49*time.Hour + 1500*time.Millisecond), Started: begin, Version: "1.2.3", Node: "node-1",
		Sinks: []exporter.AuditSink{archive, central},
	}
}

func TestAuditText(t *testing.T) {
	t.Parallel()
	calm := sampleAudit()
	calm.Sinks = calm.Sinks[:1]
	calm.Sinks[0].Targets = calm.Sinks[0].Targets[:3]
	shop := sampleAudit()
	if err := narrow(shop, "central", "shop"); err != nil {
		t.Fatal(err)
	}
	nothing := &exporter.Audit{Sinks: []exporter.AuditSink{{Name: "local", Up: true, SinceStart: exporter.Balance{Consistent: true}}}}
	for name, c := range map[string]struct {
		*exporter.Audit
		all bool
	}{"worst": {sampleAudit(), false}, "all": {sampleAudit(), true}, "calm": {calm, false}, "narrow": {shop, false}, "nothing": {nothing, false}} {
		c.Judge(false)
		var out bytes.Buffer
		if err := printAudit(&out, c.Audit, c.all); err != nil {
			t.Fatal(err)
		}
		golden(t, "audit-"+name+".txt", out.String())
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(line); n > 81 && !strings.Contains(line, "/") {
				t.Errorf("%s: %d columns for want of a long name: %q", name, n-1, line)
			}
		}
		if strings.ContainsRune(out.String(), '\x1b') {
			t.Errorf("%s: a name can move the cursor", name)
		}
	}
}

func TestShortTime(t *testing.T) {
	for seconds, want := range map[float64]string{0.04: "0.0s", 99.94: "99.9s", 100: "2m", 5999: "100m", 6000: "2h", 360000: "4d", 1e300: "11574d"} {
		if got := shortTime(seconds); got != want {
			t.Errorf("%v s is %q, want %q", seconds, got, want)
		}
	}
}

func TestAuditURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, listen, want string }{
		{"", ":9110", "http://127.0.0.1:9110/audit"},
		{"", "0.0.0.0:1", "http://127.0.0.1:1/audit"},
		{"", "[::]:1", "http://127.0.0.1:1/audit"},
		{"", "[fe80::1]:1", "http://[fe80::1]:1/audit"},
		{"", "node-1:80", "http://node-1:80/audit"},
		{"", "vsock://:80", ""},
		{"https://node-1:9110", ":1", "https://node-1:9110/audit"},
		{"http://proxy/leatd/", ":1", "http://proxy/leatd/audit"},
		{"node-1:9110", ":1", ""},
		{"ftp://node-1", ":1", ""},
		{"http://", ":1", ""},
	} {
		got, err := auditURL(&config.Flags{AuditURL: c.url, ListenAddresses: []string{c.listen}})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("--url %q, listening at %s: %q, %v, want %q", c.url, c.listen, got, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), "--url") {
			t.Errorf("%v: it does not say what to do", err)
		}
	}
}

// TestAuditCannotAsk: whoever answers in leatd's place, the error says what to do, and the exit code is 2.
func TestAuditCannotAsk(t *testing.T) {
	t.Parallel()
	answer := func(code int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	shut := httptest.NewServer(nil)
	shut.Close()
	tls := httptest.NewUnstartedServer(nil)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	bad := filepath.Join(t.TempDir(), "http.yaml")
	if err := os.WriteFile(bad, []byte("basic_auth: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nobody":         {[]string{"--url", shut.URL}, "is leatd running? name its address with --url"},
		"by the flag":    {[]string{"--web.listen-address", strings.TrimPrefix(shut.URL, "http://")}, "is leatd running?"},
		"TLS":            {[]string{"--url", strings.Replace(tls.URL, "https", "http", 1)}, "begin --url with https://"},
		"a strange cert": {[]string{"--url", tls.URL}, "certificate"},
		"a password":     {[]string{"--url", answer(401, "no")}, "basic_auth"},
		"an older leatd": {[]string{"--url", answer(404, "no")}, "as new as this one"},
		"a web page":     {[]string{"--url", answer(200, "<html>")}, "gives no audit"},
		"no address":     {[]string{"--url", "localhost"}, "write http://HOST:PORT"},
		"no such file":   {[]string{"--http.config.file", "/is/not/there"}, "--http.config.file: /is/not/there"},
		"a bad file":     {[]string{"--http.config.file", bad}, "--http.config.file: " + bad},
		"a bad CA":       {[]string{"--http.config.file", badCA(t), "--url", tls.URL}, "--http.config.file"},
		"no such sink":   {[]string{"--url", answer(200, `{"sinks":[{"name":"a"},{"name":"b"}]}`), "--sink", "c"}, "there is no sink c: leatd has a, b"},
	} {
		got := call(t.Context(), append([]string{"audit"}, c.args...)...)
		if got.code != exitBadInput || got.stdout != "" || !strings.Contains(got.stderr, c.says) {
			t.Errorf("%s: %+v, want %q", name, got, c.says)
		}
	}
}

func badCA(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "http.yaml")
	if err := os.WriteFile(path, []byte("tls_config: {ca_file: none.pem}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// FuzzAudit prints what any server may answer: it must not panic, nor move a terminal's cursor.
func FuzzAudit(f *testing.F) {
	sample, err := json.Marshal(sampleAudit())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample, "central", "shop")
	f.Add([]byte(`{"sinks":[{"targets":[{"dropped":{"\u001b[2J":{"lines":-9223372036854775808}},"lag_seconds":-1e308}]}]}`), "", "")
	f.Add([]byte(`{"time":"9999-01-01T00:00:00Z","sinks":[{"name":"\n","spool":{"bytes":-1}}]}`), "", "x")
	f.Fuzz(func(t *testing.T, text []byte, sink, namespace string) {
		a := new(exporter.Audit)
		if json.Unmarshal(text, a) != nil || narrow(a, sink, namespace) != nil {
			return
		}
		a.Judge(false)
		var out bytes.Buffer
		if err := printAudit(&out, a, true); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%q is written of %q", r, text)
			}
		}
	})
}
