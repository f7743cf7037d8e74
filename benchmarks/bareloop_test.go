package benchmarks

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
)

// ordinaryLog is a container's log of about size bytes as containerd writes it: bodies of some 150 bytes, in one of
// three styles, and times without trailing zeros.
func ordinaryLog(size int) (log []byte, lines int) {
	at := time.Date(2026, 3, 9, 17, 59, 30, 0, time.UTC)
	styles := []string{
		`level=info caller=server.go:%[2]d msg="request done" method=GET path=/api/v1/items/%[3]d status=200 duration=%[4]d.%[5]dms bytes=%[3]d remote=10.42.%[5]d.%[4]d trace=%016[1]x`,
		`{"level":"info","logger":"orders.http","msg":"request done","method":"POST","path":"/api/v1/orders/%[3]d","status":201,"duration_ms":%[4]d,"trace_id":"%016[1]x"}`,
		`10.42.%[5]d.%[4]d - - "GET /static/js/app.%08[1]x.js HTTP/1.1" 200 %[3]d "https://shop.example.com/cart?step=%[4]d" "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0" %[2]d`,
	}
	random := uint64(1) // xorshift: the same log each time
	for len(log) < size {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		at = at.Add(time.Duration(random % 3_000_000))
		log = at.AppendFormat(log, time.RFC3339Nano)
		log = append(log, " stdout F "...)
		log = fmt.Appendf(log, styles[lines/7%3]+"\n", random, 100+random>>8%900, random>>16%100_000, random>>32%250, random>>40%10)
		lines++
	}
	return log, lines
}

// lokiLines appends what a request holds, as containerd would write it. It is decoded by Loki's own types.
func lokiLines(lines, request []byte) ([]byte, error) {
	raw, err := s2.Decode(nil, request)
	if err != nil {
		return nil, err
	}
	var p push.PushRequest
	if err := p.Unmarshal(raw); err != nil {
		return nil, err
	}
	if len(p.Streams) != 1 || p.Streams[0].Labels != bareLabels {
		return nil, fmt.Errorf("want one stream %s, got %d: %.200v", bareLabels, len(p.Streams), p.Streams)
	}
	for _, e := range p.Streams[0].Entries {
		lines = e.Timestamp.UTC().AppendFormat(lines, time.RFC3339Nano)
		lines = append(append(append(lines, " stdout F "...), e.Line...), '\n')
	}
	return lines, nil
}

// otlpLines is lokiLines by OpenTelemetry's types. LogsData is an ExportLogsServiceRequest by another name.
func otlpLines(lines, request []byte) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(otlpPiece), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	raw, err := d.DecodeAll(request, nil)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(request, []byte("\x28\xb5\x2f\xfd")); n != 1 {
		return nil, fmt.Errorf("%d zstd frames in a request, want one", n)
	}
	var data logs.LogsData
	if err := proto.Unmarshal(raw, &data); err != nil {
		return nil, err
	}
	if n := proto.Size(&data); n != len(raw) {
		return nil, fmt.Errorf("%d bytes where the protobuf library needs %d", len(raw), n)
	}
	if len(data.ResourceLogs) != 1 || len(data.ResourceLogs[0].ScopeLogs) != 1 {
		return nil, fmt.Errorf("want one resource with one scope: %.200v", &data)
	}
	scope := data.ResourceLogs[0].ScopeLogs[0]
	var all []string
	for _, a := range data.ResourceLogs[0].Resource.Attributes {
		all = append(all, a.Key+"="+a.Value.GetStringValue())
	}
	const want = "k8s.namespace.name=shop k8s.pod.name=cart-5d8f9c7b6-x2x9z k8s.pod.uid=0b7e6a52-93c4-4d0f-8a51-6e1f2d3c4b5a " +
		"k8s.container.name=cart k8s.node.name=node-1"
	if got := strings.Join(all, " "); got != want || scope.Scope.GetName() != "leat" {
		return nil, fmt.Errorf("scope %v of %s, want scope leat of %s", scope.Scope, got, want)
	}
	observed := scope.LogRecords[0].ObservedTimeUnixNano
	if since := time.Since(time.Unix(0, int64(observed))).Abs(); since > time.Minute {
		return nil, fmt.Errorf("observed %v ago", since)
	}
	for _, r := range scope.LogRecords {
		if len(r.Attributes) != 1 || r.Attributes[0].Key != "log.iostream" || r.Attributes[0].Value.GetStringValue() != "stdout" ||
			r.ObservedTimeUnixNano != observed {
			return nil, fmt.Errorf("want log.iostream=stdout, observed at %d: %v", observed, r)
		}
		lines = time.Unix(0, int64(r.TimeUnixNano)).UTC().AppendFormat(lines, time.RFC3339Nano)
		lines = append(append(append(lines, " stdout F "...), r.Body.GetStringValue()...), '\n')
	}
	return lines, nil
}

