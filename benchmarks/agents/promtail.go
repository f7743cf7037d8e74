package agents

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/leatd/leat/benchmarks/servers"
)

// promtail is Grafana's Promtail. Its documentation:
//
//   - "Scraping (service discovery)": labels come from what Kubernetes says of a container, once for its log and not for
//     every line. So each container that is there gets a target of its own, as the API server would have it.
//   - "cri" of the pipeline's stages: takes the head apart and joins partial lines.
//   - "Configuration": batchwait is 1s by default and 200ms here, batchsize 1 MiB; max_retries 0 tries again without end;
//     positions are saved every 10s, as by default.
func promtail() Agent {
	a := Agent{Name: "promtail", Protocols: []string{"loki"}, built: servers.PromtailBuilt}
	a.Build = func(ctx context.Context, log io.Writer) (path, version string, err error) {
		if !servers.PromtailBuilt() {
			fmt.Fprintln(log, "promtail: building it, which takes minutes the first time")
		}
		if path, err = servers.Promtail(ctx); err != nil {
			return "", "", err
		}
		version, err = moduleVersion(path, "github.com/grafana/loki/v3")
		return path, version, err
	}
	a.Command = func(_ string, j Job) (args, env []string, err error) {
		text, err := fill(promtailConfig, j)
		if err != nil {
			return nil, nil, fmt.Errorf("promtail: %w", err)
		}
		targets, err := promtailTargets(j.Logs)
		if err != nil {
			return nil, nil, err
		}
		args, err = a.configure(j, "promtail.yaml", text+targets, "-config.file=")
		return args, nil, err
	}
	return a
}

// promtailTargets names every container below logs, whose folders are NAMESPACE_POD_UID/CONTAINER.
func promtailTargets(logs string) (string, error) {
	folders, err := filepath.Glob(filepath.Join(logs, "*_*_*", "*"))
	if err != nil || len(folders) == 0 {
		return "", fmt.Errorf("promtail: %s: no container's folder is there yet: make the logs first", logs)
	}
	var text strings.Builder
	for _, folder := range folders {
		pod := strings.Split(filepath.Base(filepath.Dir(folder)), "_")
		fmt.Fprintf(&text, "      - targets: [localhost]\n        labels: {namespace: %q, pod: %q, container: %q, __path__: %q}\n",
			pod[0], pod[1], filepath.Base(folder), filepath.Join(folder, "*.log"))
	}
	return text.String(), nil
}

const promtailConfig = `server:
  http_listen_address: $LISTEN_HOST
  http_listen_port: $LISTEN_PORT
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: 0
  log_level: warn
positions:
  filename: $STATE/positions.yaml
clients:
  - url: $URL/loki/api/v1/push
    batchwait: 200ms
    batchsize: 1048576
    backoff_config: {max_retries: 0}
scrape_configs:
  - job_name: pods
    pipeline_stages:
      - cri: {}
    static_configs:
`
