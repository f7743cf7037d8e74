package agents

import (
	"context"
	"fmt"
	"io"
	"os/exec"
)

// vector is Datadog's Vector. Its reference:
//
//   - "Kubernetes logs" needs an API server, so it is "File" here: read_from beginning, checkpoints in data_dir, names from
//     the file's path, and ignore_checkpoints off.
//   - "Remap" takes the head and the path apart; "Reduce" joins partial lines: ends_when, group_by, merge_strategies.
//   - "Loki": labels as templates, codec text for the line itself, snappy, and out_of_order_action accept, since Loki takes
//     such lines by now. A request waits for batch.timeout_secs.
//   - "End-to-end acknowledgements": checkpoints move on delivery. It tries again without end by default.
//   - "Internal metrics" and "Prometheus exporter" serve /metrics.
func vector() Agent {
	const advice = "see vector.dev/docs/setup/installation, and put vector into PATH"
	a := Agent{Name: "vector", Protocols: []string{"loki"}}
	a.built = func() bool { _, err := exec.LookPath(a.Name); return err == nil }
	a.Build = func(ctx context.Context, _ io.Writer) (path, version string, err error) {
		return installed(ctx, a.Name, advice)
	}
	a.Command = func(_ string, j Job) (args, env []string, err error) {
		text, err := fill(vectorConfig, j)
		if err != nil {
			return nil, nil, fmt.Errorf("vector: %w", err)
		}
		args, err = a.configure(j, "vector.yaml", text, "--config=")
		return args, []string{"VECTOR_LOG=warn"}, err
	}
	return a
}

const vectorConfig = `data_dir: $STATE
sources:
  pods:
    type: file
    include: ["$LOGS/*/*/*.log"]
    read_from: beginning
    max_line_bytes: 262144
  own:
    type: internal_metrics
transforms:
  cri:
    type: remap
    inputs: [pods]
    source: |
      path = parse_regex!(.file, r'(?P<namespace>[^_/]+)_(?P<pod>[^_/]+)_[^/]+/(?P<container>[^/]+)/[^/]+$')
      head = parse_regex!(.message, r'(?s)^(?P<time>\S+) (?P<stream>\S+) (?P<flag>[FP]) (?P<text>.*)$')
      . = {
        "timestamp": parse_timestamp!(head.time, "%+"), "message": head.text, "stream": head.stream, "flag": head.flag,
        "namespace": path.namespace, "pod": path.pod, "container": path.container,
      }
  whole:
    type: reduce
    inputs: [cri]
    group_by: [namespace, pod, container, stream]
    ends_when: .flag == "F"
    merge_strategies: {message: concat_raw, flag: retain, timestamp: discard}
sinks:
  store:
    type: loki
    inputs: [whole]
    endpoint: $URL
    encoding: {codec: text}
    labels:
      namespace: "{{ namespace }}"
      pod: "{{ pod }}"
      container: "{{ container }}"
      stream: "{{ stream }}"
    compression: snappy
    out_of_order_action: accept
    batch: {timeout_secs: 0.2}
    acknowledgements: {enabled: true}
  metrics:
    type: prometheus_exporter
    inputs: [own]
    address: $LISTEN_HOST:$LISTEN_PORT
`
