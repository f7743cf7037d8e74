package agents

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/leatd/leat/benchmarks/servers"
)

const (
	leatdName    = "leatd"
	leatdPackage = "github.com/leatd/leat/cmd/leatd"
)

// leatd is as it comes, but for three settings: what lies there is old, Loki's own limit would slow down a few streams
// at full speed (README, Loki), and otlp is compressed with zstd.
func leatd() Agent {
	a := Agent{Name: leatdName, Protocols: []string{"loki", "otlp"}, built: func() bool { return true }}
	a.Build = buildLeatd
	a.Command = func(_ string, j Job) (args, env []string, err error) {
		args, err = a.configure(j, "leat.yaml", leatdConfig(j), "--config.file=")
		return append(args, "--web.listen-address="+j.Listen, "--log.level=warn"), nil, err
	}
	return a
}

func leatdConfig(j Job) string {
	var text strings.Builder
	fmt.Fprintf(&text, "state: %s/state\nlogs: {pods: %s, start_max_age: 100y}\nsinks:\n", j.State, j.Logs)
	extra := map[string]string{"loki": "stream_rate: 0", "otlp": "compression: zstd"}[j.Protocol]
	for n := range max(j.Sinks, 1) {
		url := j.URL
		if j.Sinks > 1 {
			url += "/" + strconv.Itoa(n+1) + map[string]string{"loki": "/loki/api/v1/push", "otlp": "/v1/logs"}[j.Protocol]
		}
		fmt.Fprintf(&text, "  store%d: {type: %s, url: %q, %s}\n", n+1, j.Protocol, url, extra)
	}
	return text.String()
}

// buildLeatd builds the checkout as the Makefile does, anew each time: Go's own cache makes that short.
func buildLeatd(ctx context.Context, log io.Writer) (path, version string, err error) {
	cache, err := servers.Cache()
	if err != nil {
		return "", "", fmt.Errorf("leatd: build: %w", err)
	}
	path = filepath.Join(cache, leatdName)
	unfinished := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	defer os.Remove(unfinished)
	fmt.Fprintln(log, "leatd: building this checkout")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", unfinished, leatdPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("leatd: %s: %w\n%s", cmd, err, out)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", "", fmt.Errorf("leatd: build: %w", err)
	}
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return "", "", fmt.Errorf("leatd: version: %w", err)
	}
	return path, strings.TrimSpace(strings.TrimPrefix(string(out), "leatd ")), nil
}
