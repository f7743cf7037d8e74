//go:build e2e

package servers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

func startTestLoki(t *testing.T, options LokiOptions) *Loki {
	t.Helper()
	l, err := StartLoki(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// push sends the entries of one stream as JSON and returns the answer's status and body.
func push(t *testing.T, l *Loki, labels map[string]string, entries []Entry) (int, string) {
	t.Helper()
	values := make([]any, len(entries))
	for i, e := range entries {
		value := []any{strconv.FormatInt(e.Time, 10), e.Line}
		if e.Metadata != nil {
			value = append(value, e.Metadata)
		}
		values[i] = value
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		t.Fatal(err)
	}
	return post(t, l.URL+"/loki/api/v1/push", "application/json", body)
}

func post(t *testing.T, url, contentType string, body []byte) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(url, contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestLoki pushes what is hard to read back, reads it back, and compares it line by line.
func TestLoki(t *testing.T) {
	l := startTestLoki(t, LokiOptions{})
	now := time.Now().UnixNano()
	streams := []Stream{
		{Labels: map[string]string{"job": "a long one"}},
		{Labels: map[string]string{"job": "long lines"}},
		{Labels: map[string]string{"job": "old"}},
		{Labels: map[string]string{"job": "one time"}},
	}
	for i := range 3*pageLimit + 1 { // 7 lines share a time
		streams[0].Entries = append(streams[0].Entries, Entry{Time: now + int64(i/7), Line: fmt.Sprintf("error line %d", i)})
	}
	for i := range 40 { // 10 MiB
		streams[1].Entries = append(streams[1].Entries, Entry{Time: now + int64(i), Line: fmt.Sprintf("%0262144d", i)})
	}
	streams[2].Entries = []Entry{
		{Time: 1, Line: "one nanosecond after the epoch"},
		{Time: 2, Line: "", Metadata: map[string]string{"pod_uid": "x", "zone": "ä"}},
		{Time: 3, Line: "a\x00b\r\n"},
	}
	for i := range pageLimit + 2 {
		streams[3].Entries = append(streams[3].Entries, Entry{Time: now, Line: strconv.Itoa(i)})
	}
	for _, s := range streams {
		for from := 0; from < len(s.Entries); {
			to, size := from, 0
			for ; to < len(s.Entries) && size < 2<<20; to++ { // Loki takes 4 MiB at a time
				size += len(s.Entries[to].Line) + 50
			}
			if code, text := push(t, l, s.Labels, s.Entries[from:to]); code != http.StatusNoContent {
				t.Fatalf("push of %v: %d %s", s.Labels, code, text)
			}
			from = to
		}
	}

	if code, text := push(t, l, map[string]string{"job": "too large"}, append(streams[1].Entries[:16:16], streams[0].Entries...)); code != 500 ||
		!strings.Contains(text, "larger than max") {
		t.Errorf("a push of over 4 MiB is answered %d %s, want 500 as users get it", code, text)
	}

	compare(t, l, streams, now)
	if code, text := post(t, l.URL+"/flush", "", nil); code != http.StatusNoContent {
		t.Fatalf("flush: %d %s", code, text)
	}
	compare(t, l, streams, now)
}

// compare reads TestLoki's streams back.
func compare(t *testing.T, l *Loki, streams []Stream, now int64) {
	t.Helper()
	end := time.Unix(0, now+int64(time.Hour))
	var got []Stream
	for _, part := range []struct {
		query      string
		start, end time.Time
	}{
		{`{job=~"a long one|long lines"}`, time.Unix(0, now), end},
		{`{job="old"}`, time.Unix(0, 0), time.Unix(1, 0)},
		{`{job="one time"}`, time.Unix(0, now), end},
		{`{job="none"}`, time.Unix(0, now), end},
	} {
		found, err := l.Query(t.Context(), part.query, part.start, part.end)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, found...)
	}
	if len(got) != len(streams) {
		t.Fatalf("read %d streams, pushed %d", len(got), len(streams))
	}
	for i, want := range streams {
		if !maps.Equal(got[i].Labels, want.Labels) {
			t.Errorf("labels %v, want %v", got[i].Labels, want.Labels)
		}
		if len(got[i].Entries) != len(want.Entries) {
			t.Errorf("%v: read %d lines, pushed %d", want.Labels, len(got[i].Entries), len(want.Entries))
			continue
		}
		for j, e := range got[i].Entries {
			if !reflect.DeepEqual(e, want.Entries[j]) {
				t.Errorf("%v: line %d is %.100q at %d %v, want %.100q at %d %v", want.Labels, j,
					e.Line, e.Time, e.Metadata, want.Entries[j].Line, want.Entries[j].Time, want.Entries[j].Metadata)
				break
			}
		}
	}
}

// TestLokiLimits: a limit that a test sets holds, and a limit that users meet is not lifted.
func TestLokiLimits(t *testing.T) {
	l := startTestLoki(t, LokiOptions{Dir: t.TempDir(), Limits: map[string]string{
		"per_stream_rate_limit": "1KB", "per_stream_rate_limit_burst": "1KB", "reject_old_samples": "true",
	}})
	now := time.Now().UnixNano()
	labels := map[string]string{"job": "x"}
	for _, tc := range []struct {
		name  string
		entry Entry
		code  int
		text  string
	}{
		{"a short line", Entry{Time: now, Line: "x"}, 204, ""},
		{"over the stream's rate", Entry{Time: now, Line: strings.Repeat("x", 4096)}, 429, "Per stream rate limit exceeded"},
		{"too old", Entry{Time: 1, Line: "x"}, 400, "timestamp too old"},
		{"a line too long", Entry{Time: now, Line: strings.Repeat("x", 262145)}, 400, "max entry size"},
	} {
		if code, text := push(t, l, labels, []Entry{tc.entry}); code != tc.code || !strings.Contains(text, tc.text) {
			t.Errorf("%s: answer %d %s, want %d %s", tc.name, code, text, tc.code, tc.text)
		}
	}
}

// TestLokiDoesNotStart: the error of a start that failed shows Loki's own words, and nothing is left running.
func TestLokiDoesNotStart(t *testing.T) {
	l, err := StartLoki(t.Context(), LokiOptions{Limits: map[string]string{"no_such_limit": "1"}})
	if err == nil {
		l.Stop()
		t.Fatal("started with a limit that doesn't exist")
	}
	if !strings.Contains(err.Error(), "no_such_limit") {
		t.Errorf("error %v doesn't say why", err)
	}
}

func TestLokiThatEndedByItself(t *testing.T) {
	l, err := StartLoki(t.Context(), LokiOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.process.cmd.Process.Kill()
	<-l.process.done
	if err := l.Stop(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("stop says %v, want that Loki had ended", err)
	}
	if err := l.Stop(); err != nil {
		t.Errorf("second stop: %v", err)
	}
}
