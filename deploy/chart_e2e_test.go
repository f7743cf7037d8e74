//go:build e2e

package deploy

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const chart = "helm/leat"

// TestRender: whole outputs for the interesting values, each of which leatd itself then checks.
func TestRender(t *testing.T) {
	sets, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	leatd := filepath.Join(t.TempDir(), "leatd")
	if out, err := exec.Command("go", "build", "-o", leatd, "../cmd/leatd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rendered := 0
	for _, values := range sets {
		name := strings.TrimSuffix(filepath.Base(values), ".yaml")
		if strings.HasSuffix(name, ".golden") {
			continue
		}
		rendered++
		t.Run(name, func(t *testing.T) {
			if out, err := helm(t, "lint", chart, "--strict", "--values", values); err != nil {
				t.Errorf("helm lint: %s%v", out, err)
			}
			text := render(t, "--values", values)
			golden(t, filepath.Join("testdata", name+".golden.yaml"), []byte(text))
			acceptable(t, leatd, text)
		})
	}
	if rendered < 5 {
		t.Errorf("only %d sets of values", rendered)
	}
}

// acceptable gives flags and configuration of what was rendered to `leatd check`, on a host with nothing on it.
func acceptable(t *testing.T, leatd, text string) {
	t.Helper()
	host, secrets := t.TempDir(), t.TempDir()
	for _, o := range objects(t, text) {
		if o["kind"] != "DaemonSet" {
			continue
		}
		var config, web string
		for _, c := range objects(t, text) {
			switch name := o.at(t, "metadata", "name").(string); {
			case c["kind"] == "ConfigMap" && c.at(t, "metadata", "name") == name:
				config = c.at(t, "data", "leat.yaml").(string)
			case c["kind"] == "Secret" && c.at(t, "metadata", "name") == name+"-web":
				web = c.at(t, "stringData", "web.yaml").(string)
			}
		}
		cert, key := certificate(t)
		folder := t.TempDir()
		file, webFile := filepath.Join(folder, "leat.yaml"), filepath.Join(folder, "web.yaml")
		for path, text := range map[string]string{
			filepath.Join(secrets, "loki", "password"): "x", filepath.Join(secrets, "tls", "tls.crt"): cert, filepath.Join(secrets, "tls", "tls.key"): key,
			file: strings.ReplaceAll(config, "/secrets", secrets), webFile: strings.ReplaceAll(web, "/secrets", secrets),
		} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		for _, container := range []any{o.at(t, "spec", "template", "spec", "containers", 0), check(t, o)} {
			c := object(container.(map[string]any))
			args := []string{"check"}
			for _, arg := range c.at(t, "args").([]any) {
				if arg == "check" {
					continue
				}
				args = append(args, strings.NewReplacer("/etc/leat/leat.yaml", file, "/etc/leat-web/web.yaml", webFile, "/host", host).Replace(arg.(string)))
			}
			cmd := exec.Command(leatd, args...)
			cmd.Env = append(os.Environ(), "TENANT=prod")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("leatd %q: %v\n%s\nof\n%s", args, err, out, config)
			}
		}
	}
}

// certificate is one for TLS that nobody has signed, and its key, as PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	c := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// check is the last init container of the DaemonSet, which checks the configuration.
func check(t *testing.T, daemonSet object) any {
	t.Helper()
	inits := daemonSet.at(t, "spec", "template", "spec", "initContainers").([]any)
	return inits[len(inits)-1]
}

