//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks/servers"
)

// startLoki starts the real Loki; it ends with the test.
func startLoki(t *testing.T, options servers.LokiOptions) *servers.Loki {
	t.Helper()
	loki, err := servers.StartLoki(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := loki.Stop(); err != nil {
			t.Error(err)
		}
	})
	return loki
}

// The limits of these tests: of a stream Loki takes 128 KiB in a second and 640 KiB at once. Without sharding it refuses
// single entries, with it whole streams; a desired rate that nothing reaches keeps it from really sharding.
func limitedLoki(t *testing.T, sharding string) *servers.Loki {
	t.Helper()
	return startLoki(t, servers.LokiOptions{Limits: map[string]string{
		"per_stream_rate_limit": "128KB", "per_stream_rate_limit_burst": "640KB", "shard_streams": sharding,
	}})
}

var shardings = map[string]string{"by entry": "{enabled: false}", "whole streams": "{enabled: true, desired_rate: 1GB}"}

// TestLokiIsSilent shows what the next tests are about: Loki says 204 to a request of which it has thrown away a stream,
// if a good one follows that.
func TestLokiIsSilent(t *testing.T) {
	t.Parallel()
	for name, sharding := range shardings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loki := limitedLoki(t, sharding)
			now := time.Now()
			stream := func(name string, lines int) any {
				values := make([][2]string, lines)
				for i := range values {
					values[i] = [2]string{strconv.FormatInt(now.UnixNano()+int64(i), 10), strings.Repeat("x", 1000)}
				}
				return map[string]any{"stream": map[string]string{"job": name}, "values": values}
			}
			push := func(streams ...any) int {
				body, err := json.Marshal(map[string]any{"streams": streams})
				if err != nil {
					t.Fatal(err)
				}
				client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				resp, err := client.Post(loki.URL+"/loki/api/v1/push", "application/json", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				return resp.StatusCode
			}
			if code := push(stream("good", 1), stream("last", 1000)); code != http.StatusTooManyRequests {
				t.Errorf("the throttled stream last: %d", code)
			}
			if code := push(stream("first", 1000), stream("good", 1)); code != http.StatusNoContent {
				t.Errorf("the throttled stream first: %d", code)
			}
			streams, err := loki.Query(t.Context(), `{job="first"}`, now.Add(-time.Hour), now.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			stored := 0
			for _, s := range streams {
				stored += len(s.Entries)
			}
			if stored >= 1000 {
				t.Errorf("all %d lines are stored: Loki has changed, and much of this is needed no longer", stored)
			}
			t.Logf("204, and %d of 1,000 lines are stored", stored)
		})
	}
}

// TestLokiThatThrottlesAStream: one container writes ten times what Loki takes of a stream, beside others whose lines
// follow in the same requests. Nothing is missing at the end, whether leatd keeps to the limit or sends each stream by
// itself, and the others don't wait for the loud one.
func TestLokiThatThrottlesAStream(t *testing.T) {
	t.Parallel()
	for name, sharding := range shardings {
		for _, keys := range [][]string{{"stream_rate: 128KiB"}, {"certain: true", "stream_rate: 0"}, {"certain: true", "stream_rate: 128KiB"}} {
			t.Run(name+" "+strings.Join(keys, " "), func(t *testing.T) {
				t.Parallel()
				loki := limitedLoki(t, sharding)
				h := newHost(t)
				d := start(t, "--config.file", h.config("loki", loki.URL, keys...))
				began := time.Now()
				written := writeUnevenly(t, h, d)
				total := 0
				for _, lines := range written {
					total += len(lines)
				}
				d.metric(float64(total), "leat_log_delivered_lines_total")
				t.Logf("%d lines after %.1f s, requests: %v", total, time.Since(began).Seconds(), requestsByCode(d.metrics()))
				d.balanced()
				s := d.metrics()
				if n := s.sum("leat_dropped_lines_total") + s.sum("leat_lost_bytes_total"); n != 0 {
					t.Errorf("%v are dropped or lost", n)
				}
				if n := s.sum("leat_sink_requests_total", "code=429"); n > 0 && keys[len(keys)-1] != "stream_rate: 0" {
					t.Errorf("%v times Loki had to throttle", n)
				}
				d.stop()
				compareWithLoki(t, loki, written)
			})
		}
	}
}

