package sinks

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/pipeline"
)

// describer is what the three formats have in common.
type describer interface {
	Describe(t *pipeline.Target) pipeline.Description
	NewEncoder() pipeline.Encoder
}

// line is a record as tests write it down.
type line struct {
	time  int64
	text  string
	flags pipeline.Flags
}

// testBlock builds blocks as a reader does: bodies lie where the file had them, between what the runtime wrote.
type testBlock struct {
	pipeline.Block
	format describer
}

func newTestBlock(format describer) *testBlock { return &testBlock{format: format} }

// add appends a segment of t with these lines.
func (b *testBlock) add(t *pipeline.Target, g pipeline.GenerationID, start int64, lines ...line) {
	s := pipeline.Segment{
		Target:     &pipeline.LaneTarget{Target: t, Described: b.format.Describe(t)},
		Generation: g,
		Start:      start,
		First:      len(b.Records),
		N:          len(lines),
		All:        ^pipeline.Flags(0),
	}
	from := len(b.Buf)
	for _, l := range lines {
		pos := len(b.Buf) - from
		if !t.Raw {
			stream := "stdout"
			if l.flags&pipeline.Stderr != 0 {
				stream = "stderr"
			}
			b.Buf = fmt.Appendf(b.Buf, "%s %s F ", time.Unix(0, l.time).UTC().Format(time.RFC3339Nano), stream)
		}
		b.Records = append(b.Records, pipeline.Record{
			Time: l.time, Off: uint32(len(b.Buf)), Len: uint32(len(l.text)), Pos: uint32(pos), Flags: l.flags,
		})
		b.Buf = append(append(b.Buf, l.text...), '\n')
		s.Bytes += int64(len(l.text))
		s.Any |= l.flags
		s.All &= l.flags
	}
	s.End = start + int64(len(b.Buf)-from)
	b.Data = len(b.Buf)
	b.Segments = append(b.Segments, s)
}

// encode makes one request of the block, with the segments' records given to the encoder at most n at a time.
func (b *testBlock) encode(e pipeline.Encoder, n int) []byte {
	e.Begin()
	for i := range b.Segments {
		s := &b.Segments[i]
		for all := b.Of(s); len(all) > 0; {
			k := min(n, len(all))
			e.Add(&b.Block, s, all[:k])
			all = all[k:]
		}
	}
	return e.End()
}

var (
	podTarget = &pipeline.Target{
		Key: "shop_cart-7d4b9c_0f2c/app", Namespace: "shop", Pod: "cart-7d4b9c", UID: "0f2c", Container: "app", Node: "node-1",
		Labels: []pipeline.Label{{Name: "cluster", Value: "prod"}},
	}
	otherTarget = &pipeline.Target{
		Key: "shop_pay-0_99aa/pay", Namespace: "shop", Pod: "pay-0", UID: "99aa", Container: "pay", Node: "node-1",
	}
	fileTarget = &pipeline.Target{
		Key: "/var/log/auth.log", Path: "/var/log/auth.log", Node: "node-1", Raw: true,
		Labels: []pipeline.Label{{Name: "job", Value: "auth"}},
	}
	strangeTarget = &pipeline.Target{
		Key: "n_p_u/c", Namespace: "n", Pod: "p", UID: "u", Container: "c", Node: "nöde \"1\"\\",
		Labels: []pipeline.Label{
			{Name: "", Value: "nameless"}, {Name: "0day", Value: "a\nb"}, {Name: "a.b", Value: "first"}, {Name: "a_b", Value: "second"},
			{Name: "empty", Value: ""}, {Name: "long", Value: strings.Repeat("ä", 1100)}, {Name: "pod", Value: "not mine"},
			{Name: "time", Value: "noon"}, {Name: "wrong", Value: "\xff\x00"},
		},
	}
)

const testTime = 1767323045_000000006 // 2026-01-02T03:04:05.000000006Z

// logGenerator makes lines as containers write them: JSON of an application, accesses as nginx logs them, klog, and
// now and then a stack trace.
type logGenerator struct {
	r    *rand.Rand
	time int64
}

func newLogGenerator() *logGenerator {
	return &logGenerator{r: rand.New(rand.NewPCG(1, 2)), time: testTime}
}

