//go:build e2e

package node

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/leatd/leat/benchmarks/servers"
)

// TestAgainstNodeExporter: every family that a real node_exporter shows of this machine is there with the same type, help and
// labels, and no other; the same collectors succeed.
func TestAgainstNodeExporter(t *testing.T) {
	real, err := servers.StartNodeExporter(t.Context(), servers.NodeExporterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := real.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := start(t, setup{})
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(real.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	theirs := gathered{families: c.parse(string(text))}
	ours := c.gather(order{})
	for _, g := range []gathered{theirs, ours} {
		maps.DeleteFunc(g.families, func(name string, _ *dto.MetricFamily) bool { return !strings.HasPrefix(name, "node_") })
	}
	if got, want := slices.Sorted(maps.Keys(ours.families)), slices.Sorted(maps.Keys(theirs.families)); !slices.Equal(got, want) {
		t.Errorf("the families are\n%q\nnode_exporter has\n%q", got, want)
	}
	for name, want := range theirs.families {
		got := ours.families[name]
		if got.GetType() != want.GetType() || got.GetHelp() != want.GetHelp() || !slices.Equal(labelNames(got), labelNames(want)) {
			t.Errorf("%s: %s %q %q\nnode_exporter has %s %q %q", name, got.GetType(), got.GetHelp(), labelNames(got), want.GetType(), want.GetHelp(), labelNames(want))
		}
	}
	if got, want := ours.failed(), theirs.failed(); !slices.Equal(got, want) {
		t.Errorf("these collectors do not succeed: %q, in node_exporter: %q", got, want)
	}
	t.Logf("%d families, %d series of node_exporter's", len(theirs.families), strings.Count(string(text), "\nnode_"))
	if len(theirs.families) < 100 {
		t.Error("that is too few to be all")
	}
}

// labelNames are the sets of label names that a family's series have, sorted.
func labelNames(f *dto.MetricFamily) (sets []string) {
	seen := map[string]bool{}
	for _, m := range f.GetMetric() {
		var names []string
		for _, l := range m.Label {
			names = append(names, l.GetName())
		}
		slices.Sort(names)
		seen[strings.Join(names, ",")] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
