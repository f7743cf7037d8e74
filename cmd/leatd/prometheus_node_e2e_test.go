//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/benchmarks/servers"
)

func startNodeExporter(t *testing.T) *servers.NodeExporter {
	t.Helper()
	e, err := servers.StartNodeExporter(t.Context(), servers.NodeExporterOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// metricsOnly starts a leatd that reads no logs.
func metricsOnly(t *testing.T) *daemon {
	t.Helper()
	h := newHost(t)
	return start(t, "--config.file", h.file("leat.yaml", "state: "+h.state+"\nlogs: {pods: \"\"}\n"))
}

// TestBesideNodeExporter: leatd shows every family that node_exporter shows here, with its type, help and labels; and what
// the public dashboards and rules for it ask for.
func TestBesideNodeExporter(t *testing.T) {
	e, d := startNodeExporter(t), metricsOnly(t)
	theirs, err := fetchMetrics(strings.TrimPrefix(e.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	ours := d.metrics()
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		want, got := theirs[name], ours[name]
		if got == nil {
			t.Errorf("there is no %s: %s", name, want.GetHelp())
			continue
		}
		if got.GetType() != want.GetType() || got.GetHelp() != want.GetHelp() {
			t.Errorf("%s is a %v with the help %q, want %v %q", name, got.GetType(), got.GetHelp(), want.GetType(), want.GetHelp())
		}
		if g, w := labelNames(got), labelNames(want); !slices.Equal(g, w) {
			t.Errorf("%s has the labels %q, want %q", name, g, w)
		}
	}
	node := 0
	for name := range theirs {
		if strings.HasPrefix(name, "node_") {
			node++
		}
	}
	t.Logf("%d families, %d of them node_*", len(theirs), node)
	if node < 100 {
		t.Errorf("node_exporter shows %d families of its own", node)
	}

	text, err := os.ReadFile(filepath.Join("testdata", "node-dashboards.txt"))
	if err != nil {
		t.Fatal(err)
	}
	wanted, lacking := 0, 0
	for line := range strings.Lines(string(text)) {
		name, needs, conditional := strings.Cut(strings.TrimSpace(line), ": ")
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		wanted++
		switch {
		case ours[name] != nil:
		case conditional && theirs[name] == nil:
			lacking++
			t.Logf("not here: %s needs %s", name, needs)
		default:
			t.Errorf("the dashboards need %s", name)
		}
	}
	if wanted < 100 || lacking > wanted/2 {
		t.Errorf("%d names, and %d are not to be had here", wanted, lacking)
	}
}

// labelNames are the sets of names that a family's series have.
func labelNames(f *dto.MetricFamily) []string {
	sets := map[string]bool{}
	for _, m := range f.Metric {
		var names []string
		for _, l := range m.Label {
			names = append(names, l.GetName())
		}
		slices.Sort(names)
		sets[strings.Join(names, ",")] = true
	}
	return slices.Sorted(maps.Keys(sets))
}

// What Prometheus 3 asks for, as it is and with native histograms.
var accepted = []struct{ name, header string }{
	{"text", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"},
	{"protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," +
		"application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"},
}

// TestScrapeCost: a scrape of leatd costs at most what one of node_exporter does, beside which it shows more; and it stays
// within 32 MiB.
func TestScrapeCost(t *testing.T) {
	const rounds, scrapes = 4, 100
	e, d := startNodeExporter(t), metricsOnly(t)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	for _, accept := range accepted {
		best := math.Inf(1)
		for round := 0; round < rounds && best > 1; round++ { // other work on the machine makes a round worse, never better
			var sizes [2]int
			ours, theirs := -cpuTime(t, d.cmd.Process.Pid), -cpuTime(t, e.PID())
			for range scrapes { // in turn, so that it hits both
				sizes[0] = scrapeAs(t, client, "http://"+d.address, accept.header)
				sizes[1] = scrapeAs(t, client, e.URL, accept.header)
			}
			ours, theirs = ours+cpuTime(t, d.cmd.Process.Pid), theirs+cpuTime(t, e.PID())
			best = min(best, float64(ours)/float64(theirs))
			t.Logf("%s: a scrape costs leatd %s (%d bytes), node_exporter %s (%d bytes)", accept.name, ours/scrapes, sizes[0], theirs/scrapes, sizes[1])
		}
		if best > 1 {
			t.Errorf("%s: leatd takes %.2f times as much CPU as node_exporter at the best", accept.name, best)
		}
	}
	peak, err := peakMemory(d.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := peakMemory(e.PID())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("peak of resident memory: leatd %.1f MiB, node_exporter %.1f MiB", float64(peak)/(1<<20), float64(theirs)/(1<<20))
	if peak > 32<<20 {
		t.Error("leatd with metrics only had more than 32 MiB resident")
	}
	d.stop()
}

// scrapeAs asks for metrics as Prometheus does, and returns how many bytes they have.
func scrapeAs(t *testing.T, client *http.Client, url, accept string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := gzip.NewReader(bufio.NewReader(resp.Body))
	if err != nil {
		t.Fatalf("%s: %s: %v", url, resp.Status, err)
	}
	text, err := io.ReadAll(body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("node_cpu_seconds_total")) {
		t.Fatalf("%s: %s, %d bytes, %v", url, resp.Status, len(text), err)
	}
	return len(text)
}

// cpuTime is what a process has used, in steps of 10 ms.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// After the name, which may hold anything, the 12th and 13th are user and system time, proc_pid_stat(5).
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		t.Fatalf("process %d: %q", pid, text)
	}
	var total time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			t.Fatalf("process %d: %q: %v", pid, text, err)
		}
		total += time.Duration(ticks) * 10 * time.Millisecond
	}
	return total
}
