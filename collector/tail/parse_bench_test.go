package tail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Lines as they are on nodes: bodies of about 150 bytes, times that move on by a millisecond, widths that vary because
// the runtime trims zeros.

var benchStart = time.Date(2026, 3, 9, 17, 59, 30, 120_000_000, time.UTC)

func benchTime(i int, step time.Duration) string {
	return benchStart.Add(time.Duration(i)*step + time.Duration(i*7919%1000)*1000).Format(time.RFC3339Nano)
}

func plainBody(i int) string {
	return fmt.Sprintf(`level=info ts=%d caller=server.go:%d msg="request done" method=GET path=/api/v1/items/%d status=200 duration=%d.%dms bytes=%d remote=10.42.0.%d`,
		1773079170+i, 100+i%700, 10000+i, i%90, i%10, 100+i*37%90000, i%250)
}

func jsonBody(i int) string {
	return fmt.Sprintf(`{"level":"info","ts":"2026-03-09T17:59:30.%03dZ","logger":"http","msg":"request done","method":"GET","path":"/api/v1/items/%d","status":200,"ms":%d,"trace":"%016x"}`,
		i%1000, 10000+i, i%90, i*7919)
}

func benchCRI(step time.Duration) [][]byte {
	lines := make([][]byte, benchLines)
	for i := range lines {
		stream := "stdout"
		if i%16 == 5 {
			stream = "stderr"
		}
		lines[i] = []byte(benchTime(i, step) + " " + stream + " F " + plainBody(i))
	}
	return lines
}

func benchDocker(body func(int) string, attrs string) [][]byte {
	lines := make([][]byte, benchLines)
	for i := range lines {
		text, err := json.Marshal(body(i) + "\n")
		if err != nil {
			panic(err)
		}
		lines[i] = []byte(`{"log":` + string(text) + `,"stream":"stdout",` + attrs + `"time":"` + benchTime(i, time.Millisecond) + `"}`)
	}
	return lines
}

const benchAttrs = `"attrs":{"com.example.team":"shop","tag":"api/7f3c"},`

const benchLines = 1 << 10

// benchParse measures parse on lines in turn. A docker line is decoded in place, so each is parsed from a copy: what
// that costs is the benchmark "copy".
func benchParse(b *testing.B, lines [][]byte, parse func(*clock, []byte, *line) bool) {
	size := 0
	for _, s := range lines {
		size += len(s)
	}
	room := make([]byte, 4096)
	var c clock
	var l line
	b.ReportAllocs()
	b.SetBytes(int64(size / len(lines)))
	i := 0
	for b.Loop() {
		s := lines[i%benchLines]
		if s[0] == '{' {
			s = room[:copy(room, s)]
		}
		if !parse(&c, s, &l) {
			b.Fatalf("not parsed: %s", s)
		}
		i++
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bench := range []struct {
		name  string
		lines [][]byte
		parse func(*clock, []byte, *line) bool
	}{
		{"cri/one minute", benchCRI(time.Millisecond), (*clock).cri},
		{"cri/each a new minute", benchCRI(time.Minute), (*clock).cri},
		{"docker/copy", benchDocker(plainQuoteless, ""), func(_ *clock, _ []byte, _ *line) bool { return true }},
		{"docker/no escapes", benchDocker(plainQuoteless, ""), (*clock).docker},
		{"docker/two escapes", benchDocker(plainBody, ""), (*clock).docker},
		{"docker/json", benchDocker(jsonBody, ""), (*clock).docker},
		{"docker/no escapes, attrs", benchDocker(plainQuoteless, benchAttrs), (*clock).docker},
		{"docker/json, attrs", benchDocker(jsonBody, benchAttrs), (*clock).docker},
	} {
		b.Run(bench.name, func(b *testing.B) { benchParse(b, bench.lines, bench.parse) })
	}
}

func plainQuoteless(i int) string { return strings.ReplaceAll(plainBody(i), `"`, "'") }

func BenchmarkDetect(b *testing.B) {
	cri, docker := benchCRI(time.Millisecond)[0], benchDocker(jsonBody, "")[0]
	b.ReportAllocs()
	for b.Loop() {
		if detect(cri) != formatCRI || detect(docker) != formatDocker {
			b.Fatal("not detected")
		}
	}
}

func TestParseAllocates(t *testing.T) {
	for name, test := range map[string]struct {
		lines [][]byte
		parse func(*clock, []byte, *line) bool
	}{
		"cri":            {benchCRI(time.Second), (*clock).cri},
		"docker plain":   {benchDocker(plainQuoteless, ""), (*clock).docker},
		"docker json":    {benchDocker(jsonBody, ""), (*clock).docker},
		"docker attrs":   {benchDocker(jsonBody, benchAttrs), (*clock).docker},
		"docker spelled": {[][]byte{[]byte(`{"l\u006fg":"a\u00e9\n","str\u0065am":"std\u0065rr","time":"2026-01-02T03:04:05Z"}`)}, (*clock).docker},
		"detect":         {benchDocker(jsonBody, benchAttrs), func(_ *clock, b []byte, _ *line) bool { return detect(b) == formatDocker }},
	} {
		t.Run(name, func(t *testing.T) {
			room := make([]byte, 4096)
			var c clock
			var l line
			i := 0
			if n := testing.AllocsPerRun(len(test.lines), func() {
				s := room[:copy(room, test.lines[i%len(test.lines)])]
				if !test.parse(&c, s, &l) {
					t.Fatalf("not parsed: %s", bytes.Clone(s))
				}
				i++
			}); n != 0 {
				t.Errorf("%v allocations a line, want none", n)
			}
		})
	}
}
