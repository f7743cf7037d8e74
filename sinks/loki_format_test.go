package sinks

import (
	"strings"
	"testing"

	"github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/snappy"

	"github.com/leatd/leat/pipeline"
)

// lokiText writes a request down, a line per entry.
func lokiText(req *push.PushRequest) string {
	var b strings.Builder
	for _, s := range req.Streams {
		b.WriteString(s.Labels + "\n")
		for _, e := range s.Entries {
			b.WriteString("  " + e.Timestamp.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " " + e.Line)
			for _, m := range e.StructuredMetadata {
				b.WriteString(" " + m.Name + "=" + m.Value)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestLokiGolden(t *testing.T) {
	lines := []line{
		{testTime, "one", 0}, {testTime + 1, "two", pipeline.Stderr}, {testTime + 2, "three", pipeline.Truncated}, {-1, "four", pipeline.Unfinished},
	}
	cases := map[string]struct {
		format LokiFormat
		want   string
	}{
		"by default": {LokiFormat{}, `
{cluster="prod", container="app", namespace="shop", node_name="node-1", pod="cart-7d4b9c", stream="stdout"}
  2026-01-02T03:04:05.000000006Z one
  2026-01-02T03:04:05.000000008Z three truncated=true
  1969-12-31T23:59:59.999999999Z four unfinished=true
{cluster="prod", container="app", namespace="shop", node_name="node-1", pod="cart-7d4b9c", stream="stderr"}
  2026-01-02T03:04:05.000000007Z two
{filename="/var/log/auth.log", job="auth", node_name="node-1"}
  2026-01-02T03:04:05.000000006Z host
`},
		"an owner's label as metadata": {LokiFormat{Labels: []string{"namespace", "job"}, Metadata: []string{"cluster"}, Own: []string{"cluster", "job"}}, `
{namespace="shop"}
  2026-01-02T03:04:05.000000006Z one cluster=prod
  2026-01-02T03:04:05.000000007Z two cluster=prod
  2026-01-02T03:04:05.000000008Z three cluster=prod truncated=true
  1969-12-31T23:59:59.999999999Z four cluster=prod unfinished=true
{job="auth"}
  2026-01-02T03:04:05.000000006Z host
`},
		"everything": {LokiFormat{Metadata: []string{"pod", "stream", "pod_uid", "restart_count"}, RecordID: true}, `
{cluster="prod", container="app", namespace="shop", node_name="node-1"}
  2026-01-02T03:04:05.000000006Z one pod=cart-7d4b9c pod_uid=0f2c restart_count=12 stream=stdout log_record_uid=ID-64
  2026-01-02T03:04:05.000000007Z two pod=cart-7d4b9c pod_uid=0f2c restart_count=12 stream=stderr log_record_uid=ID-90
  2026-01-02T03:04:05.000000008Z three pod=cart-7d4b9c pod_uid=0f2c restart_count=12 stream=stdout truncated=true log_record_uid=ID-bc
  1969-12-31T23:59:59.999999999Z four pod=cart-7d4b9c pod_uid=0f2c restart_count=12 stream=stdout unfinished=true log_record_uid=ID-ea
{filename="/var/log/auth.log", job="auth", node_name="node-1"}
  2026-01-02T03:04:05.000000006Z host log_record_uid=ID-0
`},
		"the owner's labels alone": {LokiFormat{Labels: []string{"cluster", "job"}, Own: []string{"cluster", "job"}}, `
{cluster="prod"}
  2026-01-02T03:04:05.000000006Z one
  2026-01-02T03:04:05.000000007Z two
  2026-01-02T03:04:05.000000008Z three truncated=true
  1969-12-31T23:59:59.999999999Z four unfinished=true
{job="auth"}
  2026-01-02T03:04:05.000000006Z host
`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if err := c.format.Validate(); err != nil {
				t.Error(err)
			}
			b := newTestBlock(&c.format)
			b.add(podTarget, pipeline.GenerationID{Restart: 12, Hash: 5}, 100, lines...)
			b.add(fileTarget, pipeline.GenerationID{}, 0, line{testTime, "host", 0})
			have := "\n" + lokiText(decodePush(t, b.encode(c.format.NewEncoder(), len(lines))))
			for i := range b.Segments {
				id := wantID(&b.Segments[i], &pipeline.Record{})
				have = strings.ReplaceAll(have, id[:16], "ID")
			}
			if have != c.want {
				t.Errorf("have%s\nwant%s", have, c.want)
			}
		})
	}
}

// The bytes are what Loki's own library would write: the shortest form of every length.
func TestLokiIsMinimal(t *testing.T) {
	f := &LokiFormat{Metadata: []string{"pod_uid"}, RecordID: true}
	b := ordinary(f, 100<<10, true)
	body := b.encode(f.NewEncoder(), 1000)
	size, err := snappy.DecodedLen(body)
	if want := decodePush(t, body).Size(); err != nil || size != want {
		t.Errorf("%d bytes, %v, want %d", size, err, want)
	}
}

func TestLokiLabels(t *testing.T) {
	cases := map[string]struct {
		target pipeline.Target
		format LokiFormat
		want   string
	}{
		"strange": {*strangeTarget, LokiFormat{},
			`{_0day="a\nb", a_b="first", container="c", long="` + strings.Repeat("ä", 1024) +
				`", namespace="n", node_name="nöde \"1\"\\", pod="p", stream="stdout", time="noon", wrong="` + "\uFFFD" + `\x00"}`},
		"nothing left": {pipeline.Target{Path: "/a", Raw: true}, LokiFormat{Labels: []string{"pod"}}, `{filename="/a"}`},
		"nothing left of a container": {pipeline.Target{Namespace: "n", Pod: "p", UID: "u", Container: "c"},
			LokiFormat{Labels: []string{"filename"}}, `{container="c", namespace="n", pod="p", stream="stdout"}`},
		"only the stream": {pipeline.Target{Namespace: "n", Pod: "p", UID: "u", Container: "c"},
			LokiFormat{Labels: []string{"stream"}}, `{stream="stdout"}`},
		"cut between runes": {pipeline.Target{Path: "x" + strings.Repeat("ä", 1100), Raw: true}, LokiFormat{},
			`{filename="x` + strings.Repeat("ä", 1023) + `"}`},
		"a label of ours": {pipeline.Target{Path: "/a", Raw: true, Labels: []pipeline.Label{{Name: "filename", Value: "/b"}}}, LokiFormat{},
			`{filename="/a"}`},
	}
	for name, c := range cases {
		if c.target.Labels != nil && name == "strange" {
			c.target.Labels = append([]pipeline.Label{}, c.target.Labels[1:]...) // but for the nameless
		}
		t.Run(name, func(t *testing.T) {
			b := newTestBlock(&c.format)
			b.add(&c.target, pipeline.GenerationID{}, 0, line{1, "x", 0})
			if have := decodePush(t, b.encode(c.format.NewEncoder(), 1)).Streams[0].Labels; have != c.want {
				t.Errorf("have %s\nwant %s", have, c.want)
			}
		})
	}
}

func TestLabelName(t *testing.T) {
	for in, want := range map[string]string{
		"": "_", "a": "a", "Z_9": "Z_9", "9a": "_9a", "k8s.pod/name": "k8s_pod_name", "ä": "__", "a b\n": "a_b_", "[": "_", "@": "_", "`": "_", "{": "_",
	} {
		if have := labelName(in); have != want {
			t.Errorf("%q: have %q, want %q", in, have, want)
		}
	}
}

func TestLokiValidate(t *testing.T) {
	for want, f := range map[string]LokiFormat{
		`labels: no field is named "ns": choose from`:             {Labels: []string{"ns"}},
		`metadata: no field is named "host": choose from`:         {Metadata: []string{"host"}},
		`labels: restart_count would begin a new stream at every`: {Labels: []string{"restart_count"}},
		`labels: pod is named twice`:                              {Labels: []string{"pod", "pod"}},
		`metadata: pod is named twice`:                            {Labels: []string{"pod"}, Metadata: []string{"pod"}},
		`metadata: pod_uid is named twice`:                        {Metadata: []string{"pod_uid", "pod_uid"}},
	} {
		if err := f.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: have %v, want %s", f, err, want)
		}
	}
}
