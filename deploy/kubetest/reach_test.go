//go:build e2ekube

package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
)

// watch is the namespace of Prometheus, which is a pod that may list nodes and no more, as the comment in scrape.yaml says.
const watch = "watch"

const prometheusPod = `
apiVersion: v1
kind: Namespace
metadata: {name: watch}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus, namespace: watch}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prometheus}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prometheus}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: watch}]
---
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: watch}
spec:
  selector: {app: prometheus}
  ports: [{port: 9090}]
---
apiVersion: v1
kind: Pod
metadata: {name: prometheus, namespace: watch, labels: {app: prometheus}}
spec:
  serviceAccountName: prometheus
  terminationGracePeriodSeconds: 1
  containers:
    - name: prometheus
      image: %q
      imagePullPolicy: Never
      command: [/prometheus, --config.file=/etc/prometheus/prometheus.yml, --storage.tsdb.path=/data, --web.enable-remote-write-receiver]
      volumeMounts: [{name: program, mountPath: /prometheus}, {name: config, mountPath: /etc/prometheus}, {name: data, mountPath: /data}]
  volumes:
    - {name: program, hostPath: {path: %q, type: File}}
    - {name: config, configMap: {name: prometheus}}
    - {name: data, emptyDir: {}}
`

// prometheusConfig takes the two documented files as they are, but for the names of their jobs, asks the Service by its name
// and by its address, and finds leatd by its SRV records as well.
const prometheusConfig = `
global: {scrape_interval: 2s}
scrape_config_files: [scrape.yaml, scrape-dns.yaml]
scrape_configs:
  - job_name: leat-service
    honor_labels: true
    static_configs: [{targets: ["leat.leat:9110", "%s:9110"]}]
  - job_name: leat-srv
    honor_labels: true
    dns_sd_configs: [{names: [_metrics._tcp.leat-headless.leat.svc], type: SRV}]
`

// testReach: a Prometheus in a pod finds leatd in each of the documented ways.
func testReach(t *testing.T) {
	t.Parallel()
	testNames(t)
	program, err := servers.PrometheusBinary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	service := kubectl(t, "-n", agents, "get", "service", "leat", "-o", "jsonpath={.spec.clusterIP}")
	files := t.TempDir()
	for name, text := range map[string]string{
		"prometheus.yml":  fmt.Sprintf(prometheusConfig, service),
		"scrape.yaml":     documented(t, "scrape.yaml", "leat-nodes"),
		"scrape-dns.yaml": documented(t, "scrape-dns.yaml", "leat-dns"),
		"leat-ca.pem":     string(readFile(t, node.path("etc/ca.crt"))), // for the hosts of the example, which are nowhere
		"leat-password":   "none",
	} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := output(node.Command(t.Context(), "kubectl", "apply", "-f", "-"), fmt.Sprintf(prometheusPod, WorkloadImage, program)); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", watch, "create", "configmap", "prometheus", "--from-file="+files)
	want := []string{"leat-dns " + NodeIP, "leat-nodes " + NodeName, "leat-service " + service + ":9110", "leat-service leat.leat:9110",
		"leat-srv " + strings.ReplaceAll(NodeIP, ".", "-") + ".leat-headless.leat.svc.cluster.local:9110"}
	eventually(t, 60*time.Second, func() error {
		found, err := found(t.Context(), `leat_build_info`)
		if err == nil && !slices.Equal(found, want) {
			err = fmt.Errorf("Prometheus has found %q, want %q", found, want)
		}
		return err
	})
}

// pushed: leatd has found Prometheus by the name of its Service, and nobody has asked leatd: the jobs of the scrapes have
// other names.
func pushed(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		found, err := found(t.Context(), `leat_build_info{job="leat"}`)
		if want := []string{"leat " + NodeName}; err == nil && !slices.Equal(found, want) {
			err = fmt.Errorf("to Prometheus were pushed %q, want %q", found, want)
		}
		return err
	})
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// documented is one of the files for Prometheus, its job leat under a name that tells it from the others.
func documented(t *testing.T, name, job string) string {
	t.Helper()
	text := string(readFile(t, filepath.Join("../prometheus", name)))
	const old = "job_name: leat\n"
	if strings.Count(text, old) != 1 {
		t.Fatalf("%s has not one job leat", name)
	}
	return strings.Replace(text, old, "job_name: "+job+"\n", 1)
}

// found are job and instance of the series that Prometheus has of an expression at this moment.
func found(ctx context.Context, expr string) ([]string, error) {
	addresses, err := Resolver().LookupHost(ctx, "prometheus."+watch+".svc.cluster.local.")
	if err != nil {
		return nil, err
	}
	text, err := fetch(ctx, "http://"+addresses[0]+":9090/api/v1/query?query="+url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, series := range answer.Data.Result {
		all[series.Metric["job"]+" "+series.Metric["instance"]] = true
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// testNames: the Service has a name and an address that answers, and the headless Service's records are the pods' addresses
// and leatd's port.
func testNames(t *testing.T) {
	t.Helper()
	const headless = "leat-headless." + agents + ".svc.cluster.local."
	eventually(t, 20*time.Second, func() error {
		pods := strings.Fields(kubectl(t, "-n", agents, "get", "pods", "-l", "app.kubernetes.io/name=leat", "--field-selector=status.phase=Running",
			"-o", "jsonpath={.items[*].status.podIP}"))
		a, err := Resolver().LookupHost(t.Context(), headless)
		if err != nil {
			return err
		}
		_, records, err := Resolver().LookupSRV(t.Context(), "metrics", "tcp", headless)
		if err != nil {
			return err
		}
		var srv []string
		for _, record := range records {
			addresses, err := Resolver().LookupHost(t.Context(), record.Target)
			if err != nil {
				return err
			}
			if record.Port != 9110 {
				return fmt.Errorf("the SRV record names the port %d", record.Port)
			}
			srv = append(srv, addresses...)
		}
		if len(pods) != 1 || !slices.Equal(a, pods) || !slices.Equal(srv, pods) {
			return fmt.Errorf("the pods have the addresses %q, the A records %q, the SRV records %q", pods, a, srv)
		}
		service, err := Resolver().LookupHost(t.Context(), "leat."+agents+".svc.cluster.local.")
		if err != nil {
			return err
		}
		if service[0] == pods[0] {
			return fmt.Errorf("the Service has no address of its own: %q", service)
		}
		text, err := fetch(t.Context(), "http://"+service[0]+":9110/metrics")
		if err == nil && !strings.Contains(text, "\nleat_build_info{") {
			err = fmt.Errorf("at the Service's address answers something that is not leatd: %s", text)
		}
		return err
	})
}
