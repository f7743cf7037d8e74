package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// definitions are the files that define the custom resources of the chart, by the module of the nested module crds that
// they come with.
var definitions = map[string][]string{
	"github.com/prometheus-operator/prometheus-operator": {
		"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
	},
	"github.com/openshift/api": {
		"security/v1/zz_generated.crd-manifests/0000_03_config-operator_01_securitycontextconstraints.crd.yaml",
	},
}

// Definitions are the paths of the CustomResourceDefinitions of the Prometheus operator and of OpenShift that the chart
// has objects of, as their makers publish them. They are in Go's module cache, which needs the network the first time.
func Definitions(ctx context.Context) ([]string, error) {
	root, err := checkout()
	if err != nil {
		return nil, fmt.Errorf("definitions: %w", err)
	}
	var paths []string
	for module, files := range definitions {
		cmd := exec.CommandContext(ctx, "go", "mod", "download", "-C", filepath.Join(root, "benchmarks", "servers", "crds"), "-json", module)
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, err := cmd.Output()
		var is struct{ Dir, Error string }
		if err := errors.Join(json.Unmarshal(out, &is), err); err != nil {
			return nil, fmt.Errorf("definitions: %s: %w: %s", module, err, is.Error)
		}
		for _, file := range files {
			path := filepath.Join(is.Dir, file)
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("definitions: another version of %s has it elsewhere: %w", module, err)
			}
			paths = append(paths, path)
		}
	}
	return paths, nil
}
