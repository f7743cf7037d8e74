//go:build e2ekube

package kubetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestChart goes through a release's life: each step begins where the one before has ended, and none goes on after one
// that has failed.
func TestChart(t *testing.T) {
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"refused", testRefused},
		{"install", testInstall},
		{"beside", testBeside},
		{"trouble", testTrouble},
		{"mistakes", testMistakes},
		{"selector", testSelector},
		{"variant", testVariant},
		{"uninstall", testUninstall},
		{"without", testWithout},
	} {
		if !t.Run(step.name, step.run) {
			t.Fatalf("what comes after %q was not run", step.name)
		}
	}
}

// testRefused: a value that can't be right is refused before anything is there, by the schema.
func testRefused(t *testing.T) {
	_, err := tryHelm(t, "install", release, chart, "--create-namespace", "--set", "config.sinks.central.type=lokki")
	if err == nil || !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), "/config/sinks/central/type") {
		t.Errorf("helm install says %v, want the schema's complaint", err)
	}
	if out := helm(t, "list", "--all", "--short"); out != "" {
		t.Errorf("there is a release all the same: %s", out)
	}
}

// testInstall: one command with no more than the store's address, and all is there.
func testInstall(t *testing.T) {
	runPod(t, "early", "Never", "-lines=100", "-exit=0")
	helm(t, "install", release, chart, "--create-namespace",
		"--set", "config.sinks.central.type=loki", "--set", "config.sinks.central.url=http://"+store.address)
	rolledOut(t)
	inStore(t, 30*time.Second, "early", numbered(100))

	t.Run("port", func(t *testing.T) {
		text, err := get(t, "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"leat_build_info", "node_memory_MemAvailable_bytes", "container_memory_rss"} {
			if !strings.Contains(text, "\n"+name) {
				t.Errorf("/metrics has no %s", name)
			}
		}
	})
	t.Run("services", func(t *testing.T) {
		for _, service := range []string{"leat", "leat-headless"} {
			is(t, 20*time.Second, NodeIP+" true", "-n", agents, "get", "endpointslices", "-l", "kubernetes.io/service-name="+service,
				"-o", "jsonpath={.items[*].endpoints[*].addresses[*]} {.items[*].endpoints[*].conditions.ready}")
		}
	})
	t.Run("probes", func(t *testing.T) {
		pod := kubectl(t, "-n", agents, "get", "pods", "-o", "jsonpath={range .items[*].spec.containers[*]}{.startupProbe.httpGet.path} "+
			"{.livenessProbe.httpGet.path} {.readinessProbe.httpGet.path}{end} {.items[*].status.containerStatuses[*].restartCount}")
		if want := "/-/healthy /-/healthy /-/ready 0"; pod != want {
			t.Errorf("probes and restarts: %q, want %q", pod, want)
		}
		if out := kubectl(t, "-n", agents, "get", "events", "--field-selector=reason=Unhealthy", "-o", "jsonpath={.items[*].message}"); out != "" {
			t.Errorf("a probe has failed: %s", out)
		}
	})
	t.Run("security", testSecurity)
	t.Run("audit", func(t *testing.T) { helm(t, "test", release) })
	t.Run("no requests", testNoRequests)
}

// testSecurity looks at the process as the kernel sees it, not at what was asked for.
func testSecurity(t *testing.T) {
	pid := leatd(t)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Uid:\t0\t0\t0\t0", "Gid:\t0\t0\t0\t0", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000",
		"NoNewPrivs:\t1", "Seccomp:\t2",
	} {
		if !strings.Contains(string(status), "\n"+want+"\n") {
			t.Errorf("%s is not in the process's status", want)
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "ro", "/host": "ro", "/host/var/log": "ro", "/host/proc": "ro", "/host/sys": "ro", "/var/lib/leat": "rw"} {
		// The last one hides those before it: what the host has mounted there came along with /host.
		all := regexp.MustCompile(`(?m)^(?:\S+ ){4}`+path+` (\w+)`).FindAllStringSubmatch(string(mounts), -1)
		if len(all) == 0 || all[len(all)-1][1] != want {
			t.Errorf("%s is mounted %q, want %s", path, all, want)
		}
	}
}

