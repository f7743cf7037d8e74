//go:build e2ekube

package kubetest

import (
	"strings"
	"testing"

	"github.com/leatd/leat/benchmarks/servers"
)

// testResources: the API server takes what the chart makes for the Prometheus operator and for OpenShift, by their own
// definitions, and in none of these objects a key that they don't know.
func testResources(t *testing.T) {
	t.Parallel()
	definitions, err := servers.Definitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, path := range definitions {
		files = append(files, "-f", path)
	}
	kubectl(t, append([]string{"create"}, files...)...)
	kubectl(t, append([]string{"wait", "--for=condition=Established", "--timeout=30s"}, files...)...)
	kubectl(t, "create", "namespace", "monitoring") // where these values have the ServiceMonitor
	text := helm(t, "template", release, chart, "--values", "../testdata/everything.yaml",
		"--set", "prometheusRule.enabled=true,dashboards.enabled=true,openshift.enabled=true")
	create := func(text string) error {
		_, err := output(node.Command(t.Context(), "kubectl", "create", "--dry-run=server", "--validate=strict", "-f", "-"), text)
		return err
	}
	if err := create(text); err != nil {
		t.Error(err)
	}
	for kind, key := range map[string]string{
		"PodMonitor": "honorLabels", "ServiceMonitor": "honorLabels", "PrometheusRule": "expr", "SecurityContextConstraints": "allowHostPorts",
	} {
		found := 0
		for object := range strings.SplitSeq(text, "\n---\n") {
			if !strings.Contains(object, "\nkind: "+kind+"\n") {
				continue
			}
			found++
			wrong := strings.Replace(object, key+":", key+"x:", 1)
			if err := create(wrong); err == nil || !strings.Contains(err.Error(), "unknown field") || !strings.Contains(err.Error(), key+"x") {
				t.Errorf("%s with %sx: %v, want it refused as unknown", kind, key, err)
			}
		}
		if found != 1 {
			t.Errorf("%d objects of kind %s", found, kind)
		}
	}
}
