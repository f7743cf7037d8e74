//go:build e2e

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/leatd/leat/benchmarks/servers"
)

func startPrometheus(t *testing.T, config string) *servers.Prometheus {
	t.Helper()
	p, err := servers.StartPrometheus(t.Context(), servers.PrometheusOptions{Dir: t.TempDir(), Config: config})
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

// answers is what Prometheus says to an instant query, by the labels of a series less those that tell the ways apart.
func answers(t *testing.T, p *servers.Prometheus, expr string) map[string]float64 {
	t.Helper()
	series, err := p.Query(t.Context(), expr, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, s := range series {
		for _, name := range []string{"job", "instance", "k8s_node_name"} {
			delete(s.Labels, name)
		}
		if s.Labels["namespace"] == monitors {
			delete(s.Labels, "namespace")
		}
		if q, ok := s.Labels["quantile"]; ok { // Prometheus writes 0 for what came by OTLP, and 0.0 for the same of all else
			s.Labels["quantile"] = strings.TrimSuffix(q, ".0")
		}
		found[labelsText(s.Labels)] = s.Samples[len(s.Samples)-1].Value
	}
	return found
}

// certificate is one for 127.0.0.1 that vouches for itself, and its key, as PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// monitors is the namespace that the scrape gives to what has none of its own, as a monitor in Kubernetes does.
const monitors = "monitoring"

// ways are how leatd's metrics come to Prometheus, and the labels that a series has by each. What is pushed has the job
// and instance that leatd gives it; in OTLP the node is an attribute of the resource besides, which the test's Prometheus
// makes a label of.
var ways = map[string]string{
	"scrape":       `job="scraped"`,
	"remote write": `job="leat", instance="node-1", k8s_node_name=""`,
	"OTLP":         `job="leat", instance="node-1", k8s_node_name="node-1"`,
}

// TestRealPrometheus: a Prometheus that scrapes leatd over TLS with a password, and is sent the same by remote write and
// by OTLP, answers the same from all three; and the dashboard has something to show.
func TestRealPrometheus(t *testing.T) {
	const otlp = "otlp: {promote_resource_attributes: [k8s.node.name, cluster]}\n"
	p := startPrometheus(t, otlp)
	h := newHost(t)
	cert, key := certificate(t)
	ca := h.file("cert.pem", cert)
	h.file("key.pem", key)
	hash, err := bcrypt.GenerateFromPassword([]byte("geheim"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	web := h.file("web.yaml", fmt.Sprintf("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {prometheus: '%s'}\n", hash))
	h.write("shop_cart-0_uid/app/0.log", cri(0, "stdout", bodies(0, 1000)...))
	h.write("ops_db-0_uid/postgres/0.log", cri(0, "stderr", bodies(0, 20)...))
	store := newDepot(t, "http")
	cfg := h.file("leat.yaml", fmt.Sprintf(`
node: node-1
state: %s
labels: {cluster: e2e}
logs: {pods: %s}
metrics: {interval: 1s}
sinks:
  central: {type: http, url: %s}
  written: {type: remote_write, url: %s}
  otel: {type: otlp, url: %s/api/v1/otlp/v1/metrics, signals: [metrics]}
`, h.state, h.pods, store.URL, p.URL, p.URL))
	d := start(t, "--config.file", cfg, "--web.config.file", web)
	if err := p.Configure(t.Context(), otlp+fmt.Sprintf(`
scrape_configs:
  - job_name: scraped
    scrape_interval: 1s
    honor_labels: true
    scheme: https
    tls_config: {ca_file: %s}
    basic_auth: {username: prometheus, password: geheim}
    static_configs: [{targets: ["%s"], labels: {cluster: e2e, namespace: %s}}]
`, ca, d.address, monitors)); err != nil {
		t.Fatal(err)
	}

	// What stands still must be the same by value, what moves by the series that there are.
	for _, q := range []struct {
		expr string // with %s for the way
		want int    // series at the least
	}{
		{`{__name__=~"leat_log_(read|delivered)_(lines|bytes)_total|leat_dropped_lines_total|leat_lost_bytes_total", %s}`, 8},
		{`{__name__=~"node_memory_MemTotal_bytes|node_boot_time_seconds|node_uname_info|leat_build_info|node_exporter_build_info|go_info", %s}`, 6},
		{`count by (mode) (node_cpu_seconds_total{%s})`, 8},
		{`count by (quantile) (go_gc_duration_seconds{%s})`, 5},
		{`group by (__name__, device, mountpoint, fstype) (node_filesystem_size_bytes{%s})`, 1},
		{`count by (cluster) (go_gc_duration_seconds_count{%s})`, 1},
		// Every name, with the number of its series. Some come from Prometheus or from the way itself.
		{`count by (__name__) ({__name__!~"up|scrape_.*|target_info|leat_push_.*|promhttp_.*", %s})`, 300},
	} {
		eventually(t, q.expr, func() error {
			want := answers(t, p, fmt.Sprintf(q.expr, ways["scrape"]))
			if len(want) < q.want {
				return fmt.Errorf("%d series are scraped, want %d: %v", len(want), q.want, want)
			}
			for _, way := range []string{"remote write", "OTLP"} {
				if got := answers(t, p, fmt.Sprintf(q.expr, ways[way])); !reflect.DeepEqual(got, want) {
					return fmt.Errorf("%s differs from scrape: %s", way, difference(got, want))
				}
			}
			return nil
		})
	}
	// Lines, and what Prometheus itself makes of a sink's account.
	eventually(t, "1,000 lines in Prometheus", func() error {
		for way, labels := range ways {
			got := answers(t, p, fmt.Sprintf(`leat_log_read_lines_total{namespace="shop", sink="central", %s}`, labels))
			if len(got) != 1 || !slices.Contains(slices.Collect(maps.Values(got)), 1000) {
				return fmt.Errorf("%s: %v", way, got)
			}
			balance := `sum(leat_push_samples_total{%s}) == sum({__name__=~"leat_push_(delivered|dropped)_samples_total|leat_push_pending_samples", %[1]s})`
			if got := answers(t, p, fmt.Sprintf(balance, labels)); len(got) != 1 {
				return fmt.Errorf("%s: the account of the pushes does not add up", way)
			}
		}
		return nil
	})
	if n := answers(t, p, `sum(leat_push_dropped_samples_total)`); !reflect.DeepEqual(n, map[string]float64{"{}": 0}) {
		t.Errorf("samples were dropped: %v", n)
	}

	if got := answers(t, p, fmt.Sprintf(`node_load1{namespace=%q, pod="", %s}`, monitors, ways["scrape"])); len(got) != 1 {
		t.Errorf("the monitor's own labels are not on node_load1: %v", got)
	}
	// No request was refused, the first of remote write 2.0 neither: that would have been a 415, and 1.0 after it.
	if n := answers(t, p, `leat_push_requests_total{code!~"2.."} > 0`); len(n) != 0 {
		t.Errorf("requests failed: %v", n)
	}

	// What asks for errors and losses only has nothing to show, and that is right.
	quiet := regexp.MustCompile(`> 0$`)
	exprs := readDashboard(t).expressions()
	for _, where := range slices.Sorted(maps.Keys(exprs)) {
		expr := strings.ReplaceAll(exprs[where], `job="leat"`, `job=~"leat|scraped"`)
		if got := answers(t, p, expr); len(got) == 0 && !quiet.MatchString(expr) {
			t.Errorf("%s has nothing to show: %s", where, expr)
		}
	}
	d.stop()

	// The end of a series is marked in remote write. OTLP has no such mark, and the scrape's is made by Prometheus.
	if got := answers(t, p, fmt.Sprintf(`count by (__name__) ({%s})`, ways["remote write"])); len(got) != 0 {
		t.Errorf("%d names are still there after the end of leatd, as if it ran: %v", len(got), got)
	}
}

// difference is what one of two answers has and the other has not, in short.
func difference(got, want map[string]float64) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[k]; !ok {
			all = append(all, fmt.Sprintf("lacks %s %v", k, want[k]))
		} else if g != want[k] {
			all = append(all, fmt.Sprintf("%s is %v, want %v", k, g, want[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			all = append(all, fmt.Sprintf("has %s %v", k, got[k]))
		}
	}
	return strings.Join(all[:min(len(all), 10)], "; ")
}
