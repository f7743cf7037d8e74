// Package agents knows how leatd and the agents that it is compared with are built and configured for one and the same
// work: tail every container's log in a folder as the kubelet keeps it, take the CRI head of each line apart (time, stream,
// partial lines joined), label it with its namespace, pod and container, keep the positions on disk, compress, and try
// again what fails, without end.
//
// What their documentation advises for that is followed, and each file says which page advises what. Where it leaves a
// choice, the one that costs an agent less is taken: no peer keeps its queue on disk, so, other than leatd's, their
// positions can be ahead of what was delivered. A request waits at most 200 ms for more lines, as with leatd.
//
// leatd is built from this checkout, the OpenTelemetry Collector and Promtail from their own source (package servers):
// minutes the first time, then they are in the cache. Fluent Bit and Vector are taken where they are installed, since
// neither can be had as a Go module or from Debian; what is said to them follows their manuals, and TestAgents tries it
// where they are; it never has been so far. vlagent is not here yet.
//
// Whoever calls starts the process, with the arguments and variables of Command, and stops it with SIGTERM.
package agents

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNotHere is what Build answers for an agent that has to be installed first; the text around it says how.
var ErrNotHere = errors.New("not installed")

// A Job is what an agent shall do.
type Job struct {
	Logs     string // the folder that stands for /var/log/pods; the containers' folders are there before Command is called
	State    string // an empty folder of the agent's own: configuration, positions, buffers
	URL      string // base URL of the receiver: http://127.0.0.1:PORT
	Protocol string // "loki" or "otlp"
	Listen   string // host:port where the agent serves its own /metrics
	Sinks    int    // how many times the logs are delivered, to URL/1, URL/2, …: 0 and 1 are URL alone; more is leatd's only
}

// An Agent is one that can do a Job.
type Agent struct {
	Name      string
	Protocols []string

	// Build makes sure that the program is there. It writes to log what takes long, and wraps ErrNotHere in its error
	// where it cannot be had.
	Build func(ctx context.Context, log io.Writer) (path, version string, err error)

	// Command writes what the agent needs into j.State, and says how it is started: its arguments, and variables in
	// addition to this process's own.
	Command func(path string, j Job) (args, env []string, err error)

	built func() bool // whether Build takes no longer than a moment
}

// All are the agents that are known here, leatd first.
func All() []Agent {
	return []Agent{
		leatd(),
		otelcol(),
		promtail(),
		fluentBit(),
		vector(),
	}
}

// check refuses what the agent can't do.
func (a Agent) check(j Job) error {
	if !slices.Contains(a.Protocols, j.Protocol) {
		return fmt.Errorf("%s: job: no protocol %q: it has %s", a.Name, j.Protocol, strings.Join(a.Protocols, ", "))
	}
	if j.Sinks > 1 && a.Name != leatdName {
		return fmt.Errorf("%s: job: %d sinks: only leatd is measured with more than one", a.Name, j.Sinks)
	}
	return nil
}

// configure is what most Commands do: check the job, write one file, and name it in an argument.
func (a Agent) configure(j Job, file, text, argument string) (args []string, err error) {
	if err := a.check(j); err != nil {
		return nil, err
	}
	path := filepath.Join(j.State, file)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return nil, fmt.Errorf("%s: configuration: %w", a.Name, err)
	}
	return []string{argument + path}, nil
}

// fill puts a job's values in the place of their names in a configuration: words in capitals with a $ before them. It
// knows $LOGS, $STATE, $URL, $HOST and $PORT (of URL), $LISTEN_HOST and $LISTEN_PORT.
func fill(text string, j Job) (string, error) {
	receiver, err := url.Parse(j.URL)
	if err != nil || receiver.Port() == "" {
		return "", fmt.Errorf("job: URL %q: must be http://HOST:PORT", j.URL)
	}
	host, port, ok := strings.Cut(j.Listen, ":")
	if !ok {
		return "", fmt.Errorf("job: Listen %q: must be HOST:PORT", j.Listen)
	}
	return strings.NewReplacer(
		"$LOGS", j.Logs, "$STATE", j.State,
		"$URL", j.URL, "$HOST", receiver.Hostname(), "$PORT", receiver.Port(),
		"$LISTEN_HOST", host, "$LISTEN_PORT", port,
	).Replace(text), nil
}

// moduleVersion is the version of a module that a Go program was built with.
func moduleVersion(path, module string) (string, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("version: %w", err)
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return m.Version, nil
		}
	}
	return "", fmt.Errorf("version: %s: built without %s", path, module)
}

// installed looks for a program where the system's are, and asks it for its version.
func installed(ctx context.Context, name, advice string) (path, version string, err error) {
	path, err = exec.LookPath(name)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w: %s", name, ErrNotHere, advice)
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", "", fmt.Errorf("%s: version: %w", name, err)
	}
	version, _, _ = strings.Cut(string(out), "\n")
	return path, version, nil
}
