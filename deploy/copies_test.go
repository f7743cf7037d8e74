package deploy

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write copies and goldens anew")

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: not what it should be; go test -tags e2e ./deploy -update writes it anew. First difference:\n%s", path, difference(got, want))
	}
}

// difference is the first line in which two texts differ.
func difference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			return "missing: " + w[i]
		case i >= len(w):
			return "more: " + g[i]
		case g[i] != w[i]:
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "none"
}

// TestCopies: a chart can only hold what is in its folder, so it has the alerts and dashboards once more.
func TestCopies(t *testing.T) {
	t.Parallel()
	golden(t, "helm/leat/files/alerts.yaml", read(t, "prometheus/alerts.yaml"))
	sources, err := filepath.Glob("grafana/*.json")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, source := range sources {
		golden(t, filepath.Join("helm/leat/files/dashboards", filepath.Base(source)), read(t, source))
	}
	copies, err := filepath.Glob("helm/leat/files/dashboards/*")
	if err != nil || len(copies) != len(sources) {
		t.Errorf("the chart has %q of %q (%v)", copies, sources, err)
	}
}

// TestVersions: chart, image and static pod are of the version that leatd says it is.
func TestVersions(t *testing.T) {
	t.Parallel()
	source := regexp.MustCompile(`(?m)^var version = "(.*)"$`).FindSubmatch(read(t, "../cmd/leatd/main.go"))
	if source == nil {
		t.Fatal("cmd/leatd has no version")
	}
	want := string(source[1])
	if !bytes.Contains(read(t, "helm/leat/Chart.yaml"), []byte("\nappVersion: "+want+"\n")) {
		t.Errorf("Chart.yaml: appVersion is not %s", want)
	}
	if n := bytes.Count(read(t, "static-pod/leat.yaml"), []byte("image: ghcr.io/leatd/leat:"+want+"\n")); n != 2 {
		t.Errorf("static-pod: %d images of version %s, want 2", n, want)
	}
}

// keys are a mapping's, with those below them, joined by dots.
func keys(node map[string]any, prefix string) []string {
	var all []string
	for key, value := range node {
		all = append(all, prefix+key)
		if below, ok := value.(map[string]any); ok {
			all = append(all, keys(below, prefix+key+".")...)
		}
	}
	slices.Sort(all)
	return all
}

// TestSchemaKeys: the values' schema knows the same keys of the configuration as leatd. state is the chart's own matter.
func TestSchemaKeys(t *testing.T) {
	t.Parallel()
	var schema struct {
		Properties struct {
			Config struct {
				Properties map[string]struct{ Properties map[string]any }
			}
		}
	}
	if err := json.Unmarshal(read(t, "helm/leat/values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	known := map[string]any{}
	for key, value := range schema.Properties.Config.Properties {
		if known[key] = any(nil); len(value.Properties) > 0 {
			known[key] = value.Properties
		}
	}
	text := regexp.MustCompile(`(?m)^( *)#(\S|  )`).ReplaceAll(read(t, "leat.yaml"), []byte("$1$2")) // its examples, too
	var config map[string]any
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	if _, ok := config["sinks"].(map[string]any)["central"]; !ok {
		t.Fatal("the examples were not uncommented")
	}
	delete(config, "state")
	for key, value := range config {
		section, ok := value.(map[string]any)
		if !ok {
			continue
		}
		if key == "sinks" || key == "labels" { // names of the user's own
			config[key] = nil
			continue
		}
		for inner := range section {
			section[inner] = nil
		}
	}
	for _, section := range known {
		if section, ok := section.(map[string]any); ok {
			for inner := range section {
				section[inner] = nil
			}
		}
	}
	got, want := keys(known, ""), keys(config, "")
	if !slices.Equal(got, want) {
		t.Errorf("the schema knows\n%q\nand leat.yaml\n%q", got, want)
	}
	if len(want) < 25 {
		t.Errorf("only %d keys: %q", len(want), slices.Sorted(maps.Keys(config)))
	}
}

// TestUnit: systemd finds nothing to say about the unit, and what exposes the service is little.
func TestUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: there is no systemd-analyze: the unit was not checked")
	}
	unit := string(read(t, "systemd/leat.service"))
	const binary = "/usr/local/bin/leatd"
	if strings.Count(unit, "="+binary+" ") != 1 {
		t.Fatalf("the unit does not start %s", binary)
	}
	path := filepath.Join(t.TempDir(), "leat.service")
	// systemd wants what is started to be there.
	if err := os.WriteFile(path, []byte(strings.Replace(unit, binary, "/bin/true", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	// A key that is not known is a warning, and the exit code is 0 all the same.
	if out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=30", path).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
