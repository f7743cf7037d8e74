package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/leatd/leat/cmd/leatd/config"
	sample "github.com/leatd/leat/cmd/leatd/demo"
	"github.com/leatd/leat/pipeline"
)

// demo writes the logs of sample workloads as a node does, collects them with a whole agent, and ends with the account.
func demo(ctx context.Context, flags *config.Flags, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintln(stderr, "leatd demo:", err)
		return exitFailed
	}
	screenFile, ok := stdout.(*os.File)
	if !ok {
		screenFile = os.Stdout
	}
	dir, kept, err := demoFolder(flags.DemoDir)
	if err != nil {
		return fail(err)
	}
	if !kept {
		defer os.RemoveAll(dir)
	}
	if flags.DemoDuration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flags.DemoDuration)
		defer cancel()
	}
	pods := filepath.Join(dir, "pods")
	if err := os.MkdirAll(pods, 0o750); err != nil { // before the agent looks for it
		return fail(err)
	}
	workloads := sample.NewWorkloads(pods, sample.Options{Rate: float64(flags.DemoRate)})

	cfg := config.Default(func(string) (string, bool) { return "demo-node", true })
	cfg.Logs.Pods = pods
	cfg.Metrics.Node, cfg.Metrics.Containers = false, false // it is about the sample workloads, not about this machine
	cfg.SetState(filepath.Join(dir, "state"))
	agentFlags := *flags
	agentFlags.RootFS = "/"
	agentFlags.ListenAddresses = demoAddresses(flags.ListenAddresses)

	var a *agent
	board := sample.NewBoard(sample.Sources{
		Written:  workloads.Written,
		Workload: workloads.Workload,
		Rows:     func() []pipeline.Row { return a.lanes[0].Rows(nil) },
		Sums:     func() pipeline.Sums { return a.lanes[0].Sums() },
	})
	header := sample.Header{Title: "leatd demo", Logs: pods, Kept: cfg.Sinks[0].Path}
	screen := sample.NewScreen(screenFile, os.Getenv, header, board, workloads.Events())
	log := newLog(flags, stderr)
	if screen.Terminal() {
		log = slog.New(workloads.Events().Handler(slog.LevelWarn))
	}
	if a, err = newAgent(ctx, &agentFlags, cfg, log, stdout); err != nil {
		return fail(err)
	}
	screen.Header.Metrics = metricsURL(a)

	agentCtx, stopAgent := context.WithCancel(context.Background())
	screenCtx, stopScreen := context.WithCancel(context.Background())
	defer stopAgent()
	defer stopScreen()
	var showing, collecting sync.WaitGroup
	var agentErr, screenErr, writeErr error
	collecting.Go(func() { agentErr = a.run(agentCtx) })
	showing.Go(func() { screenErr = screen.Run(screenCtx) })

	writeErr = workloads.Run(ctx)
	screen.Say("Stopped writing; delivering what is left.")
	settle(board, flags.ShutdownTimeout)
	stopAgent()
	collecting.Wait()
	stopScreen()
	showing.Wait()
	for _, err := range []error{writeErr, agentErr, screenErr} {
		if err != nil {
			return fail(err)
		}
	}
	adds, err := sample.Account(stdout, board.Look(time.Now()))
	if err != nil {
		return fail(err)
	}
	if kept {
		fmt.Fprintf(stdout, " The logs are in %s; read what was kept with: zstd -dc %s/*.zst\n", pods, cfg.Sinks[0].Path)
	}
	if !adds {
		return exitFailed
	}
	return exitOK
}

// demoFolder is where the demo writes: a folder that the user named, or one of its own.
func demoFolder(named string) (dir string, kept bool, err error) {
	if named == "" {
		dir, err = os.MkdirTemp("", "leatd-demo-")
		return dir, false, err
	}
	if dir, err = filepath.Abs(named); err != nil {
		return "", true, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", true, fmt.Errorf("--dir: %s is not empty: name a new folder, so that the account is about this run alone", dir)
	}
	return dir, true, os.MkdirAll(dir, 0o755)
}

// demoAddresses are the addresses that were asked for; if that is only the default and a leatd has it already, any free one
// of this host.
func demoAddresses(asked []string) []string {
	if len(asked) != 1 || asked[0] != config.DefaultListenAddress {
		return asked
	}
	l, err := net.Listen("tcp", asked[0])
	if err != nil {
		return []string{"127.0.0.1:0"}
	}
	l.Close()
	return asked
}

func metricsURL(a *agent) string {
	addrs := a.server.Addrs()
	if len(addrs) == 0 {
		return ""
	}
	host := addrs[0].String()
	if strings.HasPrefix(host, "[::]:") {
		host = "localhost:" + strings.TrimPrefix(host, "[::]:")
	}
	return "http://" + host + "/metrics"
}

// settle waits until all that was written has its verdict.
func settle(b *sample.Board, most time.Duration) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(most); time.Now().Before(deadline) && !b.Look(time.Now()).Settled(); {
		<-tick.C
	}
}
