package sinks

import (
	"testing"

	"github.com/prometheus/common/config"

	"github.com/leatd/leat/pipeline"
)

// limitedLoki makes a sink that keeps to a stream's limit.
func limitedLoki(t *testing.T, f LokiFormat, rate int64) *Loki {
	t.Helper()
	l, err := NewLoki(Remote{Name: "loki", URL: "http://127.0.0.1:1", HTTP: config.DefaultHTTPClientConfig}, f, rate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestLokiStreams: which targets share a stream, and which have two.
func TestLokiStreams(t *testing.T) {
	other := *podTarget
	other.Key, other.Container = "other", "proxy"
	tests := map[string]struct {
		format                   LokiFormat
		rate                     int64
		limited, two, sameForAll bool
	}{
		"no limit":              {LokiFormat{}, 0, false, false, false},
		"by default":            {LokiFormat{}, 1000, true, true, false},
		"stream is no label":    {LokiFormat{Labels: []string{"container"}}, 1000, true, false, false},
		"targets share theirs":  {LokiFormat{Labels: []string{"namespace", "stream"}}, 1000, true, true, true},
		"metadata tell nothing": {LokiFormat{Labels: []string{"namespace"}, Metadata: []string{"container"}}, 1000, true, false, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := limitedLoki(t, tt.format, tt.rate)
			a, again, b := l.Describe(podTarget).Streams, l.Describe(podTarget).Streams, l.Describe(&other).Streams
			if (a[0] != nil) != tt.limited || (a[1] != nil) != tt.two || a[0] == a[1] && a[0] != nil {
				t.Errorf("the streams are %v", a)
			}
			if a != again || tt.limited && (a == b) != tt.sameForAll {
				t.Errorf("two targets have %v and %v, and the first %v when asked again", a, b, again)
			}
		})
	}
}

// TestLokiCounts: a line is charged with at least what Loki counts of it: its length, and that of the names and values of
// its structured metadata.
func TestLokiCounts(t *testing.T) {
	lines := []line{
		{testTime, "one", 0}, {testTime + 1, "two", pipeline.Stderr}, {testTime + 2, "", pipeline.Truncated},
		{testTime + 3, "a\xff\x00", pipeline.Unfinished | pipeline.Truncated | pipeline.Stderr},
	}
	for name, f := range map[string]LokiFormat{
		"plain":      {},
		"everything": {Labels: []string{"node_name"}, Metadata: []string{"namespace", "pod", "container", "stream", "pod_uid", "restart_count", "filename", "cluster"}, Own: []string{"cluster"}, RecordID: true},
	} {
		for _, target := range []*pipeline.Target{podTarget, fileTarget} {
			t.Run(name+" "+target.Key, func(t *testing.T) {
				l := limitedLoki(t, f, 1000)
				d := l.Describe(target)
				b := newTestBlock(l)
				b.add(target, pipeline.GenerationID{Restart: 1<<31 - 1, Hash: 5}, 1<<60, lines...)
				for _, s := range decodePush(t, b.encode(l.NewEncoder(), len(lines))).Streams {
					for _, e := range s.Entries {
						counted := len(e.Line)
						marked := false
						for _, m := range e.StructuredMetadata {
							counted += len(m.Name) + len(m.Value)
							marked = marked || m.Name == lokiTruncated || m.Name == lokiUnfinished
						}
						charged := len(e.Line) + d.PerLine
						if marked {
							charged = len(e.Line) + d.PerMarkedLine
						}
						if counted > charged || charged > counted+40 {
							t.Errorf("%q is charged with %d, Loki counts %d", e.Line, charged, counted)
						}
					}
				}
			})
		}
	}
}