// leatd is the id of the agent's process.
func leatd(t *testing.T) int {
	t.Helper()
	found := 0
	eventually(t, 30*time.Second, func() error {
		paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range paths {
			line, _ := os.ReadFile(path)
			if args := bytes.Split(line, []byte{0}); filepath.Base(string(args[0])) == "leatd" && !slices.ContainsFunc(args, isCheck) {
				var err error
				found, err = strconv.Atoi(filepath.Base(filepath.Dir(path)))
				return err
			}
		}
		return fmt.Errorf("no leatd runs among %d processes", len(paths))
	})
	return found
}

func isCheck(arg []byte) bool { return string(arg) == "check" || string(arg) == "audit" }

// known are those who may ask the API server: the parts of Kubernetes, and the tests.
var known = regexp.MustCompile(`^(admin|system:apiserver|system:node:node1|system:kube-controller-manager|system:kube-scheduler|system:kube-proxy|system:dns|system:serviceaccount:kube-system:[a-z-]+)$`)

// testNoRequests: nobody but Kubernetes itself and this test has asked the API server for anything.
func testNoRequests(t *testing.T) {
	text, err := os.ReadFile(node.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]int{}
	for line := range bytes.Lines(text) {
		var event struct {
			User       struct{ Username string }
			RequestURI string
		}
		if err := json.Unmarshal(line, &event); err != nil {
			continue // the last one is being written
		}
		if by[event.User.Username]++; !known.MatchString(event.User.Username) {
			t.Errorf("%s has asked for %s", event.User.Username, event.RequestURI)
		}
	}
	if by["admin"] == 0 || by["system:node:"+NodeName] == 0 {
		t.Errorf("the audit log is not what it should be: %v", by)
	}
	if out := kubectl(t, "-n", agents, "get", "pods", "-o", "jsonpath={.items[*].spec.volumes[*].projected}"); out != "" {
		t.Errorf("a token is mounted: %s", out)
	}
}

// testMistakes: a value that is well-formed and wrong stops the upgrade with a message that says what to do, and the old
// pod runs on.
func testMistakes(t *testing.T) {
	uid := func() string {
		return kubectl(t, "-n", agents, "get", "pods", "-l", "app.kubernetes.io/name=leat", "-o", "jsonpath={.items[*].metadata.uid}")
	}
	before := uid()
	out, err := tryHelm(t, "upgrade", release, chart, "--reuse-values", "--set", "config.sinks.central.url=http://[::1")
	if err == nil {
		t.Fatal("helm upgrade takes a URL that is none")
	}
	if said := out + err.Error(); !strings.Contains(said, "sinks.central.url") {
		t.Errorf("helm upgrade doesn't say which value is wrong:\n%s", said)
	}
	if now := uid(); now != before {
		t.Errorf("the pods are %s, and were %s", now, before)
	}
	if _, err := get(t, "/-/ready"); err != nil {
		t.Error(err)
	}
}

// testSelector: a node without the label has no pod, until it gets the label.
func testSelector(t *testing.T) {
	helm(t, "upgrade", release, chart, "--reuse-values", "--set", "nodeSelector.leat=here")
	count := []string{"-n", agents, "get", "daemonset", "leat", "-o", "jsonpath={.status.desiredNumberScheduled} {.status.numberReady}"}
	is(t, 60*time.Second, "0 0", count...)
	is(t, 60*time.Second, "", "-n", agents, "get", "pods", "-o", "name", "-l", "app.kubernetes.io/name=leat")
	kubectl(t, "label", "node", NodeName, "leat=here")
	is(t, 60*time.Second, "1 1", count...)
}

