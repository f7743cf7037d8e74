//go:build e2e

package servers

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestNodeExporter: it serves with the flags that were given, is the process that it says, and is gone after Stop.
func TestNodeExporter(t *testing.T) {
	e, err := StartNodeExporter(t.Context(), NodeExporterOptions{Args: []string{"--collector.disable-defaults", "--collector.uname"}})
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(e.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(text), "\nnode_uname_info{") || strings.Contains(string(text), "\nnode_cpu_") {
		t.Errorf("%v, and /metrics is\n%s", err, text)
	}
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(e.PID()), "cmdline"))
	if err != nil || !strings.Contains(string(name), "--collector.uname") {
		t.Errorf("process %d is %q (%v)", e.PID(), name, err)
	}
	for range 2 {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	}
	if _, err := client.Get(e.URL); err == nil {
		t.Error("it answers after Stop")
	}
}

func TestNodeExporterThatCannotStart(t *testing.T) {
	_, err := StartNodeExporter(t.Context(), NodeExporterOptions{Args: []string{"--collector.nonsense"}})
	if err == nil || !strings.Contains(err.Error(), "unknown long flag '--collector.nonsense'") {
		t.Errorf("error %v, want node_exporter's own", err)
	}
}
