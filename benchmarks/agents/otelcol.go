package agents

import (
	"context"
	"fmt"
	"io"

	"github.com/leatd/leat/benchmarks/servers"
)

// otelcol is the OpenTelemetry Collector.
//
//   - The filelog receiver's README: start_at, the offsets in a storage extension, and retry_on_failure.
//   - The container operator's page: the format named where it is known, and the path in an attribute, from which it
//     takes the Kubernetes ones.
//   - The file storage extension's README: create_directory; fsync stays off, as by default.
//   - The exporter helper's README: batches are made in the sending queue, after 200 ms or 8,192 records by default;
//     block_on_overflow, since a full queue drops otherwise; and max_elapsed_time 0 to try again without end. Its queue
//     stays in memory.
//   - The HTTP settings' README: zstd, at its level 1, the fastest.
func otelcol() Agent {
	a := Agent{Name: "otelcol", Protocols: []string{"otlp"}, built: servers.OtelcolBuilt}
	a.Build = func(ctx context.Context, log io.Writer) (path, version string, err error) {
		if !servers.OtelcolBuilt() {
			fmt.Fprintln(log, "otelcol: building it, which takes minutes the first time")
		}
		if path, err = servers.Otelcol(ctx); err != nil {
			return "", "", err
		}
		version, err = moduleVersion(path, "go.opentelemetry.io/collector/otelcol")
		return path, version, err
	}
	a.Command = func(_ string, j Job) (args, env []string, err error) {
		text, err := fill(otelcolConfig, j)
		if err != nil {
			return nil, nil, fmt.Errorf("otelcol: %w", err)
		}
		args, err = a.configure(j, "otelcol.yaml", text, "--config=file:")
		return args, nil, err
	}
	return a
}

const otelcolConfig = `extensions:
  file_storage:
    directory: $STATE/positions
    create_directory: true
receivers:
  file_log:
    include: ["$LOGS/*/*/*.log"]
    start_at: beginning
    include_file_path: true
    include_file_name: false
    storage: file_storage
    retry_on_failure: {enabled: true, max_elapsed_time: 0}
    operators:
      - {type: container, format: containerd}
exporters:
  otlp_http:
    endpoint: $URL
    compression: zstd
    compression_params: {level: 1}
    retry_on_failure: {max_elapsed_time: 0}
    sending_queue:
      block_on_overflow: true
      batch: {flush_timeout: 200ms}
service:
  extensions: [file_storage]
  telemetry:
    logs: {level: warn}
    metrics:
      readers:
        - pull: {exporter: {prometheus: {host: $LISTEN_HOST, port: $LISTEN_PORT}}}
  pipelines:
    logs: {receivers: [file_log], exporters: [otlp_http]}
`
