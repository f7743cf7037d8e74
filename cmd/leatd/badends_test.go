package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatd/leat/sinks/sinktest"
)

// This file holds the bad ends of lines, each with the reason that the ledger names. Those that a store's refusal brings
// about stand in badstore_test.go, those beyond max_line in badlines_test.go.

// noise is numbered lines from..to-1 of a kilobyte each, which hardly compress.
func noise(from, to int) (texts []string) {
	rng := rand.New(rand.NewPCG(uint64(from), uint64(to)))
	for i := from; i < to; i++ {
		text := make([]byte, 1000)
		for j := range text {
			text[j] = byte(' ' + rng.IntN(95))
		}
		texts = append(texts, fmt.Sprintf("%s seq=%09d", text, i))
	}
	return texts
}

// backlog starts a leatd without a spool beside a store that is down and a file that is too long for its memory. It
// returns when leatd reads no more, with what is in the file.
func (h *host) backlog(cfg string) (d *daemon, text string) {
	h.t.Helper()
	text = cri(0, "stdout", noise(0, 12<<10)...)
	h.write("ns_pod_uid/app/0.log", text)
	d = start(h.t, "--config.file", cfg)
	unread, same := 0.0, 0
	d.eventually("a file that waits", func() error {
		n := d.metrics().sum("leat_log_unread_bytes")
		if n == unread && n > 0 {
			same++
		} else {
			unread, same = n, 0
		}
		if same < 20 {
			return fmt.Errorf("%v bytes are unread", n)
		}
		return nil
	})
	return d, text
}

// lostAll waits until nothing is pending and checks that so many bytes are lost for a reason as the file holds beyond the
// lines that were delivered of it.
func (d *daemon) lostAll(text, reason string, others float64) {
	d.t.Helper()
	d.metric(0, "leat_log_pending_lines")
	lines := d.metrics().sum("leat_log_delivered_lines_total") - others
	lost := len(text)
	for line := range strings.Lines(text) {
		if lines--; lines < 0 {
			break
		}
		lost -= len(line)
	}
	if lost == 0 || lost == len(text) {
		d.t.Fatalf("%d of %d bytes are lost", lost, len(text))
	}
	d.metric(float64(lost), "leat_log_lost_bytes_total", "container=app", "reason="+reason)
	d.metric(float64(lost), "leat_lost_bytes_total", "reason="+reason)
}

// TestTruncatedBeforeItWasRead: what a file held beyond what was read of it is lost, and counted; what was read is not.
func TestTruncatedBeforeItWasRead(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http").choosy()
	store.answer(all(sinktest.Reply{Status: 503}))
	d, text := h.backlog(h.config("http", store.URL, "spool: {max_bytes: 0}"))
	if err := os.Truncate(filepath.Join(h.pods, "ns_pod_uid/app/0.log"), 0); err != nil {
		t.Fatal(err)
	}
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "after"))
	store.answer(nil)
	d.eventually("the line behind", func() error {
		if got := store.texts("ns/pod/app"); len(got) == 0 || got[len(got)-1] != "after" {
			return fmt.Errorf("%d lines came", len(got))
		}
		return nil
	})
	d.lostAll(text, "truncated", 1)
	d.balanced()
	d.stop()
}

// TestGivenUp: deleted files are held open for as long as their owner allows. What was not read of one by then is lost, and
// counted; what was read is not.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http").choosy()
	store.answer(all(sinktest.Reply{Status: 503}))
	d, text := h.backlog(h.file("leat.yaml", fmt.Sprintf("node: node-1\nstate: %s\nlogs: {pods: %s, hold_max_bytes: 1MiB}\n"+
		"sinks:\n  central: {type: http, url: %s, spool: {max_bytes: 0}}\n", h.state, h.pods, store.URL)))
	if err := os.RemoveAll(filepath.Join(h.pods, "ns_pod_uid")); err != nil {
		t.Fatal(err)
	}
	d.says("is given up", "hold_max_bytes")
	d.metric(0, "leat_log_unread_bytes")
	store.answer(nil)
	d.lostAll(text, "given_up", 0)
	d.balanced()
	d.stop()
}

