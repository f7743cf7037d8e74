//go:build e2e

package agents

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/receiver"
	"github.com/leatd/leat/collector/simulate"
)

const patience = time.Minute // for whatever an agent should do; they take seconds

// TestAgents: every agent that can be had at once delivers what lies there when it starts, and what is written over a
// rotation, every line under the labels of its container. That is about its configuration: it has time to catch up
// before the rotation, which some need in order not to lose lines.
func TestAgents(t *testing.T) {
	for _, a := range All() {
		for _, protocol := range a.Protocols {
			t.Run(a.Name+"/"+protocol, func(t *testing.T) {
				if !a.built() {
					t.Skipf("%s is not in the cache, or not in PATH: `go run ./benchmarks/compare -agent %s` says or does what is needed", a.Name, a.Name)
				}
				sinks := 1
				if a.Name == leatdName {
					sinks = 2
				}
				testAgent(t, a, protocol, sinks)
			})
		}
	}
}

func testAgent(t *testing.T, a Agent, protocol string, sinks int) {
	r := receiver.New(1 << 20)
	store := httptest.NewServer(r)
	defer store.Close()
	defer store.CloseClientConnections()
	dir := t.TempDir()
	logs := newWorkload(t, filepath.Join(dir, "pods"))
	logs.write(2000)

	j := Job{Logs: filepath.Join(dir, "pods"), State: filepath.Join(dir, "state"), URL: store.URL, Protocol: protocol, Listen: freeAddress(t), Sinks: sinks}
	if err := os.Mkdir(j.State, 0o755); err != nil {
		t.Fatal(err)
	}
	path, version, err := a.Build(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s %s", a.Name, version)
	agent := start(t, a, path, j, filepath.Join(dir, "said"))
	logs.ended = agent.ended
	logs.await(r, sinks)
	metrics(t, j.Listen)

	logs.write(200)
	logs.await(r, sinks)
	logs.rotate()
	logs.write(200)
	report := logs.await(r, sinks)
	agent.stop(t)
	if report.Foreign > 0 || report.Failed > 0 {
		t.Errorf("%+v", report)
	}
	t.Logf("%d lines in %d requests, %d twice, %d out of order", report.Lines, report.Requests, report.Duplicate, report.OutOfOrder)
}

// A workload is three containers in two pods.
type workload struct {
	t          *testing.T
	containers []*simulate.Container
	lines      []*simulate.Lines
	written    map[string]int64
	ended      <-chan struct{} // closed if the agent is no more
}

func newWorkload(t *testing.T, root string) *workload {
	w := &workload{t: t, written: map[string]int64{}}
	node := &simulate.Node{Root: root}
	for i, spec := range []simulate.Spec{
		{Namespace: "shop", Pod: "cart-0", Name: "app"},
		{Namespace: "shop", Pod: "cart-0", Name: "proxy"},
		{Namespace: "data", Pod: "postgres-0", Name: "db"},
	} {
		c, err := node.Start(spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Exit(); err != nil {
				t.Error(err)
			}
		})
		w.containers = append(w.containers, c)
		w.lines = append(w.lines, simulate.NewLines([]simulate.Shape{simulate.JSON, simulate.Java, simulate.Logfmt}[i], 1).Number(0))
	}
	return w
}

// write appends n lines to each log; every hundredth is so long that it is written in parts.
func (w *workload) write(n int) {
	w.t.Helper()
	for i, c := range w.containers {
		for k := range n {
			line, stream := w.lines[i].Append(nil, time.Now())
			if k%100 == 50 && line[0] != '{' {
				line = append([]byte(strings.Repeat("long ", 8<<10)), line...)
			}
			if err := c.Write(stream, line, time.Now()); err != nil {
				w.t.Fatal(err)
			}
		}
		spec := c.Spec()
		w.written[spec.Namespace+"/"+spec.Pod+"/"+spec.Name] = c.Written().Lines
	}
}

func (w *workload) rotate() {
	w.t.Helper()
	for _, c := range w.containers {
		if err := c.Rotate(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// await polls until all lines that were written are at all the stores.
func (w *workload) await(r *receiver.Receiver, stores int) receiver.Report {
	w.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		report := r.Check(receiver.Question{Lines: w.written, Stores: stores})
		if report.Missing == 0 && report.Requests > 0 {
			return report
		}
		select {
		case <-tick.C:
		case <-w.ended:
			w.t.Fatalf("the agent has ended: %+v", report)
		case <-deadline:
			w.t.Fatalf("after %v: %+v", patience, report)
		}
	}
}

type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it was waited for
	err   error         // how it ended, to be read after ended
}

// start runs the agent. What it says is shown if the test fails.
func start(t *testing.T, a Agent, path string, j Job, said string) *process {
	t.Helper()
	args, env, err := a.Command(path, j)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := &process{cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = out, out, append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // too late if all went well
		<-p.ended
		if text, _ := os.ReadFile(said); t.Failed() {
			t.Logf("%s %q said:\n%s", path, args, text[max(0, len(text)-4<<10):])
		}
	})
	return p
}

// stop ends the agent as a service manager does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case <-p.ended:
		if p.err != nil {
			t.Errorf("it ended with %v", p.err)
		}
	case <-time.After(patience):
		t.Error("it does not end on SIGTERM")
	}
}

// metrics makes sure that the agent serves its own where it was told to.
func metrics(t *testing.T, listen string) {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://%s/metrics", listen))
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "# TYPE ") {
		t.Errorf("/metrics: %s, %v, %.200s", resp.Status, err, body)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