// bareLoops are both, with what their requests are decoded by.
var bareLoops = []struct {
	name   string
	loop   func(r io.ReaderAt, size int64) (compressed, lines int64, err error)
	encode func() bareEncoder
	decode func(lines, request []byte) ([]byte, error)
}{
	{"loki", BareLoop, func() bareEncoder { return newBareLoki() }, lokiLines},
	{"otlp", BareLoopOTLP, func() bareEncoder { return newBareOTLP() }, otlpLines},
}

func TestBareLoop(t *testing.T) {
	ordinary, _ := ordinaryLog(3<<20 + 12345) // 12 blocks and a bit
	const line = "2026-03-10T00:00:00.000000001Z stdout F "
	noise := make([]byte, 150_000) // compresses by a quarter, and only by its letters
	rand.NewChaCha8([32]byte{}).Read(noise)
	// What else containerd writes: no fraction, one digit, no message, long ones, and a line yet without an end.
	special := "2026-03-10T00:00:00Z stdout F whole second\n2026-03-10T00:00:00.5Z stdout F \n" +
		line + strings.Repeat("läng", 40_000) + "\n" + line + base64.StdEncoding.EncodeToString(noise) + "\n"
	cases := map[string]string{
		"":           "",
		"a line":     line + "short\n",
		"no message": line + "\n",
		"unfinished": line + "unfin",
		"ordinary":   string(ordinary),
		"special":    strings.Repeat(special, 3) + line + "unfin",
	}
	for _, bare := range bareLoops {
		for name, log := range cases {
			t.Run(bare.name+"/"+name, func(t *testing.T) {
				var got []byte
				var sent int64
				compressed, n, err := bareLoop(strings.NewReader(log), int64(len(log)), bare.encode(), func(request []byte) {
					sent += int64(len(request))
					var err error
					if got, err = bare.decode(got, request); err != nil {
						t.Fatalf("decode: %v", err)
					}
				})
				want := log[:strings.LastIndexByte(log, '\n')+1]
				if lines := strings.Count(want, "\n"); err != nil || compressed != sent || n != int64(lines) {
					t.Errorf("got %d lines in %d bytes, %v; want %d lines in %d bytes", n, compressed, err, lines, sent)
				}
				if string(got) != want {
					t.Errorf("the requests hold something else than the log: %d bytes, want %d", len(got), len(want))
				}
				if ratio := float64(len(log)) / float64(compressed); name == "ordinary" && (ratio < 2 || ratio > 10) {
					t.Errorf("the log compresses %.1f to 1: not what ordinary logs do", ratio)
				}
				_, m, err := bare.loop(strings.NewReader(log), int64(len(log)))
				if m != n || err != nil {
					t.Errorf("by its name: %d lines, %v; want %d", m, err, n)
				}
			})
		}
	}
}

func TestBareLoopRefuses(t *testing.T) {
	const good = "2026-03-09T17:59:30.1Z stdout F good\n"
	bad := map[string]string{
		"no head":         good + "hello\n",
		"no time":         good + "2026-03-09 17:59:30 stdout F hello and hello\n",
		"an offset":       good + "2026-03-09T17:59:30.1+01:00 stdout F hello\n",
		"an endless line": good + good[:len(good)-1] + strings.Repeat("x", bareBlock),
	}
	for _, bare := range bareLoops {
		for name, log := range bad {
			if _, _, err := bare.loop(strings.NewReader(log), int64(len(log))); err == nil {
				t.Errorf("%s: %s: taken", bare.name, name)
			}
		}
		if _, _, err := bare.loop(strings.NewReader(good), 1000); err == nil {
			t.Errorf("%s: a log that ends too early: taken", bare.name)
		}
	}
	// Loki takes any bytes as a line, OTLP does not.
	const latin1 = good + "2026-03-09T17:59:30.2Z stdout F caf\xe9\n"
	if _, n, err := BareLoop(strings.NewReader(latin1), int64(len(latin1))); n != 2 || err != nil {
		t.Errorf("loki: invalid UTF-8: %d lines, %v", n, err)
	}
	if _, _, err := BareLoopOTLP(strings.NewReader(latin1), int64(len(latin1))); err == nil {
		t.Error("otlp: invalid UTF-8: taken")
	}
}

// BenchmarkBareLoop reads the file that BenchmarkTailFile reads.
func BenchmarkBareLoop(b *testing.B) {
	path, size, lines := tailed(b)
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for _, bare := range bareLoops {
		b.Run(bare.name, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			var compressed int64
			for b.Loop() {
				var n int64
				if compressed, n, err = bare.loop(file, size); err != nil || n != int64(lines) {
					b.Fatalf("%d of %d lines, %v", n, lines, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
			b.ReportMetric(float64(size)/float64(compressed), "x-smaller")
		})
	}
}
