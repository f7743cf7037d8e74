//go:build e2e

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func startTestPrometheus(t *testing.T, options PrometheusOptions) *Prometheus {
	t.Helper()
	p, err := StartPrometheus(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestPrometheus takes a sample by OTLP, keeps it over an outage, and scrapes itself when it is told to.
func TestPrometheus(t *testing.T) {
	p := startTestPrometheus(t, PrometheusOptions{Dir: t.TempDir(), Config: "global: {external_labels: {a: b}}\n"})
	at := time.Now()
	body := fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"water","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":0.5}]}}]}]}]}`,
		at.UnixNano())
	if code, text := post(t, p.URL+"/api/v1/otlp/v1/metrics", "application/json", []byte(body)); code != 200 {
		t.Fatalf("answer %d %s", code, text)
	}
	// A body that is no message says that there is a receiver: without one the answer is 404.
	if code, text := post(t, p.URL+"/api/v1/write", "application/x-protobuf", []byte("no message")); code != 400 {
		t.Errorf("answer %d %s to what is no remote write", code, text)
	}
	stored := func() {
		t.Helper()
		got, err := p.Query(t.Context(), "water[1m]", at.Add(time.Second))
		if err != nil || len(got) != 1 || len(got[0].Samples) != 1 || got[0].Samples[0] != (Sample{at.UnixMilli(), 0.5}) {
			t.Errorf("%v, %v; want one sample of 0.5 at %d", got, err, at.UnixMilli())
		}
	}
	stored()
	for range 2 {
		if err := p.Interrupt(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Query(t.Context(), "water", at); err == nil {
		t.Error("it answers while it is interrupted")
	}
	url := p.URL
	if err := p.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.URL != url {
		t.Errorf("it is at %s, and was at %s", p.URL, url)
	}
	stored()

	err := p.Configure(t.Context(), "sources: []\n")
	if err == nil || !strings.Contains(err.Error(), "field sources not found") {
		t.Errorf("error %v, want that of Prometheus", err)
	}
	self := fmt.Sprintf("scrape_configs: [{job_name: self, scrape_interval: 100ms, static_configs: [{targets: [%q]}]}]\n", strings.TrimPrefix(url, "http://"))
	if err := p.Configure(t.Context(), self); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(startTime); ; time.Sleep(askEvery) {
		got, err := p.Query(t.Context(), `up{job="self"}`, time.Now())
		if err == nil && len(got) == 1 && got[0].Samples[0].Value == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not scrape itself: %v, %v", got, err)
		}
	}
}

func TestPrometheusThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	_, err := StartPrometheus(t.Context(), PrometheusOptions{Dir: dir, Config: "sources: []\n"})
	if err == nil || !strings.Contains(err.Error(), "field sources not found") {
		t.Errorf("error %v, want that of Prometheus", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "prometheus.log")); err != nil {
		t.Errorf("no log is left in a folder that is the test's own: %v", err)
	}
}

func TestPromtool(t *testing.T) {
	promtool, err := Promtool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	for expr, want := range map[string]bool{"up == 0": true, "up ==": false} {
		write(t, path, "groups: [{name: a, rules: [{alert: A, expr: '"+expr+"'}]}]\n")
		out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", path).CombinedOutput()
		if (err == nil) != want {
			t.Errorf("%s: %v\n%s", expr, err, out)
		}
	}
}