func (g *logGenerator) pick(words ...string) string { return words[g.r.IntN(len(words))] }

func (g *logGenerator) next() line {
	g.time += g.r.Int64N(2_000_000)
	at := time.Unix(0, g.time).UTC()
	method := g.pick("GET", "GET", "GET", "POST", "PUT")
	path := g.pick("/api/v1/carts/", "/api/v1/orders/", "/api/v1/users/", "/static/js/app.", "/healthz?id=")
	ip := fmt.Sprintf("10.%d.%d.%d", g.r.IntN(4), g.r.IntN(256), g.r.IntN(256))
	switch k := g.r.IntN(100); {
	case k < 45:
		return line{g.time, fmt.Sprintf(
			`{"level":"%s","ts":"%s","logger":"%s","caller":"server/%s.go:%d","msg":"%s","method":"%s","path":"%s%d","status":%d,"duration_ms":%.3f,"trace_id":"%016x%016x","user":"user-%d"}`,
			g.pick("info", "info", "info", "debug", "warn"), at.Format("2006-01-02T15:04:05.000Z"),
			g.pick("http", "cart", "db", "auth"), g.pick("handler", "router", "store"), g.r.IntN(900),
			g.pick("request completed", "cache miss, reading from the database", "session refreshed", "order accepted"),
			method, path, g.r.IntN(100000), 200+g.r.IntN(4)*100, g.r.Float64()*200, g.r.Uint64(), g.r.Uint64(), g.r.IntN(5000)), 0}
	case k < 80:
		return line{g.time, fmt.Sprintf(`%s - - [%s] "%s %s%d HTTP/1.1" %d %d "https://shop.example.com/%s" "%s" %.3f`,
			ip, at.Format("02/Jan/2006:15:04:05 -0700"), method, path, g.r.IntN(100000), 200+g.r.IntN(4)*100, g.r.IntN(60000),
			g.pick("", "cart", "search?q=shoes", "login"),
			g.pick("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
				"curl/8.9.1", "kube-probe/1.34", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"),
			g.r.Float64()), 0}
	case k < 97:
		return line{g.time, fmt.Sprintf(`%s%s       1 %s.go:%d] "%s" pod="%s/%s-%x" node="node-%d" err=%s`,
			g.pick("I", "I", "W", "E"), at.Format("0102 15:04:05.000000"), g.pick("reconciler", "controller", "kubelet"), g.r.IntN(2000),
			g.pick("Syncing pod", "Finished syncing service", "Failed to list resource", "Lease renewed"),
			g.pick("default", "kube-system", "shop"), g.pick("cart", "pay", "search"), g.r.Uint32(), g.r.IntN(40), g.pick("<nil>", `"timeout"`)), pipeline.Stderr}
	default:
		return line{g.time, fmt.Sprintf("\tat com.example.shop.%s.%s(%s.java:%d)", g.pick("cart", "order", "web"),
			g.pick("process", "invoke", "doFilter", "handleRequest"), g.pick("CartService", "OrderController", "Filter"), g.r.IntN(600)), pipeline.Stderr}
	}
}

// ordinary is a block of size bytes as a busy container fills it, of one stream unless mixed.
func ordinary(format describer, size int, mixed bool) *testBlock {
	g, b := newLogGenerator(), newTestBlock(format)
	var lines []line
	for n := 0; n < size; {
		l := g.next()
		if !mixed {
			l.flags = 0
		}
		lines = append(lines, l)
		n += len(l.text) + len("2026-01-02T03:04:05.000000006Z stdout F \n")
	}
	b.add(podTarget, pipeline.GenerationID{Restart: 3, Hash: 0x1234}, 1<<20, lines...)
	return b
}

func TestOrdinaryLooksOrdinary(t *testing.T) {
	b := ordinary(&LokiFormat{}, 256<<10, true)
	if n := len(b.Buf); n < 255<<10 || n > 258<<10 {
		t.Errorf("block of %d bytes, want about 256 KiB", n)
	}
	t.Logf("%d records, %d bytes of text a line\n%.2000s", len(b.Records), int(b.Segments[0].Bytes)/len(b.Records), b.Buf)
}