// testVariant: without root, and in the pod's network with a port of the node. The state folder that root has filled is
// handed over, so nothing is sent twice and nothing is left out.
func testVariant(t *testing.T) {
	helm(t, "upgrade", release, chart, "--reuse-values", "--set", "nonroot.enabled=true", "--set", "hostNetwork=false")
	rolledOut(t)
	runPod(t, "variant", "Never", "-lines=1000", "-exit=0")
	inStore(t, 30*time.Second, "variant", numbered(1000))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", leatd(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "Gid:\t0\t0\t0\t0", "CapEff:\t0000000000000000"} {
		if !strings.Contains(string(status), "\n"+want+"\n") {
			t.Errorf("%s is not in the process's status", want)
		}
	}
	text, err := get(t, "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "\ncontainer_memory_rss{") {
		t.Error("there are no figures of containers")
	}
	is(t, 20*time.Second, "10.97.0", "-n", agents, "get", "endpointslices", "-l", "kubernetes.io/service-name=leat",
		"-o", `go-template={{range .items}}{{range .endpoints}}{{range .addresses}}{{slice . 0 7}}{{end}}{{end}}{{end}}`)
	testNames(t)
}

// testUninstall: the state folder stays, as Helm has said, and nothing else.
func testUninstall(t *testing.T) {
	if notes := helm(t, "get", "notes", release); !strings.Contains(notes, "/var/lib/leat") || !strings.Contains(notes, "uninstall") {
		t.Errorf("the notes don't say what stays:\n%s", notes)
	}
	helm(t, "uninstall", release, "--wait")
	is(t, 60*time.Second, "", "-n", agents, "get", "pods", "-o", "name")
	if out := kubectl(t, "get", kinds(t), "-A", "-o", "name", "-l", "app.kubernetes.io/instance="+release); out != "" {
		t.Errorf("still there:\n%s", out)
	}
	out := kubectl(t, "-n", agents, "get", kinds(t, "--namespaced"), "-o", "name")
	if want := "configmap/kube-root-ca.crt\nserviceaccount/default\n"; out != want {
		t.Errorf("in the namespace are\n%s", out)
	}
	entries, err := os.ReadDir("/var/lib")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"cni", "containerd", "kubelet", "leat"}; !slices.Equal(names, want) {
		t.Errorf("in /var/lib are %q, want %q", names, want)
	}
}

// kinds are all kinds of objects that there are, but for events, which come and go.
func kinds(t *testing.T, more ...string) string {
	t.Helper()
	all := strings.Fields(kubectl(t, append([]string{"api-resources", "--verbs=list", "-o", "name"}, more...)...))
	return strings.Join(slices.DeleteFunc(all, func(kind string) bool { return strings.HasPrefix(kind, "events") }), ",")
}

// testBeside are things that can be looked at beside one another: nothing is changed meanwhile.
func testBeside(t *testing.T) {
	t.Run("figures", testFigures)
	t.Run("reach", testReach)
	t.Run("short", testShort)
	t.Run("restarts", testRestarts)
	t.Run("last words", testLastWords)
}

// testWithout is what needs no release.
func testWithout(t *testing.T) {
	t.Run("manifests", testManifests)
	t.Run("resources", testResources)
	t.Run("static pod", testStaticPod)
}

// testManifests: a real API server takes the plain manifests as they are.
func testManifests(t *testing.T) {
	t.Parallel()
	out := kubectl(t, "apply", "--dry-run=server", "-f", "../kubernetes/leat.yaml")
	if !strings.Contains(out, "daemonset.apps/leat created") {
		t.Error(out)
	}
}

// testStaticPod: one file in the kubelet's folder and one in /etc, and lines arrive.
func testStaticPod(t *testing.T) {
	t.Parallel()
	manifest, err := os.ReadFile("../static-pod/leat.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := "sinks: {central: {type: loki, url: http://" + store.address + "}}\n"
	for path, text := range map[string]string{"/etc/leat/leat.yaml": config, filepath.Join(node.Manifests, "leat.yaml"): string(manifest)} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	ready := []string{"-n", "kube-system", "get", "pod", "leatd-" + NodeName, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}"}
	is(t, 90*time.Second, "True", ready...)
	runPod(t, "beside", "Never", "-lines=1000", "-exit=0")
	inStore(t, 30*time.Second, "beside", numbered(1000))
	if err := os.Remove(filepath.Join(node.Manifests, "leat.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 90*time.Second, func() error {
		if _, err := get(t, "/-/healthy"); err == nil {
			return fmt.Errorf("it answers although its manifest is gone")
		}
		return nil
	})
}
