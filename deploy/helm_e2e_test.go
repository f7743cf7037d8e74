//go:build e2e

package deploy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/leatd/leat/benchmarks/servers"
)

// TestMain builds Helm before any test's time runs.
func TestMain(m *testing.M) {
	if _, err := servers.Helm(context.Background()); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// helm runs the real one, without a cluster and with caches of the test's own.
func helm(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	path, err := servers.Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG=/dev/null")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", errors.New(said.String())
	}
	return out.String(), nil
}

// render is `helm template` of a release leat in the namespace leat.
func render(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, append([]string{"template", "leat", chart, "--namespace", "leat"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// An object is one of Kubernetes', as YAML gives it.
type object map[string]any

// at follows keys and indices down.
func (o object) at(t *testing.T, path ...any) any {
	t.Helper()
	var v any = map[string]any(o)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("%v: nothing at %s", path, step)
			}
			v = m[step]
		case int:
			l, ok := v.([]any)
			if !ok || len(l) <= step {
				t.Fatalf("%v: nothing at %d", path, step)
			}
			v = l[step]
		}
	}
	return v
}

func objects(t *testing.T, text string) (all []object) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var o map[string]any
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if o != nil {
			all = append(all, o)
		}
	}
}

// only is the object of a kind.
func only(t *testing.T, text, kind string) object {
	t.Helper()
	var found []object
	for _, o := range objects(t, text) {
		if o["kind"] == kind {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of kind %s", len(found), kind)
	}
	return found[0]
}
