package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A dashboard is what the tests look at of one of Grafana's.
type dashboard struct {
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ RefID, Expr string }
}

func readDashboard(t *testing.T) (b dashboard) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "deploy/grafana/leat.json"))
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// grafana puts what Grafana would in the place of variables: all that there is.
var grafana = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h",
	"$cluster", ".*", "$node", ".*", "$sink", ".*", "$namespace", ".*")

// expressions are all that the dashboard asks Prometheus for, by panel.
func (b dashboard) expressions() map[string]string {
	all := map[string]string{}
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			all[p.Title+" "+q.RefID] = grafana.Replace(q.Expr)
		}
	}
	return all
}

// alertExpressions are those of deploy/prometheus/alerts.yaml by the name of the alert.
func alertExpressions(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(repository, "deploy/prometheus/alerts.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s has the severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || len(r.Annotations["description"]) < 100 {
				t.Errorf("%s does not say what to do", r.Alert)
			}
			if all[r.Alert] != "" {
				t.Errorf("there are two alerts %s", r.Alert)
			}
			all[r.Alert] = r.Expr
		}
	}
	return all
}

// TestDashboard: every panel has a place of its own, says what it shows, and asks by variables that there are.
func TestDashboard(t *testing.T) {
	t.Parallel()
	b := readDashboard(t)
	ids, places, variables := map[int]string{}, map[[2]int]string{}, map[string]bool{}
	for _, v := range b.Templating.List {
		variables["$"+v.Name] = true
	}
	for _, p := range b.Panels {
		if other := ids[p.ID]; other != "" || p.ID == 0 {
			t.Errorf("%s has the id %d, and so has %q", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("%s is outside the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := places[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies over %s at %d, %d", p.Title, other, x, y)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s: %d targets, the datasource %q, described as %q", p.Title, len(p.Targets), p.Datasource.UID, p.Description)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] || q.RefID == "" {
				t.Errorf("%s has two targets %q", p.Title, q.RefID)
			}
			refs[q.RefID] = true
			for _, name := range regexp.MustCompile(`\$\w+`).FindAllString(q.Expr, -1) {
				if !variables[name] && !strings.HasPrefix(name, "$__") {
					t.Errorf("%s: there is no variable %s", p.Title, name)
				}
			}
		}
	}
	if len(b.Panels) < 15 || b.SchemaVersion < 39 {
		t.Errorf("%d panels of version %d: what was read?", len(b.Panels), b.SchemaVersion)
	}
}

// TestDeployedMetricsExist: what the alerts and the dashboard stand on is what a leatd with sinks of all kinds shows.
func TestDeployedMetricsExist(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "hello"))
	cfg := h.file("leat.yaml", fmt.Sprintf(`
state: %s
logs: {pods: %s}
metrics: {interval: 1s}
sinks:
  central: {type: http, url: %s}
  local: {type: file}
  pushed: {type: remote_write, url: "http://127.0.0.1:9"}
`, h.state, h.pods, store.URL))
	d := start(t, "--config.file", cfg)
	d.metric(1, "leat_log_delivered_lines_total", "sink=central")
	s := d.metrics()
	d.stop()
	all := alertExpressions(t)
	b := readDashboard(t)
	maps.Copy(all, b.expressions())
	for _, v := range b.Templating.List {
		all["the variable "+v.Name] = v.Definition
	}
	names := map[string]bool{}
	for _, where := range slices.Sorted(maps.Keys(all)) {
		for _, name := range regexp.MustCompile(`\b(?:leat|node|container|process|go)_\w+`).FindAllString(all[where], -1) {
			names[name] = true
			if len(s[name].GetMetric()) == 0 {
				t.Errorf("%s: there is no metric %s", where, name)
			}
		}
	}
	if len(names) < 25 {
		t.Errorf("only %d metrics were found: %v", len(names), slices.Sorted(maps.Keys(names)))
	}
}
