package sinks

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/leatd/leat/pipeline"
)

func TestNDJSONGolden(t *testing.T) {
	lines := []line{
		{testTime, `say "hi"`, 0}, {testTime - 6, "", pipeline.Stderr}, {-1, "b\xff\n", pipeline.Truncated | pipeline.Unfinished},
	}
	const pod = `"k8s.namespace.name":"shop","k8s.pod.name":"cart-7d4b9c","k8s.pod.uid":"0f2c","k8s.container.name":"app",` +
		`"k8s.node.name":"node-1","cluster":"prod","k8s.container.restart_count":12`
	const file = `"k8s.node.name":"node-1","log.file.path":"/var/log/auth.log","job":"auth"`
	for ids, want := range map[bool]string{
		false: `{"time":"2026-01-02T03:04:05.000000006Z","msg":"say \"hi\"","log.iostream":"stdout",POD}
{"time":"2026-01-02T03:04:05Z","msg":"","log.iostream":"stderr",POD}
{"time":"1969-12-31T23:59:59.999999999Z","msg":"b\ufffd\n","log.iostream":"stdout",POD,"leat.truncated":true,"leat.unfinished":true}
{"time":"1970-01-01T00:00:00Z","msg":"host",FILE}
`,
		true: `{"time":"2026-01-02T03:04:05.000000006Z","msg":"say \"hi\"","log.iostream":"stdout",POD,"log.record.uid":"ID-64"}
{"time":"2026-01-02T03:04:05Z","msg":"","log.iostream":"stderr",POD,"log.record.uid":"ID-95"}
{"time":"1969-12-31T23:59:59.999999999Z","msg":"b\ufffd\n","log.iostream":"stdout",POD,"leat.truncated":true,"leat.unfinished":true,"log.record.uid":"ID-b4"}
{"time":"1970-01-01T00:00:00Z","msg":"host",FILE,"log.record.uid":"ID-0"}
`} {
		f := &NDJSONFormat{Compression: "none", RecordID: ids}
		b := newTestBlock(f)
		b.add(podTarget, pipeline.GenerationID{Restart: 12, Hash: 5}, 100, lines...)
		b.add(fileTarget, pipeline.GenerationID{}, 0, line{0, "host", 0})
		have := string(b.encode(f.NewEncoder(), 9))
		for i := range b.Segments {
			have = strings.ReplaceAll(have, wantID(&b.Segments[i], &pipeline.Record{})[:16], "ID")
		}
		want = strings.NewReplacer("POD", pod, "FILE", file).Replace(want)
		if have != want {
			t.Errorf("have\n%s\nwant\n%s", have, want)
		}
	}
}

// An owner's label must not make an object with the same key twice, nor one that is no JSON.
func TestNDJSONStrangeLabels(t *testing.T) {
	f := &NDJSONFormat{Compression: "none"}
	b := newTestBlock(f)
	b.add(strangeTarget, pipeline.GenerationID{}, 0, line{1, "x", 0})
	body := string(b.encode(f.NewEncoder(), 1))
	var have map[string]any
	if err := json.Unmarshal([]byte(body), &have); err != nil {
		t.Fatal(err, body)
	}
	for key, value := range map[string]any{
		"time": "1970-01-01T00:00:00.000000001Z", "k8s.node.name": `nöde "1"\`, "0day": "a\nb", "a.b": "first", "a_b": "second", "empty": "",
		"wrong": "\uFFFD\x00", "pod": "not mine", "k8s.container.restart_count": 0.0, "log.iostream": "stdout",
	} {
		if have[key] != value {
			t.Errorf("%s: have %v, want %v", key, have[key], value)
		}
	}
	if n := strings.Count(body, `"time":`); n != 1 {
		t.Errorf("%d times: %s", n, body)
	}
}
