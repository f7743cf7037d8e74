package node

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// buildInfo is node_exporter_build_info as node_exporter shows it, for what dashboards and alerts ask of it. The version is
// that of the library; the revision and the branch of a library are not known.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "node_exporter_build_info",
		Help: "A metric with a constant '1' value labeled by version, revision, branch, goversion from which node_exporter was built, " +
			"and the goos and goarch for the build.",
		ConstLabels: prometheus.Labels{
			"version": libraryVersion(), "revision": "unknown", "branch": "", "tags": "unknown",
			"goversion": runtime.Version(), "goos": runtime.GOOS, "goarch": runtime.GOARCH,
		},
	}, func() float64 { return 1 })
}

// libraryVersion is node_exporter's as the binary was linked with it, such as 1.12.1; a test's binary does not know it.
func libraryVersion() string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, m := range info.Deps {
			if m.Path == "github.com/prometheus/node_exporter" {
				return strings.TrimPrefix(m.Version, "v")
			}
		}
	}
	return "unknown"
}
