package sinks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
)

// got is a record as the far end sees it.
type got struct {
	where  string // pod or path
	stream string
	time   int64
	text   string
	marks  string // truncated, unfinished
	id     string
}

func (g got) String() string {
	return fmt.Sprintf("%s %s %d %.300q %s %s", g.where, g.stream, g.time, g.text, g.marks, g.id)
}

// codec is a format and how to read it back.
type codec struct {
	name   string
	format describer
	decode func(t testing.TB, body []byte) []got
	// apart: stdout and stderr of a segment come one after the other
	apart bool
	valid bool // text is made valid UTF-8
	ids   bool
}

func codecs() []codec {
	var all []codec
	for _, ids := range []bool{false, true} {
		suffix, some := "", compressions[:]
		if ids {
			suffix, some = "-ids", []string{"none"}
		}
		all = append(all,
			codec{"loki" + suffix, &LokiFormat{RecordID: ids}, decodeLoki, true, false, ids},
			codec{"loki-metadata" + suffix, &LokiFormat{Labels: []string{"pod", "filename"},
				Metadata: []string{"stream", "pod_uid", "restart_count"}, RecordID: ids}, decodeLoki, false, false, ids})
		for _, c := range some {
			all = append(all,
				codec{"otlp-" + c + suffix, &OTLPFormat{Compression: c, RecordID: ids}, otlpDecoder(c), false, true, ids},
				codec{"ndjson-" + c + suffix, &NDJSONFormat{Compression: c, RecordID: ids}, ndjsonDecoder(c), false, true, ids})
		}
	}
	return all
}

func decompress(t testing.TB, compression string, body []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	switch compression {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func decodePush(t testing.TB, body []byte) *push.PushRequest {
	t.Helper()
	raw, err := snappy.DecodeStrict(nil, body) // refuses what only S2 knows
	if err != nil {
		t.Fatal(err)
	}
	req := new(push.PushRequest)
	if err := req.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	return req
}

func decodeLoki(t testing.TB, body []byte) (all []got) {
	t.Helper()
	for _, s := range decodePush(t, body).Streams {
		if len(s.Entries) == 0 {
			t.Errorf("stream %s without entries", s.Labels)
		}
		label := func(name string) string {
			_, v, ok := strings.Cut(s.Labels, name+`="`)
			if !ok {
				return ""
			}
			v, _, _ = strings.Cut(v, `"`)
			return v
		}
		for _, e := range s.Entries {
			g := got{where: label("pod") + label("filename"), stream: label("stream"), time: e.Timestamp.UnixNano(), text: e.Line}
			for _, m := range e.StructuredMetadata {
				switch m.Name {
				case "stream":
					g.stream = m.Value
				case "truncated", "unfinished":
					g.marks += m.Name + m.Value
				case "log_record_uid":
					g.id = m.Value
				}
			}
			all = append(all, g)
		}
	}
	return all
}

// decodeExport reads LogsData, which is on the wire what ExportLogsServiceRequest is; that has a gateway as a dependency.
func decodeExport(t testing.TB, compression string, body []byte) *logs.LogsData {
	t.Helper()
	req := new(logs.LogsData)
	if err := proto.Unmarshal(decompress(t, compression, body), req); err != nil {
		t.Fatal(err)
	}
	return req
}

func keyValue(kvs []*common.KeyValue, key string) *common.AnyValue {
	for _, kv := range kvs {
		if kv.Key == key {
			return kv.Value
		}
	}
	return nil
}

func otlpDecoder(compression string) func(testing.TB, []byte) []got {
	return func(t testing.TB, body []byte) (all []got) {
		t.Helper()
		for _, rl := range decodeExport(t, compression, body).ResourceLogs {
			where := keyValue(rl.Resource.Attributes, "k8s.pod.name").GetStringValue() +
				keyValue(rl.Resource.Attributes, "log.file.path").GetStringValue()
			for _, r := range rl.ScopeLogs[0].LogRecords {
				g := got{where: where, time: int64(r.TimeUnixNano), text: r.Body.GetStringValue()}
				g.stream = keyValue(r.Attributes, "log.iostream").GetStringValue()
				for _, mark := range []string{"truncated", "unfinished"} {
					if keyValue(r.Attributes, "leat."+mark).GetBoolValue() {
						g.marks += mark + "true"
					}
				}
				g.id = keyValue(r.Attributes, "log.record.uid").GetStringValue()
				all = append(all, g)
			}
		}
		return all
	}
}

func ndjsonDecoder(compression string) func(testing.TB, []byte) []got {
	return func(t testing.TB, body []byte) (all []got) {
		t.Helper()
		text := decompress(t, compression, body)
		if !utf8.Valid(text) {
			t.Error("body is not UTF-8")
		}
		for l := range bytes.Lines(text) {
			var o struct {
				Time       time.Time `json:"time"`
				Msg        *string   `json:"msg"`
				Stream     string    `json:"log.iostream"`
				Pod        string    `json:"k8s.pod.name"`
				Path       string    `json:"log.file.path"`
				Truncated  bool      `json:"leat.truncated"`
				Unfinished bool      `json:"leat.unfinished"`
				ID         string    `json:"log.record.uid"`
			}
			if err := json.Unmarshal(l, &o); err != nil {
				t.Fatalf("%v in %.300q", err, l)
			}
			g := got{where: o.Pod + o.Path, stream: o.Stream, time: o.Time.UnixNano(), text: *o.Msg, id: o.ID}
			if o.Truncated {
				g.marks += "truncatedtrue"
			}
			if o.Unfinished {
				g.marks += "unfinishedtrue"
			}
			all = append(all, g)
		}
		return all
	}
}
