package benchmarks

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/grafana/loki/pkg/push"
	"github.com/klauspost/compress/s2"
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

func TestBareLoop(t *testing.T) {
	const size = 3<<20 + 12345 // 12 blocks and a bit
	log, lines := ordinaryLog(size)
	// What else containerd writes: no fraction, one digit, no message, a long one, and a line yet without an end.
	long := strings.Repeat("long", 50_000)
	special := []string{"2026-03-10T00:00:00Z stdout F whole second", "2026-03-10T00:00:00.5Z stdout F ", "2026-03-10T00:00:01.000000001Z stdout F " + long}
	log = append(log, strings.Join(special, "\n")+"\n"...)
	whole := len(log)
	log = append(log, "2026-03-10T00:00:02Z stdout F unfin"...)

	var got bytes.Buffer
	var sent int64
	compressed, n, err := bareLoop(bytes.NewReader(log), int64(len(log)), func(request []byte) {
		sent += int64(len(request))
		raw, err := s2.Decode(nil, request)
		if err != nil {
			t.Fatalf("decompress: %v", err)
		}
		var p push.PushRequest
		if err := p.Unmarshal(raw); err != nil {
			t.Fatalf("decode: %v", err)
		}
		if len(p.Streams) != 1 || p.Streams[0].Labels != bareLabels {
			t.Fatalf("want one stream %s, got %d: %.200v", bareLabels, len(p.Streams), p.Streams)
		}
		for _, e := range p.Streams[0].Entries {
			fmt.Fprintf(&got, "%s stdout F %s\n", e.Timestamp.UTC().Format(time.RFC3339Nano), e.Line)
		}
	})
	if err != nil || compressed != sent || n != int64(lines+len(special)) {
		t.Errorf("got %d lines in %d bytes, %v; want %d lines in %d bytes", n, compressed, err, lines+len(special), sent)
	}
	if !bytes.Equal(got.Bytes(), log[:whole]) {
		t.Errorf("the requests hold something else than the log")
	}
	if ratio := float64(len(log)) / float64(compressed); ratio < 2 || ratio > 10 {
		t.Errorf("the log compresses %.1f to 1: not what ordinary logs do", ratio)
	}
	again, m, err := BareLoop(bytes.NewReader(log), int64(len(log)))
	if again != compressed || m != n || err != nil {
		t.Errorf("BareLoop: %d bytes, %d lines, %v; want %d, %d", again, m, err, compressed, n)
	}
}

func TestBareLoopRefuses(t *testing.T) {
	const good = "2026-03-09T17:59:30.1Z stdout F good\n"
	for name, log := range map[string]string{
		"no head":         good + "hello\n",
		"no time":         good + "2026-03-09 17:59:30 stdout F hello and hello\n",
		"an offset":       good + "2026-03-09T17:59:30.1+01:00 stdout F hello\n",
		"an endless line": good + good[:len(good)-1] + strings.Repeat("x", bareBlock),
	} {
		if _, _, err := BareLoop(strings.NewReader(log), int64(len(log))); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, _, err := BareLoop(strings.NewReader(good), 1000); err == nil {
		t.Error("a log that ends too early: taken")
	}
}
