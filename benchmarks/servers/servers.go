// Package servers starts the real servers that end-to-end tests and comparisons need: Grafana Loki; otelsink, which is the
// OpenTelemetry Collector's own receiver in front of a file; Prometheus, with promtool; and node_exporter, which leatd
// is compared with.
//
// Each stands in a nested module, so that its hundreds of dependencies never meet the project's. Build puts it into a
// cache outside the checkout, once; `make e2e` does that before the tests, whose time is limited.
//
// Kubernetes, CoreDNS, Helm and Debian give the parts of a node to package deploy/kubetest, which runs them; Definitions are
// the custom resources that it knows there.
//
// A server listens on loopback only, on ports that were free, and sends nothing anywhere by itself. Whoever starts one
// owns it and stops it; the context of a Start function bounds the start, not the life. Nothing outlives the process
// that started it, not even when that is killed: the kernel kills the server then. What a server says is kept in a file
// of its folder, and the end of it is part of every error.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	startTime = time.Minute              // a server that isn't ready by then never will be
	stopTime  = 20 * time.Second         // between SIGTERM and SIGKILL
	askEvery  = 20 * time.Millisecond    // how often a starting server is asked whether it is ready
	logShown  = 4 << 10                  // bytes of a server's log in an error
	errInUse  = "address already in use" // how every server says that a port was taken meanwhile
)

// A process is one running server.
type process struct {
	name   string
	dir    string // its files; removed by stop if ownDir
	ownDir bool
	cmd    *exec.Cmd
	done   <-chan struct{} // closed when the process has ended and was waited for
	exit   *error          // how it ended, to be read after done
	ended  bool            // stop has been called; owned by the caller of stop
}

// newProcess readies the folder that a server writes to: dir, or a temporary one if dir is empty.
func newProcess(name, dir string) (*process, error) {
	p := &process{name: name, dir: dir, ownDir: dir == ""}
	if p.ownDir {
		made, err := os.MkdirTemp("", "leat-"+name+"-")
		if err != nil {
			return nil, fmt.Errorf("%s: folder: %w", name, err)
		}
		p.dir = made
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%s: folder: %w", name, err)
	}
	return p, nil
}

func (p *process) logPath() string { return filepath.Join(p.dir, p.name+".log") }
func (p *process) outPath() string { return filepath.Join(p.dir, p.name+".out") }

// run starts the program and returns when ready says that it serves, with an error if it ended before that.
func (p *process) run(ctx context.Context, program string, args []string, ready func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := p.start(program, args); err != nil {
		return err
	}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for !ready(ctx) {
		select {
		case <-tick.C:
		case <-p.done:
			return p.failure("ended before it was ready", *p.exit)
		case <-ctx.Done():
			err := p.failure("not ready in time", ctx.Err())
			return errors.Join(err, p.halt())
		}
	}
	return nil
}

func (p *process) start(program string, args []string) error {
	stderr, err := os.Create(p.logPath())
	if err != nil {
		return fmt.Errorf("%s: log: %w", p.name, err)
	}
	defer stderr.Close()
	stdout, err := os.Create(p.outPath())
	if err != nil {
		return fmt.Errorf("%s: output: %w", p.name, err)
	}
	defer stdout.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, stdout, stderr
	if p.done, p.exit, err = Tie(p.cmd); err != nil {
		return fmt.Errorf("%s: start: %w", p.name, err)
	}
	return nil
}

// stop ends the server, waits for it, and removes its folder if it was a temporary one. A server that had ended by
// itself, or had to be killed, is an error. Calling it again does nothing.
func (p *process) stop() error {
	err := p.end()
	if p.ownDir {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}

// end is stop, but leaves the folder as it is.
func (p *process) end() error {
	if p.ended {
		return nil
	}
	p.ended = true
	select {
	case <-p.done:
		return p.failure("had ended by itself", *p.exit)
	default:
		return p.halt()
	}
}

// halt sends SIGTERM, then SIGKILL, and returns when the process has been waited for.
func (p *process) halt() error {
	// Signals that come too late find a process that has been waited for, which is no error.
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTime):
	}
	err := p.failure("did not stop on SIGTERM and was killed", nil)
	p.cmd.Process.Kill()
	<-p.done
	return err
}

// failure is an error that shows the end of the server's log.
func (p *process) failure(what string, cause error) error {
	text, err := os.ReadFile(p.logPath())
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %s", p.name, what), cause, err)
	}
	if len(text) > logShown {
		text = text[len(text)-logShown:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	if cause == nil {
		return fmt.Errorf("%s: %s; its log ends:\n%s", p.name, what, text)
	}
	return fmt.Errorf("%s: %s: %w; its log ends:\n%s", p.name, what, cause, text)
}
