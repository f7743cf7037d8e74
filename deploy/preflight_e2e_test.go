//go:build e2e

package deploy

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestPreflight: what is checked before anything changes is what leatd will get, webConfig too.
func TestPreflight(t *testing.T) {
	t.Parallel()
	text := render(t, "--set", "webConfig.basic_auth_users.prometheus=hash", "--set", "config.labels.a=b")
	secrets := map[any]any{}
	for _, o := range objects(t, text) {
		if o["kind"] == "Secret" {
			secrets[o.at(t, "metadata", "name")] = o.at(t, "stringData", "web.yaml")
		}
	}
	if web := secrets["leat-web"]; web == nil || secrets["leat-preflight"] != web {
		t.Errorf("the Secrets are %q", secrets)
	}
	job := only(t, text, "Job")
	config := only(t, text, "ConfigMap").at(t, "data", "leat.yaml")
	if got := job.at(t, "spec", "template", "metadata", "annotations", "leat/config"); got != config {
		t.Errorf("the Job checks\n%s\nand not\n%s", got, config)
	}
	container := object(job.at(t, "spec", "template", "spec", "containers", 0).(map[string]any))
	args := container.at(t, "args").([]any)
	for _, arg := range check(t, only(t, text, "DaemonSet")).(map[string]any)["args"].([]any) {
		if strings.Contains(arg.(string), ".file=") && !slices.Contains(args, arg) {
			t.Errorf("the Job checks with %q, without %s", args, arg)
		}
	}
	// Both files are where the flags say: the last mount but those of secrets, and the last volume, are webConfig's.
	if mount, volume := object(container.at(t, "volumeMounts", 1).(map[string]any)), object(job.at(t, "spec", "template", "spec", "volumes", 1).(map[string]any)); mount["mountPath"] != "/etc/leat-web" || mount["name"] != volume["name"] || volume.at(t, "secret", "secretName") != "leat-preflight" {
		t.Errorf("%v is mounted from %v", mount, volume)
	}
}

// TestImage: a registry and pull secrets of a chart above take part.
func TestImage(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("12", 32)
	for set, want := range map[string]string{
		"image.tag=1":                               "ghcr.io/leatd/leat:1",
		"image.tag=1,image.registry=":               "leatd/leat:1",
		"image.digest=" + digest + ",image.tag=1":   "ghcr.io/leatd/leat@" + digest,
		"image.tag=1,global.imageRegistry=r.test/x": "r.test/x/leatd/leat:1",
	} {
		out, err := helm(t, "template", "leat", chart, "--set-string", set)
		if err != nil {
			t.Error(err)
			continue
		}
		if n := strings.Count(out, "image: "+want+"\n"); n != 4 { // leatd, its check, preflight and test
			t.Errorf("--set %s: %d images %s, want 4", set, n, want)
		}
	}
	text := render(t, "--set", "imagePullSecrets[0].name=a,global.imagePullSecrets[0].name=b")
	want := []any{map[string]any{"name": "a"}, map[string]any{"name": "b"}}
	for kind, path := range map[string][]any{"DaemonSet": {"spec", "template", "spec"}, "Job": {"spec", "template", "spec"}, "Pod": {"spec"}} {
		if got := only(t, text, kind).at(t, append(path, "imagePullSecrets")...); !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s pulls with %v", kind, got)
		}
	}
}
