package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatd/leat/benchmarks/agents"
)

// The test's program is also each of the processes that compare starts, and an agent.
func TestMain(m *testing.M) {
	if child, err := runChild(os.Args[1:]); child || len(os.Args) > 5 && os.Args[1] == "agent" {
		if !child {
			err = fakeAgent(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else each process that ends would wait for a second
	goleak.VerifyTestMain(m)
}

// fakeAgent sends all logs to a store, one request a container, does wrong what it is told to, serves metrics, and waits for
// SIGTERM.
func fakeAgent(fault, logs, url, listen string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	paths, err := filepath.Glob(filepath.Join(logs, "*", "*", "0.log"))
	if err != nil {
		return err
	}
	if fault == "mute" {
		paths = nil
	}
	if fault != "unserved" {
		go http.ListenAndServe(listen, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "up 1\n") }))
	}
	for i, path := range paths {
		log, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pod := strings.Split(filepath.Base(filepath.Dir(filepath.Dir(path))), "_")
		var body bytes.Buffer
		for n, record := range bytes.Split(bytes.TrimSuffix(log, []byte("\n")), []byte("\n")) {
			part := strings.SplitN(string(record), " ", 4)
			if fault == "loses" && i == 1 && n == 2 {
				continue
			}
			fmt.Fprintf(&body, `{"k8s.namespace.name":%q,"k8s.pod.name":%q,"k8s.container.name":"app","log.iostream":%q,"time":%q,"msg":%q}`+"\n",
				pod[0], pod[1], part[1], part[0], part[3])
		}
		if fault == "late" && i == 1 {
			defer post(url, body.Bytes())
		}
		if fault == "doubles" && i == 0 {
			if err := post(url, body.Bytes()); err != nil {
				return err
			}
		}
		if err := post(url, body.Bytes()); err != nil {
			return err
		}
		if fault == "dies" && i == 1 {
			return fmt.Errorf("an agent's last words")
		}
	}
	<-ctx.Done()
	return nil
}

func post(url string, body []byte) error {
	resp, err := http.Post(url+"/ndjson", "application/x-ndjson", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// faulty is a bench with the fake agent alone.
func faulty(t *testing.T, fault string) *bench {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := agents.Agent{Name: ours, Protocols: []string{"loki"}}
	a.Command = func(_ string, j agents.Job) (args, env []string, err error) {
		return []string{"agent", fault, j.Logs, j.URL, j.Listen}, nil, nil
	}
	return &bench{
		options:    options{size: 64 << 10, repeat: 1, folder: t.TempDir(), quiet: 100 * time.Millisecond, patience: 30 * time.Second},
		contenders: []contender{{a, path, "1.0"}},
		progress:   io.Discard,
	}
}