// TestVanished: what was read, sent back by the store and gone from the disk before it could be read again is dropped, and
// counted.
func TestVanished(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "loki").choosy()
	store.answer(all(sinktest.Reply{Status: 429, Body: perStream}))
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", bodies(0, 100)...))
	d := start(t, "--config.file", h.config("loki", store.URL))
	d.metric(100, "leat_log_pending_lines")
	d.says("throttles a container")
	if err := os.Truncate(filepath.Join(h.pods, "ns_pod_uid/app/0.log"), 0); err != nil {
		t.Fatal(err)
	}
	h.write("ns_pod_uid/app/0.log", cri(200, "stdout", "after"))
	d.metric(100, "leat_log_dropped_lines_total", "container=app", "reason=vanished")
	d.metric(100, "leat_dropped_lines_total", "reason=vanished")
	store.answer(nil)
	store.expect("ns/pod/app", "after")
	d.metric(1, "leat_log_delivered_lines_total")
	d.balanced()
	d.stop()
}

// TestDeletedWhileLeatdWasAway: the beginning of a line that has gone before its end came is lost bytes, without its newline; a file that has
// gone with nobody knowing its size is a gap.
func TestDeletedWhileLeatdWasAway(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	cfg := h.config("http", store.URL)
	begun := lineTime(1).Format("2006-01-02T15:04:05.000000001Z") + " stdout P the beginning of a line, \n"
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "one")+begun)
	d := start(t, "--config.file", cfg)
	store.expect("ns/pod/app", "one")
	d.stop()
	old := filepath.Join(h.pods, "ns_pod_uid/app/0.log")
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	h.write("ns_pod_uid/app/0.log", cri(2, "stdout", "and its end", "two"))
	d = start(t, "--config.file", cfg)
	d.metric(float64(len(begun)-1), "leat_log_lost_bytes_total", "container=app", "reason=deleted")
	d.metric(1, "leat_log_gaps_total", "container=app")
	store.expect("ns/pod/app", "one", "and its end", "two")
	d.balanced()
	d.stop()
}

// TestRejected: what a store took a request without, it says by number. Where the request held one container, the lines
// are that container's.
func TestRejected(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "otlp").choosy()
	// ExportLogsServiceResponse {partial_success = 1 {rejected_log_records = 1: 3, error_message = 2: "too old"}}
	store.answer(all(sinktest.Reply{Status: 200, ContentType: "application/x-protobuf", Body: "\x0a\x0b\x08\x03\x12\x07too old"}))
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", bodies(0, 10)...))
	d := start(t, "--config.file", h.config("otlp", store.URL))
	d.metric(3, "leat_log_dropped_lines_total", "container=app", "reason=rejected")
	d.metric(3, "leat_dropped_lines_total", "reason=rejected")
	d.metric(7, "leat_log_delivered_lines_total", "container=app")
	d.says("too old")
	d.balanced()
	d.stop()
}

// TestOneLineRefused: of all lines only those that the store refuses are dropped, whatever it answers to requests that
// hold one. That a 500 is the line's fault has to be proven, with a line that the store has and is sent three times more.
func TestOneLineRefused(t *testing.T) {
	t.Parallel()
	for status, reason := range map[int]string{400: "bad_request", 413: "too_large", 422: "unprocessable", 500: "server_error"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			const lines, guilty = 2000, 1234
			proofs := map[int]int64{500: 3}[status]
			h, store := newHost(t), newDepot(t, "http").choosy()
			store.answer(func(lines []sinktest.Line) sinktest.Reply {
				for _, l := range lines {
					if l.Text == bodies(guilty, guilty+1)[0] && l.Container == "app" {
						return sinktest.Reply{Status: status, Body: "this line is not to my liking"}
					}
				}
				return sinktest.Reply{}
			})
			h.write("ns_pod_uid/app/0.log", cri(0, "stdout", bodies(0, lines)...))
			h.write("ns_pod_uid/other/0.log", cri(0, "stdout", bodies(0, lines)...))
			d := start(t, "--config.file", h.config("http", store.URL))
			d.metric(2*lines-1, "leat_log_delivered_lines_total")
			d.metric(1, "leat_log_dropped_lines_total", "container=app", "reason="+reason)
			d.metric(1, "leat_dropped_lines_total", "reason="+reason)
			d.says("this line is not to my liking")
			d.balanced()
			d.stop()
			store.verify.Expect("ns/pod/app", lines)
			store.verify.Expect("ns/pod/other", lines)
			for _, r := range store.verify.Results() {
				missing := map[string]int64{"ns/pod/app": 1}[r.Target]
				if r.Missing != missing || r.OutOfOrder > 0 || r.Duplicate > proofs || missing > 0 && r.FirstGap != guilty {
					t.Errorf("%v", r)
				}
			}
		})
	}
}
