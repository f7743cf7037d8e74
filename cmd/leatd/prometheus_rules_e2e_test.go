//go:build e2e

package main

import (
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/leatd/leat/benchmarks/servers"
)

// TestPromtool: Prometheus' own tool understands the rules, the scrapes and every expression of the dashboard, and its unit
// tests of the alerts pass.
func TestPromtool(t *testing.T) {
	promtool, err := servers.Promtool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t)
	deployed, err := filepath.Abs(filepath.Join(repository, "deploy/prometheus"))
	if err != nil {
		t.Fatal(err)
	}
	alerts, scrapes := filepath.Join(deployed, "alerts.yaml"), filepath.Join(deployed, "scrape.yaml")
	config := h.file("prometheus.yml", "rule_files: ["+alerts+"]\nscrape_config_files: ["+scrapes+"]\n")
	byName := h.file("prometheus-dns.yml", "scrape_config_files: ["+filepath.Join(deployed, "scrape-dns.yaml")+"]\n")

	type rule struct{ Record, Expr string }
	type group struct {
		Name  string
		Rules []rule
	}
	var rules []rule
	exprs := readDashboard(t).expressions()
	for _, where := range slices.Sorted(maps.Keys(exprs)) {
		rules = append(rules, rule{"a", exprs[where]})
	}
	text, err := yaml.Marshal(map[string][]group{"groups": {{"dashboard", rules}}})
	if err != nil {
		t.Fatal(err)
	}
	board := h.file("dashboard.yaml", string(text))

	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", alerts},
		{"check", "config", config},
		{"check", "config", byName},
		{"check", "rules", "--lint=none", board},
		{"test", "rules", filepath.Join(deployed, "alerts_test.yaml")},
	} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "SUCCESS") {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
