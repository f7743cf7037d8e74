package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
)

// A host is a node for one test: a folder of logs, and one for state.
type host struct {
	t                *testing.T
	dir, pods, state string
	metrics          string // what configurations say of them
}

// logsOnly is what most tests are about: those that look at the ledger ten times a second would measure the node as often.
const logsOnly = "metrics: {node: false, containers: false}\n"

func newHost(t *testing.T) *host {
	dir := t.TempDir()
	h := &host{t: t, dir: dir, pods: filepath.Join(dir, "pods"), state: filepath.Join(dir, "state"), metrics: logsOnly}
	if err := os.Mkdir(h.pods, 0o755); err != nil {
		t.Fatal(err)
	}
	return h
}

// config writes a configuration with one sink and returns its path; more are further keys of the sink.
func (h *host) config(kind, url string, more ...string) string {
	keys := append([]string{"type: " + kind, "url: " + url, "max_wait: 20ms"}, more...)
	return h.file("leat.yaml", fmt.Sprintf("node: node-1\nstate: %s\n%slogs:\n  pods: %s\nsinks:\n  central: {%s}\n",
		h.state, h.metrics, h.pods, strings.Join(keys, ", ")))
}

// file writes a file beside the folder of logs.
func (h *host) file(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// write appends to a file below the folder of logs, and makes it.
func (h *host) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.pods, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		h.t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		h.t.Fatal(err)
	}
}

// started is when the lines of tests begin: an hour ago, so that no limit of age matters.
var started = time.Now().Add(-time.Hour).Truncate(time.Second)

// cri makes lines as containerd writes them, the first at the second given.
func cri(second int, stream string, bodies ...string) string {
	var b strings.Builder
	for i, body := range bodies {
		fmt.Fprintf(&b, "%s %s F %s\n", lineTime(second+i).Format(time.RFC3339Nano), stream, body)
	}
	return b.String()
}

func lineTime(second int) time.Time { return started.Add(time.Duration(second) * time.Second).UTC() }

// A daemon is a running leatd.
type daemon struct {
	t       testing.TB
	cmd     *exec.Cmd
	log     transcript      // what it writes to its standard error
	out     transcript      // and to its standard output
	address string          // of /metrics
	done    <-chan struct{} // closed when it has ended
}

var serving = regexp.MustCompile(`msg="serving /metrics" address=(\S+)`)

// start runs leatd and returns when it serves. It is killed at the end of the test if it still runs.
func start(t testing.TB, args ...string) *daemon {
	t.Helper()
	return awaitServing(launch(t, exec.Command(binary, append([]string{"--web.listen-address", "127.0.0.1:0"}, args...)...)))
}

// awaitServing returns when leatd serves.
func awaitServing(d *daemon) *daemon {
	d.t.Helper()
	d.eventually("leatd serves", func() error {
		if m := serving.FindStringSubmatch(d.log.String()); m != nil {
			d.address = m[1]
			return nil
		}
		select {
		case <-d.done:
			d.t.Fatalf("leatd has ended: %v\n%s", d.cmd.ProcessState, &d.log)
		default:
		}
		return errors.New("it does not")
	})
	return d
}

// raceOptions are for a leatd with the race detector: it ends at the first race, and at the end of all without a pause.
const raceOptions = "GORACE=halt_on_error=1 atexit_sleep_ms=0"

// launch starts a command that is leatd, or becomes it.
func launch(t testing.TB, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: cmd}
	cmd.Stderr = &d.log
	if cmd.Stdout == nil {
		cmd.Stdout = &d.out
	}
	if cmd.Env == nil {
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), raceOptions}
	}
	var err error
	if d.done, _, err = servers.Tie(cmd); err != nil { // ProcessState says how it ended
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.kill()
		if strings.Contains(d.log.String(), "DATA RACE") {
			t.Errorf("leatd races:\n%s", &d.log)
		}
		if t.Failed() {
			t.Logf("what leatd said:\n%s", &d.log)
		}
	})
	return d
}

// wait returns the exit code when leatd has ended by itself.
func (d *daemon) wait(most time.Duration) int {
	d.t.Helper()
	select {
	case <-d.done:
	case <-time.After(most):
		d.t.Fatalf("leatd still runs after %s", most)
	}
	return d.cmd.ProcessState.ExitCode()
}

// stop asks leatd to end, and wants it to be content.
func (d *daemon) stop() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	if code := d.wait(time.Minute); code != exitOK {
		d.t.Fatalf("exit code %d after SIGTERM", code)
	}
}

func (d *daemon) signal(s syscall.Signal) {
	if err := d.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Error(err)
	}
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Kill() // it may have ended
	<-d.done
}

// says waits until leatd's log has a line that holds all the words.
func (d *daemon) says(words ...string) {
	d.t.Helper()
	d.eventually(fmt.Sprintf("a log line with %q", words), func() error {
		for line := range strings.Lines(d.log.String()) {
			all := true
			for _, w := range words {
				all = all && strings.Contains(line, w)
			}
			if all {
				return nil
			}
		}
		return errors.New("there is none")
	})
}

func (d *daemon) eventually(what string, ok func() error) {
	d.t.Helper()
	eventually(d.t, what, ok)
}

// patience is how long a test waits for what other processes bring about.
const patience = 40 * time.Second

// eventually asks until the answer is nil.
func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

// A transcript keeps what is written to it. Written by one goroutine, read by any.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
