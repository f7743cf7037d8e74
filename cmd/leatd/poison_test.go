package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatd/leat/sinks/sinktest"
)

// A deadLetter is a line of the folder dead-letter.
type deadLetter struct {
	Msg       string `json:"msg"`
	Container string `json:"k8s.container.name"`
	Reason    string `json:"leat.reason"`
	Words     string `json:"leat.words"`
	Bytes     []byte `json:"leat.base64"`
}

// deadLetters reads what the sink central has kept.
func (h *host) deadLetters() (all []deadLetter) {
	h.t.Helper()
	for line := range strings.Lines(segments(h.t, filepath.Join(h.state, "central", "dead-letter"))) {
		var l deadLetter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			h.t.Fatalf("%s: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

const poison = "poison \xff seq=x"

// toPoison answers a request that has the line; it takes all others. What came through OTLP or JSON is valid UTF-8 by then.
func toPoison(r sinktest.Reply) func([]sinktest.Line) sinktest.Reply {
	return func(lines []sinktest.Line) sinktest.Reply {
		if slices.ContainsFunc(lines, func(l sinktest.Line) bool { return strings.HasPrefix(l.Text, "poison") }) {
			return r
		}
		return sinktest.Reply{}
	}
}

// TestPoison: one line among ten thousand that the store refuses, by whatever answer, is a dead letter, and the only one.
// It holds nobody up.
func TestPoison(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		reply  sinktest.Reply
		reason string
		again  int64 // how many lines may come twice
	}{
		{"400", sinktest.Reply{Status: 400, ContentType: "text/plain", Body: "I can't stand line 5000"}, "bad_request", 0},
		{"413", sinktest.Reply{Status: 413, ContentType: "text/plain", Body: "too much"}, "too_large", 0},
		{"422", sinktest.Reply{Status: 422, ContentType: "text/plain", Body: "no"}, "unprocessable", 0},
		{"500", sinktest.Reply{Status: 500, ContentType: "text/plain", Body: "label name is empty"}, "server_error", 4},
	}
	for _, kind := range []string{"loki", "otlp", "http"} {
		for _, tt := range tests {
			t.Run(kind+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				h, store := newHost(t), newDepot(t, kind).choosy()
				store.answer(toPoison(tt.reply))
				const containers, each = 5, 2000
				for c := range containers {
					name := fmt.Sprintf("ns_pod_uid/c%d/0.log", c)
					h.write(name, cri(0, "stdout", bodies(0, each/2)...))
					if c == 2 {
						h.write(name, cri(each/2, "stdout", poison))
					}
					h.write(name, cri(each/2, "stdout", bodies(each/2, each)...))
				}
				d := start(t, "--config.file", h.config(kind, store.URL))
				d.metric(1, "leat_log_dropped_lines_total", "container=c2", "reason="+tt.reason)
				d.metric(containers*each, "leat_log_delivered_lines_total")
				d.metric(1, "leat_dropped_lines_total")
				d.balanced()
				d.stop()
				for c := range containers {
					store.verify.Expect(fmt.Sprintf("ns/pod/c%d", c), each)
				}
				var again int64
				for _, r := range store.verify.Results() {
					if again += r.Duplicate; r.Missing > 0 || r.OutOfOrder > 0 || r.Foreign > 0 {
						t.Errorf("%v", r)
					}
				}
				if again > tt.again {
					t.Errorf("%d lines came twice", again)
				}
				requests, _, _, _ := store.Totals()
				t.Logf("%d requests", requests)
				letters := h.deadLetters()
				if len(letters) != 1 || letters[0].Msg != strings.ToValidUTF8(poison, "\uFFFD") || string(letters[0].Bytes) != poison ||
					letters[0].Container != "c2" || letters[0].Reason != tt.reason || !strings.Contains(letters[0].Words, tt.reply.Body) {
					t.Errorf("dead letters %+v", letters)
				}
			})
		}
	}
}

// TestDeadLettersOff: without the folder lines are refused and counted, and nothing is kept.
func TestDeadLettersOff(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http").choosy()
	store.answer(toPoison(sinktest.Reply{Status: 400, ContentType: "text/plain"}))
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "seq=0", poison, "seq=1"))
	d := start(t, "--config.file", h.config("http", store.URL, "dead_letter: {max_bytes: 0}"))
	d.metric(1, "leat_log_dropped_lines_total", "reason=bad_request")
	d.metric(2, "leat_log_delivered_lines_total")
	d.stop()
	if _, err := os.Stat(filepath.Join(h.state, "central", "dead-letter")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder dead-letter: %v", err)
	}
}

// TestDeadLettersCannotBeWritten: a file stands where the folder should be. The lane goes on, and says so once.
func TestDeadLettersCannotBeWritten(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http").choosy()
	store.answer(toPoison(sinktest.Reply{Status: 400, ContentType: "text/plain"}))
	if err := os.MkdirAll(filepath.Join(h.state, "central"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.state, "central", "dead-letter"), nil, 0o640); err != nil {
		t.Fatal(err)
	}
	d := start(t, "--config.file", h.config("http", store.URL))
	for i := range 3 {
		h.write("ns_pod_uid/app/0.log", cri(i, "stdout", poison, fmt.Sprintf("seq=%09d", i)))
		d.metric(float64(i+1), "leat_log_dropped_lines_total", "reason=bad_request")
	}
	d.metric(3, "leat_log_delivered_lines_total")
	d.says("refused lines cannot be kept", "sinks.central.dead_letter")
	d.stop()
	if n := strings.Count(d.log.String(), "refused lines cannot be kept"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// TestStoreTakesAPart: what the store says that it left out of a request which it took is not sent again, and counted
// for the container where the request held no other.
func TestStoreTakesAPart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind, reason string
		reply        sinktest.Reply
	}{
		// ExportLogsServiceResponse {partial_success = 1 {rejected_log_records = 1: 3, error_message = 2: "too old"}}
		{"otlp", "rejected", sinktest.Reply{Status: 200, ContentType: "application/x-protobuf", Body: "\x0a\x0b\x08\x03\x12\x07too old", Stored: true}},
		{"loki", "bad_request", sinktest.Reply{Status: 400, ContentType: "text/plain", Stored: true,
			Body: `3 errors like: max entry size '10' bytes exceeded for stream '{pod="pod"}' while adding an entry with length '11' bytes` + "\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			t.Parallel()
			h, store := newHost(t), newDepot(t, tt.kind).choosy()
			store.answer(all(tt.reply))
			h.write("ns_pod_uid/one/0.log", cri(0, "stdout", bodies(0, 10)...))
			d := start(t, "--config.file", h.config(tt.kind, store.URL))
			d.metric(3, "leat_log_dropped_lines_total", "container=one", "reason="+tt.reason)
			d.metric(7, "leat_log_delivered_lines_total", "container=one")
			d.metric(3, "leat_dropped_lines_total", "reason="+tt.reason)
			d.metric(1, "leat_sink_up")
			d.balanced()
			d.stop()
			if store.total() != 10 {
				t.Errorf("%d lines were sent", store.total())
			}
			d.says("sink leaves out lines of requests that it takes", tt.reason)
		})
	}
}
