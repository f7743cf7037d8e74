//go:build e2e

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
)

// TestRealLokiLeavesOut: lines that the real Loki leaves out of requests, for their length, their age or because they are
// far behind, are counted to the line; all others are there, once. By its own protocol and by OTLP; but where a request
// has some of the last kind, Loki says nothing of the others, and only the loki sink sends those by themselves.
func TestRealLokiLeavesOut(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"loki", "loki, certain", "otlp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			loki := startLoki(t, servers.LokiOptions{Limits: map[string]string{
				"max_line_size": "1KB", "reject_old_samples": "true", "reject_old_samples_max_age": "24h",
			}})
			h := newHost(t)
			cfg := h.config("loki", loki.URL)
			switch kind {
			case "loki, certain":
				cfg = h.config("loki", loki.URL, "certain: true")
			case "otlp":
				cfg = h.config("otlp", loki.URL+"/otlp/v1/logs")
			}
			d := start(t, "--config.file", cfg)
			const lines = 500
			left := 0
			var want []string
			for c := range 4 {
				var b strings.Builder
				for i := range lines {
					text, at := fmt.Sprintf("c%d line %d", c, i), lineTime(i)
					switch {
					case c == 1 && i%100 == 7:
						text += strings.Repeat(" too long", 200)
						left++
					case c == 2 && i < 3:
						at = at.Add(-72 * time.Hour)
						left++
					case c == 3 && i == 400 && kind != "otlp": // Loki takes what is an hour behind
						at = at.Add(-10 * time.Hour)
						left++
					default:
						want = append(want, text)
					}
					fmt.Fprintf(&b, "%s stdout F %s\n", at.Format(time.RFC3339Nano), text)
				}
				h.write(fmt.Sprintf("ns_pod_uid/c%d/0.log", c), b.String())
			}
			d.eventually("all read", func() error {
				if s := d.metrics(); s.sum("leat_log_read_lines_total") < 4*lines || s.sum("leat_log_pending_lines") > 0 {
					return fmt.Errorf("%v lines are read", s.sum("leat_log_read_lines_total"))
				}
				return nil
			})
			d.metric(float64(left), "leat_dropped_lines_total", "reason=bad_request")
			d.balanced()
			d.stop()
			query := `{namespace="ns"}`
			if kind == "otlp" {
				query = `{k8s_namespace_name="ns"}`
			}
			streams, err := loki.Query(t.Context(), query, started.Add(-100*time.Hour), time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range streams {
				for _, e := range s.Entries {
					got = append(got, e.Line)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("Loki has %d lines, want %d", len(got), len(want))
			}
			if letters := h.deadLetters(); len(letters) > left {
				t.Errorf("%d dead letters", len(letters))
			}
		})
	}
}

// TestRealLokiTakesSmallerMessages: the real Loki answers 5xx to what is too large a message for gRPC. leatd learns to
// send less, and nothing is refused.
func TestRealLokiTakesSmallerMessages(t *testing.T) {
	t.Parallel()
	loki := startLoki(t, servers.LokiOptions{})
	h := newHost(t)
	const lines, size = 40_000, 400
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "%s stdout F %08d%s\n", started.Add(time.Duration(i)*time.Millisecond).UTC().Format(time.RFC3339Nano), i, strings.Repeat(".", size))
	}
	h.write("ns_pod_uid/app/0.log", b.String())
	cfg := h.file("leat.yaml", logsOnly+fmt.Sprintf("memory_limit: 256MiB\nnode: node-1\nstate: %s\nlogs: {pods: %s}\nsinks:\n"+
		"  central: {type: otlp, url: %s/otlp/v1/logs, max_wait: 20ms, max_batch: 16MiB}\n", h.state, h.pods, loki.URL))
	d := start(t, "--config.file", cfg)
	d.metric(lines, "leat_log_delivered_lines_total")
	d.metric(0, "leat_dropped_lines_total")
	d.says("sink refuses requests for their size")
	d.stop()
	streams, err := loki.Query(t.Context(), `{k8s_namespace_name="ns"}`, started.Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range streams {
		n += len(s.Entries)
	}
	if n != lines {
		t.Errorf("Loki has %d lines, want %d", n, lines)
	}
}
