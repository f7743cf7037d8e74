package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestIsOwn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key, namespace, pod string
		want                bool
	}{
		{"leat_leat-abcde_1/leatd", "leat", "leat-fghij", true},
		{"leat_leat-abcde_1/check", "leat", "leat-fghij", true},
		{"kube-system_leatd-node1_1/leatd", "kube-system", "leatd-node1", true}, // static: another uid
		{"leat_leat-abcde_1/sidecar", "leat", "leat-fghij", false},
		{"shop_leat-abcde_1/leatd", "leat", "leat-fghij", false},
		{"leat_leat-web-abcde_1/leatd", "leat", "leat-fghij", false}, // of a Deployment leat
		{"leat_other-abcde_1/leatd", "leat", "leat-fghij", false},
		{"leat_abcde_1/leatd", "leat", "fghij", false}, // nothing is left of the name
		{"leat_leat-abcde_1/leatd", "", "leat-fghij", false},
		{"leat_leat-abcde_1/leatd", "leat", "", false},
		{"__1/leatd", "", "", false},
		{"/var/log/leatd", "leat", "leat-fghij", false},
	} {
		if got := isOwn(c.key, c.namespace, c.pod); got != c.want {
			t.Errorf("%s is own of %s/%s: %v, want %v", c.key, c.namespace, c.pod, got, c.want)
		}
	}
}

// TestOwnPodIsReplaced: leatd's own earlier pod is deleted with its log, and another pod with it. The last lines of the one
// are missed by nobody, and this is said; those of the other are a gap. A log that is still there is read to its end.
func TestOwnPodIsReplaced(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	cfg := h.config("http", store.URL)
	as := func(pod string) *daemon {
		cmd := exec.Command(binary, "--web.listen-address", "127.0.0.1:0", "--config.file", cfg)
		cmd.Env = append(os.Environ(), "POD_NAMESPACE=leat", "POD_NAME="+pod)
		return awaitServing(launch(t, cmd))
	}
	const own, kept, sidecar, shop = "leat_leat-abcde_1/leatd", "leat_leat-abcde_1/check", "leat_leat-abcde_1/sidecar", "shop_web-0_2/app"
	logs := []string{own, kept, sidecar, shop}
	for _, log := range logs {
		h.write(log+"/0.log", cri(0, "stdout", bodies(0, 5)...))
	}
	d := as("leat-abcde")
	d.eventually("all cursors are saved", func() error {
		text, err := os.ReadFile(filepath.Join(h.state, "central", "cursors.json"))
		if n := strings.Count(string(text), `"delivered_lines":5,`); err == nil && n != len(logs) {
			err = fmt.Errorf("%d are: %s", n, text)
		}
		return err
	})
	d.kill()
	for _, log := range logs {
		h.write(log+"/0.log", cri(5, "stdout", bodies(5, 6)...))
	}
	if err := errors.Join(os.Remove(filepath.Join(h.pods, own, "0.log")), os.RemoveAll(filepath.Join(h.pods, sidecar)), os.Remove(filepath.Join(h.pods, shop, "0.log"))); err != nil {
		t.Fatal(err)
	}

	d = as("leat-fghij")
	d.metric(1, "leat_log_delivered_lines_total", "container=check")
	for _, log := range []string{own, shop} { // the kubelet removes the pod's folder later than its log
		if err := os.Remove(filepath.Join(h.pods, log)); err != nil {
			t.Fatal(err)
		}
	}
	d.eventually("the other pod's gap", func() error {
		a := d.auditJSON()
		if n := a.Sinks[0].SinceStart.Gaps; n != 1 || !a.Verdict.Lost {
			return fmt.Errorf("%d gaps, %+v", n, a.Verdict)
		}
		return nil
	})
	if said := d.log.String(); !strings.Contains(said, "what they logged last was not read") || !strings.Contains(said, own) || strings.Contains(said, sidecar) || strings.Contains(said, kept) {
		t.Errorf("of leatd's own earlier pod it says\n%s", said)
	}
	if a := d.auditJSON(); !slices.ContainsFunc(a.CannotKnow, func(s string) bool { return strings.Contains(s, "leatd itself logged last") }) {
		t.Errorf("an audit cannot know %q", a.CannotKnow)
	}
	d.stop()
}
