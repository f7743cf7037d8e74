package agents

import (
	"context"
	"fmt"
	"io"
	"os/exec"
)

// fluentBit is Fluent Bit, 3.2 or later for its YAML. Its manual:
//
//   - "Tail": multiline.parser cri takes the head apart and joins partial lines; db keeps the positions, and db.locking
//     makes that faster; tag_regex takes names from the path, once for a file; mem_buf_limit bounds what is read ahead;
//     buffers beyond 32k, and long lines skipped, so that no line ends a file.
//   - "Multi-threading": inputs and outputs run in threads of their own.
//   - "Loki": what is left of a record when labels and keys are taken out is the line itself; gzip is the one compression
//     that it has.
//   - "Scheduling and retries": retry_limit no_limits tries again without end.
//   - "Fluent Bit metrics" and "Prometheus exporter" serve /metrics.
func fluentBit() Agent {
	const advice = "see docs.fluentbit.io, Installation, and put fluent-bit into PATH (its package has it in /opt/fluent-bit/bin)"
	a := Agent{Name: "fluent-bit", Protocols: []string{"loki"}}
	a.built = func() bool { _, err := exec.LookPath(a.Name); return err == nil }
	a.Build = func(ctx context.Context, _ io.Writer) (path, version string, err error) {
		return installed(ctx, a.Name, advice)
	}
	a.Command = func(_ string, j Job) (args, env []string, err error) {
		text, err := fill(fluentBitConfig, j)
		if err != nil {
			return nil, nil, fmt.Errorf("fluent-bit: %w", err)
		}
		args, err = a.configure(j, "fluent-bit.yaml", text, "--config=")
		return args, nil, err
	}
	return a
}

// The tag's parts are namespace, pod and container, parted by dots: a pod whose name has a dot would be labelled wrongly.
const fluentBitConfig = `service:
  flush: 0.2
  log_level: warn
pipeline:
  inputs:
    - name: tail
      path: $LOGS/*/*/*.log
      tag: <namespace>.<pod>.<container>
      tag_regex: '(?<namespace>[^_/]+)_(?<pod>[^_/]+)_[^/]+/(?<container>[^/]+)/[0-9]+\.log$'
      multiline.parser: cri
      read_from_head: true
      refresh_interval: 5
      db: $STATE/positions.db
      db.locking: true
      mem_buf_limit: 64M
      buffer_chunk_size: 256k
      buffer_max_size: 1M
      skip_long_lines: true
      threaded: true
    - name: fluentbit_metrics
      tag: metrics
      scrape_interval: 15
  outputs:
    - name: loki
      match_regex: '^[^.]+\.[^.]+\.[^.]+$'
      host: $HOST
      port: $PORT
      labels: namespace=$TAG[0], pod=$TAG[1], container=$TAG[2], stream=$stream
      remove_keys: time, stream, _p
      drop_single_key: raw
      compress: gzip
      retry_limit: no_limits
      workers: 1
    - name: prometheus_exporter
      match: metrics
      host: $LISTEN_HOST
      port: $LISTEN_PORT
`
