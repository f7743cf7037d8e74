package sinks

import (
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/leatd/leat/pipeline"
)

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func yes() *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}
}

func number(n int64) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}
}

func kv(key string, v *common.AnyValue) *common.KeyValue { return &common.KeyValue{Key: key, Value: v} }

func TestOTLPGolden(t *testing.T) {
	observed := time.Unix(0, testTime+second)
	f := &OTLPFormat{Compression: "none", RecordID: true, Now: func() time.Time { return observed }}
	b := newTestBlock(f)
	b.add(podTarget, pipeline.GenerationID{Restart: 300, Hash: 5}, 100,
		line{testTime, "one", 0}, line{testTime + 1, "", pipeline.Stderr}, line{-1, "b\xff", pipeline.Truncated | pipeline.Unfinished})
	b.add(fileTarget, pipeline.GenerationID{}, 0, line{0, "host", 0})
	have := decodeExport(t, "none", b.encode(f.NewEncoder(), 9))

	record := func(s, r int, at int64, body string, attributes ...*common.KeyValue) *logs.LogRecord {
		segment := &b.Segments[s]
		id := wantID(segment, &b.Of(segment)[r])
		return &logs.LogRecord{
			TimeUnixNano: uint64(at), ObservedTimeUnixNano: uint64(observed.UnixNano()), Body: text(body),
			Attributes: append(attributes, kv("log.record.uid", text(id))),
		}
	}
	scope := &common.InstrumentationScope{Name: "github.com/leatd/leat"}
	want := &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{
			kv("k8s.namespace.name", text("shop")), kv("k8s.pod.name", text("cart-7d4b9c")), kv("k8s.pod.uid", text("0f2c")),
			kv("k8s.container.name", text("app")), kv("k8s.node.name", text("node-1")), kv("cluster", text("prod")),
			kv("k8s.container.restart_count", number(300)),
		}},
		ScopeLogs: []*logs.ScopeLogs{{Scope: scope, LogRecords: []*logs.LogRecord{
			record(0, 0, testTime, "one", kv("log.iostream", text("stdout"))),
			record(0, 1, testTime+1, "", kv("log.iostream", text("stderr"))),
			record(0, 2, -1, "b\uFFFD", kv("log.iostream", text("stdout")), kv("leat.truncated", yes()), kv("leat.unfinished", yes())),
		}}},
	}, {
		Resource: &resource.Resource{Attributes: []*common.KeyValue{
			kv("k8s.node.name", text("node-1")), kv("log.file.path", text("/var/log/auth.log")), kv("job", text("auth")),
		}},
		ScopeLogs: []*logs.ScopeLogs{{Scope: scope, LogRecords: []*logs.LogRecord{record(1, 0, 0, "host")}}},
	}}}
	if !proto.Equal(have, want) {
		t.Errorf("have %s\nwant %s", prototext.Format(have), prototext.Format(want))
	}
}

// The bytes are what the protobuf library itself would write: the shortest form of every length.
func TestOTLPIsMinimal(t *testing.T) {
	f := &OTLPFormat{Compression: "none"}
	b := ordinary(f, 100<<10, true)
	body := b.encode(f.NewEncoder(), 1000)
	if n := proto.Size(decodeExport(t, "none", body)); n != len(body) {
		t.Errorf("%d bytes, want %d", len(body), n)
	}
}

func TestOTLPStrangeLabels(t *testing.T) {
	f := &OTLPFormat{Compression: "none"}
	b := newTestBlock(f)
	b.add(strangeTarget, pipeline.GenerationID{}, 0, line{1, "x", 0})
	have := decodeExport(t, "none", b.encode(f.NewEncoder(), 1)).ResourceLogs[0].Resource.Attributes
	want := [][2]string{
		{"k8s.namespace.name", "n"}, {"k8s.pod.name", "p"}, {"k8s.pod.uid", "u"}, {"k8s.container.name", "c"}, {"k8s.node.name", `nöde "1"\`},
		{"0day", "a\nb"}, {"a.b", "first"}, {"a_b", "second"}, {"empty", ""}, {"long", strings.Repeat("ä", 1100)}, {"pod", "not mine"},
		{"time", "noon"}, {"wrong", "\uFFFD\x00"}, {"k8s.container.restart_count", ""},
	}
	if len(have) != len(want) {
		t.Fatalf("have %d attributes, want %d: %v", len(have), len(want), have)
	}
	for i, w := range want {
		if have[i].Key != w[0] || have[i].Value.GetStringValue() != w[1] {
			t.Errorf("have %v, want %q", have[i], w)
		}
	}
}