// TestRefused: what can't work is refused before a cluster sees it, in words that say where it is.
func TestRefused(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"config.sinks.central.type=lokki":                       "'/config/sinks/central/type': value must be one of 'loki', 'otlp'",
		"config.sinks.central.type=loki":                        "'/config/sinks/central': missing property 'url'",
		"config.sinks.central.url=http://loki":                  "'/config/sinks/central': missing property 'type'",
		"config.sinks.x.type=loki,config.sinks.x.url=loki:3100": "'/config/sinks/x/url': 'loki:3100' does not match",
		"config.logs.max_line=12XB":                             "'/config/logs/max_line'",
		"config.metrics.interval=often":                         "'/config/metrics/interval'",
		"config.state=/elsewhere":                               "'/config': additional properties 'state' not allowed",
		"config.sink.central.type=loki":                         "additional properties 'sink' not allowed",
		"toleration[0].operator=Exists":                         "additional properties 'toleration' not allowed",
		"updateStrategy.rollingUpdate.maxUnavailable=none":      "'/updateStrategy/rollingUpdate/maxUnavailable'",
		"updateStrategy.rollingUpdate.maxSurge=1":               "additional properties 'maxSurge' not allowed",
		"port=99999":                                                "'/port'",
		"image.pullPolicy=Sometimes":                                "'/image/pullPolicy'",
		"readinessProbe.httpGet.path=/":                             "'/readinessProbe': additional properties 'httpGet' not allowed",
		"env[0].name=A,env[0].value=1":                              "'/env/0/value'",
		"host.root=false":                                           "config.metrics.node to false, too",
		"nonroot.enabled=true,readAllFiles=true":                    "exclude each other",
		"serviceMonitor.enabled=true,headlessService.enabled=false": "needs headlessService.enabled",
	} {
		if _, err := helm(t, "template", "leat", chart, "--set", set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: %v; want …%s…", set, err, want)
		}
	}
}

// TestRolls: what leatd reads only at its start makes new pods, and nothing else does.
func TestRolls(t *testing.T) {
	t.Parallel()
	template := func(args ...string) any {
		return only(t, render(t, args...), "DaemonSet").at(t, "spec", "template")
	}
	base := template()
	for set, want := range map[string]bool{
		"config.labels.a=b": true, "webConfig.basic_auth_users.a=b": true, "log.level=warn": true,
		"podMonitor.enabled=true": false, "service.enabled=false": false, "annotations.a=b": false,
	} {
		if changed := !reflect.DeepEqual(template("--set", set), base); changed != want {
			t.Errorf("--set %s: new pods %v, want %v", set, changed, want)
		}
	}
	const users = "webConfig.basic_auth_users.prometheus="
	if reflect.DeepEqual(template("--set", users+"one"), template("--set", users+"two")) {
		t.Error("a new password makes no new pods")
	}
}

// TestMonitoring: alerts and dashboards get into the cluster as they are.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	text := render(t, "--set", "prometheusRule.enabled=true,dashboards.enabled=true", "--set", "prometheusRule.additionalGroups[0].name=mine")
	var alerts map[string]any
	if err := yaml.Unmarshal(read(t, "prometheus/alerts.yaml"), &alerts); err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(alerts["groups"].([]any)), map[string]any{"name": "mine"})
	if got := only(t, text, "PrometheusRule").at(t, "spec", "groups"); !reflect.DeepEqual(got, any(want)) {
		t.Errorf("the rules are %v\nwant %v", got, want)
	}
	dashboards := 0
	for _, o := range objects(t, text) {
		data, _ := o["data"].(map[string]any)
		for name, got := range data {
			if filepath.Ext(name) != ".json" {
				continue
			}
			dashboards++
			var g, w any
			if err := errors.Join(json.Unmarshal([]byte(got.(string)), &g), json.Unmarshal(read(t, "grafana/"+name), &w)); err != nil || !reflect.DeepEqual(g, w) {
				t.Errorf("%s is not that of grafana/ (%v)", name, err)
			}
			if o.at(t, "metadata", "labels", "grafana_dashboard") != "1" {
				t.Errorf("%s: no label for Grafana", name)
			}
		}
	}
	if dashboards == 0 {
		t.Error("no dashboards")
	}
}