// writeUnevenly lets one container write 1.5 MB in about two seconds, and four others a line every 10 ms until they have
// 300 each. It returns what each has written, when the four are delivered: long before the one can be.
func writeUnevenly(t *testing.T, h *host, d *daemon) map[string][]string {
	t.Helper()
	const loud, loudLines, quietLines = "a-loud", 3000, 300
	written := map[string][]string{}
	write := func(container string, n, size int) {
		var text strings.Builder
		for range n {
			i := len(written[container])
			line := fmt.Sprintf("%s line %06d ", container, i)
			line += strings.Repeat("x", max(0, size-len(line)))
			written[container] = append(written[container], line)
			fmt.Fprintf(&text, "%s stdout F %s\n", started.Add(time.Duration(i)*time.Millisecond).UTC().Format(time.RFC3339Nano), line)
		}
		h.write(filepath.Join("ns_pod_uid", container, "0.log"), text.String())
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range quietLines {
		if len(written[loud]) < loudLines {
			write(loud, 20, 500)
		}
		for c := range 4 {
			write(fmt.Sprintf("b-quiet%d", c), 1, 80)
		}
		<-tick.C
	}
	for c := range 4 {
		d.metric(quietLines, "leat_log_delivered_lines_total", fmt.Sprintf("container=b-quiet%d", c))
	}
	if n := d.metrics().sum("leat_log_delivered_lines_total", "container="+loud); n == loudLines {
		t.Errorf("the loud container had its %v lines delivered as fast as the others: the limit is none", n)
	}
	return written
}

func requestsByCode(s scrape) map[string]float64 {
	codes := map[string]float64{}
	for _, m := range s["leat_sink_requests_total"].GetMetric() {
		for _, l := range m.Label {
			if l.GetName() == "code" {
				codes[l.GetValue()] += m.GetCounter().GetValue()
			}
		}
	}
	return codes
}

// compareWithLoki wants in Loki what was written, in its order, and nothing else.
func compareWithLoki(t *testing.T, loki *servers.Loki, written map[string][]string) {
	t.Helper()
	streams, err := loki.Query(t.Context(), `{node_name="node-1"}`, started.Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, s := range streams {
		for _, e := range s.Entries {
			found[s.Labels["container"]] = append(found[s.Labels["container"]], e.Line)
		}
	}
	for container, lines := range written {
		got := found[container]
		if len(got) != len(lines) {
			t.Errorf("%s: Loki has %d lines, %d were written", container, len(got), len(lines))
			continue
		}
		for i := range lines {
			if got[i] != lines[i] {
				t.Errorf("%s: line %d is %.60q, want %.60q", container, i, got[i], lines[i])
				break
			}
		}
	}
}

// TestLokiSetBack: a container's clock is set back by two hours. Loki takes nothing that is over an hour behind its
// stream's newest entry. The times stay as they are; what is refused is counted, and no other line is missing, although
// other streams are in the same requests.
func TestLokiSetBack(t *testing.T) {
	t.Parallel()
	loki := limitedLoki(t, shardings["whole streams"])
	h := newHost(t)
	d := start(t, "--config.file", h.config("loki", loki.URL))
	line := func(at time.Time, i int) string {
		return fmt.Sprintf("%s stdout F line %03d\n", at.UTC().Format(time.RFC3339Nano), i)
	}
	back, well := filepath.Join("ns_pod_uid", "a-back", "0.log"), filepath.Join("ns_pod_uid", "b-well", "0.log")
	for i := range 100 {
		at := time.Now()
		if i >= 50 && i < 80 {
			at = at.Add(-2 * time.Hour)
		}
		h.write(back, line(at, i))
		h.write(well, line(time.Now(), i))
	}
	d.metric(100, "leat_log_delivered_lines_total", "container=b-well")
	d.metric(0, "leat_log_pending_lines")
	d.balanced()
	s := d.metrics()
	delivered, dropped := s.sum("leat_log_delivered_lines_total", "container=a-back"), s.sum("leat_log_dropped_lines_total", "container=a-back")
	d.stop()
	streams, err := loki.Query(t.Context(), `{node_name="node-1"}`, time.Now().Add(-3*time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, s := range streams {
		found[s.Labels["container"]] = len(s.Entries)
	}
	t.Logf("the store has %v; delivered %v, dropped %v", found, delivered, dropped)
	if found["b-well"] != 100 || found["a-back"] != 70 {
		t.Errorf("Loki has %v lines, want all 100 that are well and the 70 that are not behind", found)
	}
	if dropped != 30 || delivered != 70 {
		t.Errorf("delivered %v, dropped %v; want 70 and 30", delivered, dropped)
	}
}
