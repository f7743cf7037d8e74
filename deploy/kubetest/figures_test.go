//go:build e2ekube

package kubetest

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// leftOut are the kubelet's families of containers that leatd does not show.
var leftOut = []string{
	"container_cpu_load_average_10s", "container_cpu_load_d_average_10s", "container_file_descriptors", "container_memory_failures_total",
	"container_memory_total_active_file_bytes", "container_memory_total_inactive_file_bytes", "container_sockets",
	"container_spec_memory_swap_limit_bytes", "container_tasks_state", "container_ulimits_soft",
}

// core must be in both, whatever the kernel is.
var core = []string{
	"container_cpu_usage_seconds_total", "container_cpu_user_seconds_total", "container_cpu_system_seconds_total",
	"container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total", "container_cpu_cfs_throttled_seconds_total",
	"container_memory_usage_bytes", "container_memory_working_set_bytes", "container_memory_rss", "container_memory_cache",
	"container_processes", "container_threads", "container_spec_memory_limit_bytes", "container_spec_cpu_shares",
	"container_network_receive_bytes_total", "container_network_transmit_packets_total", "container_start_time_seconds",
}

// busyPod has a container that uses what there is to use and then rests, one that goes on under a limit of the CPU, and
// pods of the other classes stand beside it.
const busyPod = `
apiVersion: v1
kind: Pod
metadata: {name: busy, namespace: work}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - {name: rests, image: "leat.test/workload:1", imagePullPolicy: Never, args: [-busy=1s, -memory=20000000, -file=/data/f], volumeMounts: [{name: data, mountPath: /data}]}
    - {name: limited, image: "leat.test/workload:1", imagePullPolicy: Never, args: [-busy=10m], resources: {limits: {cpu: 50m, memory: 32Mi}}}
  volumes: [{name: data, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: guaranteed, namespace: work}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - {name: guaranteed, image: "leat.test/workload:1", imagePullPolicy: Never, args: [-lines=100000, -rate=10], resources: {limits: {cpu: 100m, memory: 32Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: work}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
    - {name: host, image: "leat.test/workload:1", imagePullPolicy: Never, args: [-lines=100000, -rate=10]}
`

// figurePods are its pods. There are others beside them.
var figurePods = []string{"busy", "guaranteed", "host"}

// A figure is one series of a family.
type figure struct {
	value float64
	at    int64 // milliseconds since the epoch, 0 if it says nothing of it
}

// figures are those of the pods in the tests' namespace, by family and by labels.
type figures map[string]map[string]figure

// testFigures: what leatd says of containers is what the kubelet says. The kubelet looks every ten seconds or so and says
// when; leatd is asked before and after that, and the kubelet's figure must lie between.
func testFigures(t *testing.T) {
	t.Parallel()
	if _, err := output(node.Command(t.Context(), "kubectl", "apply", "-f", "-"), busyPod); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		output(node.Command(t.Context(), "kubectl", "-n", work, "delete", "pod", "busy", "guaranteed", "host", "--wait=false"), "")
	})
	for _, pod := range figurePods {
		is(t, 30*time.Second, "True", "-n", work, "get", "pod", pod, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}")
	}
	resting := time.Now().Add(3 * time.Second) // a second of work, and it has forgotten nothing of it two later
	ours := func() figures {
		text, err := get(t, "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		return parseFigures(t, text)
	}
	kubelets := func() figures {
		return parseFigures(t, kubectl(t, "get", "--raw", "/api/v1/nodes/"+NodeName+"/proxy/metrics/cadvisor"))
	}
	var first, last, theirs figures
	eventually(t, 60*time.Second, func() error {
		if now := time.Now(); now.Before(resting) {
			return fmt.Errorf("the pods are not yet at rest")
		}
		if first == nil {
			first, resting = ours(), time.Now()
		}
		theirs = kubelets()
		usage := theirs["container_memory_usage_bytes"]
		if len(usage) != 4 {
			return fmt.Errorf("the kubelet has figures of %d containers", len(usage))
		}
		for family, series := range theirs {
			for labels, f := range series {
				if f.at != 0 && f.at < resting.UnixMilli() { // some have no time: they do not change
					return fmt.Errorf("the kubelet's %s{%s} is %d ms old", family, labels, time.Now().UnixMilli()-f.at)
				}
			}
		}
		last = ours()
		return nil
	})
	compare(t, theirs, first, last)
}

func compare(t *testing.T, theirs, first, last figures) {
	for _, family := range core {
		if len(theirs[family]) == 0 || len(last[family]) == 0 {
			t.Errorf("%s: the kubelet has %d series, leatd %d", family, len(theirs[family]), len(last[family]))
		}
	}
	for _, family := range slices.Sorted(maps.Keys(theirs)) {
		if len(last[family]) == 0 && !slices.Contains(leftOut, family) {
			t.Errorf("%s is the kubelet's alone", family)
		}
	}
	compared := 0
	for _, family := range slices.Sorted(maps.Keys(last)) {
		if want, got := slices.Sorted(maps.Keys(theirs[family])), slices.Sorted(maps.Keys(last[family])); !slices.Equal(want, got) {
			t.Errorf("%s: the kubelet has the series\n%s\nleatd has\n%s", family, strings.Join(want, "\n"), strings.Join(got, "\n"))
			continue
		}
		if strings.HasPrefix(family, "container_pressure_") && !slices.ContainsFunc(slices.Collect(maps.Values(theirs[family])), nonZero) {
			continue // under v1 the kubelet always says 0, though the kernel knows better
		}
		for labels, want := range theirs[family] {
			from, to := first[family][labels].value, last[family][labels].value
			slack := tolerance(family, to)
			if compared++; want.value < min(from, to)-slack || want.value > max(from, to)+slack {
				t.Errorf("%s{%s}: the kubelet says %v, leatd %v before and %v after", family, labels, want.value, from, to)
			}
		}
	}
	t.Logf("%d series of %d families agree with the kubelet's", compared, len(last))
}

func nonZero(f figure) bool { return f.value != 0 }

// tolerance is how far a figure may be off: memory goes up and down between two looks, and start times are cut to seconds.
func tolerance(family string, value float64) float64 {
	switch {
	case strings.HasSuffix(family, "_total"):
		return 1e-6
	case strings.HasPrefix(family, "container_memory_"):
		return 512<<10 + value/50
	case family == "container_start_time_seconds", family == "container_threads":
		return 2
	case family == "container_last_seen":
		return 20
	}
	return 0
}

// parseFigures reads the families of containers. Of the kubelet's are left out: cgroups that are no container, networks of
// pods in the host's network namespace, and the labels that name a container once more.
func parseFigures(t *testing.T, text string) figures {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	all := figures{}
	for name, family := range families {
		network := strings.HasPrefix(name, "container_network_")
		if !strings.HasPrefix(name, "container_") || name == "container_scrape_error" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				if l.GetValue() != "" && !slices.Contains([]string{"id", "image", "name"}, l.GetName()) {
					labels[l.GetName()] = l.GetValue()
				}
			}
			if labels["namespace"] != work || !slices.Contains(figurePods, labels["pod"]) || network && labels["pod"] == "host" || !network && labels["container"] == "" {
				continue
			}
			if all[name] == nil {
				all[name] = map[string]figure{}
			}
			all[name][written(labels)] = figure{number(m), m.GetTimestampMs()}
		}
	}
	return all
}

func number(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}

func written(labels map[string]string) string {
	var pairs []string
	for name, value := range labels {
		pairs = append(pairs, name+"="+value)
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ",")
}