// TestNotes: who installs is told what is left to do, and what stays.
func TestNotes(t *testing.T) {
	t.Parallel()
	// Helm shows the notes of what it installs only, so they are rendered as a ConfigMap of a copy of the chart.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"files/NOTES.txt":      string(read(t, filepath.Join(chart, "templates", "NOTES.txt"))),
		"templates/notes.yaml": `{kind: Notes, text: {{ tpl (.Files.Get "files/NOTES.txt") . | toJson }}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	with := func(set string) string {
		out, err := helm(t, "template", "leat", dir, "--namespace", "ns", "--set", set)
		if err != nil {
			t.Fatal(err)
		}
		return only(t, out, "Notes")["text"].(string)
	}
	if guarded := with("webConfig.tls_server_config.cert_file=a"); !strings.Contains(guarded, "--url=https://NODE:9110 --http.config.file=") || strings.Contains(guarded, "helm -n ns test") {
		t.Errorf("behind TLS the notes are\n%s", guarded)
	}
	notes := with("networkPolicy.enabled=true")
	if testing.Verbose() {
		t.Log(notes)
	}
	for _, want := range []string{
		"kubectl label namespace ns pod-security.kubernetes.io/enforce=privileged", "No sinks are configured",
		"helm uninstall removes all of this but /var/lib/leat", "helm -n ns test leat", "The NetworkPolicy has no effect", "leat-headless.ns",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes do not say %q:\n%s", want, notes)
		}
	}
}

// TestManifests: deploy/kubernetes is the chart's output, less what is Helm's.
func TestManifests(t *testing.T) {
	t.Parallel()
	text := render(t, "--no-hooks", "--skip-tests")
	var b strings.Builder
	b.WriteString(manifestsHead)
	for line := range strings.Lines(text) {
		if s := strings.TrimSpace(line); !strings.HasPrefix(s, "helm.sh/chart:") && s != "app.kubernetes.io/managed-by: Helm" && !strings.HasPrefix(s, "# Source:") {
			b.WriteString(line)
		}
	}
	all := strings.Replace(b.String(), "  leat.yaml: |\n    {}\n", configExample, 1)
	if !strings.Contains(all, configExample) {
		t.Error("the ConfigMap is not where the example can take its place")
	}
	golden(t, "kubernetes/leat.yaml", []byte(all))
}

// configExample is the configuration as the chart has it by default, which is none, with a hint.
const configExample = `  leat.yaml: |
    # Without sinks the logs stay on the node, in /var/lib/leat/logs. deploy/leat.yaml documents every key.
    #sinks:
    #  central:
    #    type: loki
    #    url: http://loki.monitoring:3100
    labels: {}
`

const manifestsHead = `# leatd on every node, for those without Helm: what the chart in deploy/helm/leat renders with its defaults, in the namespace
# leat. Put your sinks into the ConfigMap below, then
#
#   kubectl apply -f deploy/kubernetes/leat.yaml
#   kubectl -n leat rollout status daemonset/leat
#
# A later change of the ConfigMap restarts nothing by itself: kubectl -n leat rollout restart daemonset/leat.
# kubectl delete -f removes all of it but the folder /var/lib/leat of each node.
apiVersion: v1
kind: Namespace
metadata:
  name: leat
  labels:
    pod-security.kubernetes.io/enforce: privileged # the pods mount folders of the host
`

// TestStaticPod: the static pod is the DaemonSet's, but for what a static pod can't have.
func TestStaticPod(t *testing.T) {
	t.Parallel()
	pod := only(t, string(read(t, "static-pod/leat.yaml")), "Pod").at(t, "spec").(map[string]any)
	want := only(t, render(t), "DaemonSet").at(t, "spec", "template", "spec").(map[string]any)
	for _, key := range []string{"serviceAccountName", "nodeSelector"} { // objects of the API, and the scheduler
		delete(want, key)
	}
	want["dnsPolicy"], want["priorityClassName"], want["priority"] = "Default", "system-node-critical", 2000001000
	want["volumes"].([]any)[0] = map[string]any{"name": "config", "hostPath": map[string]any{"path": "/etc/leat", "type": "Directory"}}
	if !reflect.DeepEqual(pod, want) {
		got, _ := yaml.Marshal(pod)
		expected, _ := yaml.Marshal(want)
		t.Errorf("differs: %s", difference(got, expected))
	}
}
