//go:build e2ekube

package kubetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
)

// chart is what is installed, and release how: with its name and namespace.
const (
	chart   = "../helm/leat"
	release = "leat"
	agents  = "leat" // the namespace of the agents
	work    = "work" // the namespace of the pods that write
)

var (
	node  *Node
	loki  *servers.Loki
	store *door // through which the pods reach Loki
	began = time.Now()
)

// TestMain makes the node and the store that all tests share. Both end with the namespaces that this runs in.
func TestMain(m *testing.M) {
	os.Exit(Run(prepare, func(folder string) int { return inside(folder, m) }))
}

// prepare builds what the tests need beside the node, and leatd's image.
func prepare(ctx context.Context, folder string) error {
	if _, err := servers.Build(ctx); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "run", "-C", "../image", ".", "-out", filepath.Join(folder, "image"), "-platforms", "linux/"+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return nil
}

func inside(folder string, m *testing.M) int {
	ctx := context.Background()
	var err error
	if node, err = Start(ctx, folder); err == nil {
		err = node.Import(ctx, filepath.Join(folder, "image", "leat-"+runtime.GOARCH+".tar"))
	}
	if err == nil {
		loki, err = servers.StartLoki(ctx, servers.LokiOptions{Dir: filepath.Join(folder, "loki")})
	}
	if err == nil {
		store, err = newDoor(strings.TrimPrefix(loki.URL, "http://"))
	}
	if err == nil {
		_, err = output(node.Command(ctx, "kubectl", "create", "namespace", work), "")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// output runs a command to its end. What it says on standard error is part of the error.
func output(cmd *exec.Cmd, stdin string) (string, error) {
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said.String())
	}
	return out.String(), nil
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := output(node.Command(t.Context(), "kubectl", args...), "")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tryHelm runs Helm with folders of its own.
func tryHelm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := servers.Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := node.Command(t.Context(), path, append([]string{"--namespace", agents}, args...)...)
	for _, what := range []string{"CACHE", "CONFIG", "DATA"} {
		cmd.Env = append(cmd.Env, "HELM_"+what+"_HOME="+node.path("helm"))
	}
	return output(cmd, "")
}

func helm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tryHelm(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rolledOut waits until the DaemonSet's pods are those of its template, and ready.
func rolledOut(t *testing.T) {
	t.Helper()
	if _, err := output(node.Command(t.Context(), "kubectl", "-n", agents, "rollout", "status", "daemonset/leat", "--timeout=90s"), ""); err != nil {
		t.Fatalf("%v\n%s", err, aboutAgents(t))
	}
}

// aboutAgents is what an operator would look at.
func aboutAgents(t *testing.T) string {
	var about strings.Builder
	for _, args := range [][]string{
		{"get", "pods", "-o", "wide"}, {"get", "events"},
		{"logs", "daemonset/leat", "--all-containers", "--tail=50"},
	} {
		out, err := node.Command(t.Context(), "kubectl", append([]string{"-n", agents}, args...)...).CombinedOutput()
		fmt.Fprintf(&about, "$ kubectl %s (%v)\n%s\n", strings.Join(args, " "), err, out)
	}
	return about.String()
}

// runPod makes a pod of the workload's image, with one container of the same name.
func runPod(t *testing.T, name, restart string, args ...string) {
	t.Helper()
	quoted := fmt.Sprintf("%q", args)
	pod := fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s}
spec:
  restartPolicy: %s
  terminationGracePeriodSeconds: 1
  containers:
    - {name: %s, image: %q, imagePullPolicy: Never, args: %s}
`, name, work, restart, name, WorkloadImage, strings.Join(strings.Fields(quoted), ", "))
	if _, err := output(node.Command(t.Context(), "kubectl", "apply", "-f", "-"), pod); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until there is no error, for as long as that may take.
func eventually(t *testing.T, within time.Duration, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := poll(ctx, 200*time.Millisecond, f); err != nil {
		t.Fatalf("not after %s: %v\n%s", within, err, aboutAgents(t))
	}
}

// is asks kubectl for one field until it has a value.
func is(t *testing.T, within time.Duration, want string, args ...string) {
	t.Helper()
	eventually(t, within, func() error {
		out, err := output(node.Command(t.Context(), "kubectl", args...), "")
		if err == nil && strings.TrimSpace(out) != want {
			err = fmt.Errorf("kubectl %s: %q, want %q", strings.Join(args, " "), out, want)
		}
		return err
	})
}

// get fetches a page of a leatd on the node.
func get(t *testing.T, path string) (string, error) {
	t.Helper()
	out, err := fetch(t.Context(), "http://"+NodeIP+":9110"+path)
	if err != nil {
		return "", errors.Join(errors.New("the node's port"), err)
	}
	return out, nil
}
