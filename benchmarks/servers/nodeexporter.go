package servers

import (
	"context"
	"errors"
	"os"
	"regexp"
)

// NodeExporterOptions say what a test wants to be different.
type NodeExporterOptions struct {
	// Dir is where its log is kept. Empty takes a temporary folder, which Stop removes.
	Dir string

	// Args are further flags, "--collector.disable-defaults" for example.
	Args []string
}

// A NodeExporter is one running node_exporter.
type NodeExporter struct {
	// URL is where it listens, "http://127.0.0.1:PORT". Its metrics are at /metrics.
	URL string

	process *process
}

// nodeExporterListens is in node_exporter's log once it listens, for it says so after it does.
var nodeExporterListens = regexp.MustCompile(`msg="Listening on" address=(\S+)\n`)

// StartNodeExporter starts a node_exporter with its default flags and those of options, and returns when it listens.
func StartNodeExporter(ctx context.Context, options NodeExporterOptions) (*NodeExporter, error) {
	path, err := nodeExporter.binary(ctx)
	if err != nil {
		return nil, err
	}
	p, err := newProcess("nodeexporter", options.Dir)
	if err != nil {
		return nil, err
	}
	e := &NodeExporter{process: p}
	listens := func(context.Context) bool {
		said, err := os.ReadFile(p.logPath())
		if m := nodeExporterListens.FindSubmatch(said); err == nil && m != nil {
			e.URL = "http://" + string(m[1])
		}
		return e.URL != ""
	}
	args := append([]string{"--web.listen-address=127.0.0.1:0"}, options.Args...)
	if err := p.run(ctx, path, args, listens); err != nil {
		if p.ownDir {
			err = errors.Join(err, os.RemoveAll(p.dir))
		}
		return nil, err
	}
	return e, nil
}

// PID is the process's, for a measurement of what it costs.
func (e *NodeExporter) PID() int { return e.process.cmd.Process.Pid }

// Stop ends node_exporter and waits for it. It is an error if it had ended by itself. Calling it again does nothing.
func (e *NodeExporter) Stop() error { return e.process.stop() }
