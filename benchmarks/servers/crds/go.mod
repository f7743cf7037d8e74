// This module names where definitions of custom resources are taken from (../crds.go). Nothing of it is built: they are
// YAML files beside the Go packages. A new version: change it below, empty go.sum, `go mod download -json` of each.
module github.com/leatd/leat/benchmarks/servers/crds

go 1.26.0

require (
	github.com/openshift/api v0.0.0-20251015095338-264e80a2b6e7
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
