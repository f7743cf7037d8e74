package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatd/leat/collector/container"
)

// TestSaysNoHostPIDs: what is missing without the host's PID namespace is said once, by check and at the start.
func TestSaysNoHostPIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, self string
		containers string
		said       int
	}{
		{"another namespace", "1", "true", 1},
		{"and nobody cares", "1", "false", 0},
		{"no /proc that tells", "", "true", 0},
	} {
		h := newHost(t)
		proc := filepath.Join(h.dir, "proc")
		if err := os.Mkdir(proc, 0o755); err != nil {
			t.Fatal(err)
		}
		if c.self != "" {
			if err := os.Symlink(c.self, filepath.Join(proc, "self")); err != nil {
				t.Fatal(err)
			}
		}
		h.metrics = "metrics: {node: false, containers: " + c.containers + "}\n"
		flags := []string{"--config.file", h.config("http", "http://localhost:1"), "--path.procfs", proc}
		if got := call(t.Context(), append([]string{"check"}, flags...)...); got.code != exitOK || strings.Count(got.stdout, "note: "+container.NoHostPIDs) != c.said {
			t.Errorf("%s: check says %+v", c.name, got)
		}
		d := start(t, flags...)
		d.stop()
		if said := d.log.String(); strings.Count(said, "no container_network_*") != c.said {
			t.Errorf("%s: leatd says\n%s", c.name, said)
		}
	}
}
