package sinks

import (
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/leatd/leat/pipeline"
)

// expected is what the far end must see of the block when n records at a time are encoded.
func (c *codec) expected(b *testBlock, n int) (all []got) {
	for i := range b.Segments {
		s := &b.Segments[i]
		tg := s.Target.Target
		for records := b.Of(s); len(records) > 0; {
			k := min(n, len(records))
			for _, pass := range []string{"stdout", "stderr"} {
				for j := range records[:k] {
					r := &records[j]
					g := got{where: tg.Pod + tg.Path, time: r.Time, text: string(b.Body(r))}
					stream := "stdout"
					if r.Flags&pipeline.Stderr != 0 {
						stream = "stderr"
					}
					if !tg.Raw {
						g.stream = stream
					}
					if r.Flags&pipeline.Truncated != 0 {
						g.marks += "truncatedtrue"
					}
					if r.Flags&pipeline.Unfinished != 0 {
						g.marks += "unfinishedtrue"
					}
					if c.valid {
						g.text = string([]rune(g.text)) // each invalid byte becomes U+FFFD
					}
					if c.ids {
						g.id = wantID(s, r)
					}
					if c.apart && pass == stream || !c.apart && pass == "stdout" {
						all = append(all, g)
					}
				}
			}
			records = records[k:]
		}
	}
	return all
}

func (c *codec) check(t testing.TB, b *testBlock, e pipeline.Encoder, n int) {
	t.Helper()
	have, want := c.decode(t, b.encode(e, n)), c.expected(b, n)
	if len(have) != len(want) {
		t.Fatalf("%d records arrived, want %d", len(have), len(want))
	}
	for i := range want {
		if have[i] != want[i] {
			t.Fatalf("record %d of %d:\nhave %s\nwant %s", i, len(want), have[i], want[i])
		}
	}
}

var strangeLines = []line{
	{testTime, "", 0},
	{testTime, "nul \x00 in it", 0},
	{testTime + 1, "cr at the end\r", pipeline.Stderr},
	{testTime + 1, "two\nlines\n", 0},
	{testTime + 999_999_994, "the second's first", 0},
	{testTime + 999_999_993, "one ns back", pipeline.Stderr},
	{0, "epoch", 0},
	{-1, "before the epoch", 0},
	{-second, "a second before", 0},
	{math.MinInt64, "the first time there is", 0},
	{math.MaxInt64, "the last", 0},
	{testTime, "cut in \xe2\x82", pipeline.Truncated},
	{testTime, "\xac the other half", pipeline.Unfinished | pipeline.Stderr},
	{testTime, "both", pipeline.Unfinished | pipeline.Truncated},
	{testTime, "what is this", pipeline.Unparsed},
	{testTime, "größer als 1 € 😀 \u2028", 0},
	{testTime, "\xff\xfe\xed\xa0\x80 ok ä \xc3", 0},
	{testTime, "\x01\x02\x1f\x7f\"\\/<>&\b\f\t", 0},
	{testTime, `{"a":"b \"c\""}`, 0},
}

func TestRoundTrip(t *testing.T) {
	gen := pipeline.GenerationID{Restart: 3, Hash: 0xfedcba9876543210}
	tiny := make([]line, 4000)
	for i := range tiny {
		tiny[i] = line{testTime + int64(i)*777_777, "x"[:i%2], pipeline.Flags(i/3) & pipeline.Stderr}
	}
	var long []line
	for _, n := range []int{1, pieceSize - 60, pieceSize, pieceSize + 1, 256 << 10, 2, 256<<10 + 1} {
		long = append(long, line{testTime, strings.Repeat("a long line; ", n/13+1)[:n], 0},
			line{testTime, strings.Repeat("\"\x00é", n/4+1)[:n], 0}, line{testTime, strings.Repeat("\xff", n/3+1), pipeline.Stderr})
	}
	cases := map[string]func(b *testBlock){
		"nothing":  func(b *testBlock) {},
		"one line": func(b *testBlock) { b.add(podTarget, gen, 0, line{testTime, "hello", 0}) },
		"stderr":   func(b *testBlock) { b.add(podTarget, gen, 0, line{testTime, "hello", pipeline.Stderr}) },
		"strange":  func(b *testBlock) { b.add(podTarget, gen, 1<<40, strangeLines...) },
		"tiny":     func(b *testBlock) { b.add(podTarget, gen, 5, tiny...) },
		"long":     func(b *testBlock) { b.add(podTarget, gen, 5, long...) },
		"host file": func(b *testBlock) {
			b.add(fileTarget, pipeline.GenerationID{Hash: 1}, 77, line{testTime, "a", 0}, line{testTime, "b", pipeline.Truncated})
		},
		"many segments": func(b *testBlock) {
			for i := range 300 {
				b.add([]*pipeline.Target{podTarget, otherTarget, fileTarget}[i%3], pipeline.GenerationID{Restart: i}, int64(i),
					line{testTime + int64(i), "one", 0}, line{testTime + int64(i), "two", 0})
			}
		},
		"ordinary": func(b *testBlock) {
			*b = *ordinary(b.format, 256<<10, true)
		},
	}
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			e := c.format.NewEncoder() // one for all requests, as in a lane
			for name, fill := range cases {
				b := newTestBlock(c.format)
				fill(b)
				for _, n := range []int{math.MaxInt, 1, 7} {
					t.Run(name, func(t *testing.T) { c.check(t, b, e, n) })
				}
			}
		})
	}
}

// A part of a segment's records can be all of one stream while the segment holds both.
func TestSubSlice(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			b := newTestBlock(c.format)
			b.add(podTarget, pipeline.GenerationID{}, 0, line{1, "a", 0}, line{2, "b", pipeline.Stderr}, line{3, "c", pipeline.Stderr})
			e := c.format.NewEncoder()
			e.Begin()
			e.Add(&b.Block, &b.Segments[0], b.Records[1:3])
			e.Add(&b.Block, &b.Segments[0], b.Records[1:1])
			have := c.decode(t, e.End())
			if len(have) != 2 || have[0].text != "b" || have[1].text != "c" {
				t.Errorf("have %v", have)
			}
		})
	}
}

func TestSize(t *testing.T) {
	for _, c := range codecs() {
		t.Run(c.name, func(t *testing.T) {
			b := ordinary(c.format, 200<<10, true)
			e := c.format.NewEncoder()
			e.Begin()
			if n := e.Size(); n != 0 {
				t.Errorf("size of an empty body: %d", n)
			}
			e.Add(&b.Block, &b.Segments[0], b.Records)
			before := e.Size()
			body := e.End()
			compression := ""
			switch f := c.format.(type) {
			case *LokiFormat:
				if n, err := snappy.DecodedLen(body); err != nil || n != before {
					t.Errorf("size %d, decoded %d, %v", before, n, err)
				}
				return
			case *OTLPFormat:
				compression = f.Compression
			case *NDJSONFormat:
				compression = f.Compression
			}
			if n := len(decompress(t, compression, body)); n != before || e.Size() != before {
				t.Errorf("size %d before End, %d after, %d decompressed", before, e.Size(), n)
			}
		})
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, l := range strangeLines {
		f.Add([]byte(l.text), l.time, byte(l.flags), uint16(3))
	}
	f.Add([]byte(strings.Repeat("\"é\xff", 3000)), int64(1), byte(1), uint16(900))
	var all []codec
	encoders := map[string]pipeline.Encoder{}
	for _, c := range codecs() {
		if !strings.HasSuffix(c.name, "gzip") && !strings.HasSuffix(c.name, "zstd") {
			all = append(all, c)
			encoders[c.name] = c.format.NewEncoder()
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, at int64, flags byte, cut uint16) {
		head := text[:min(int(cut), len(text))]
		for _, c := range all {
			b := newTestBlock(c.format)
			b.add(podTarget, pipeline.GenerationID{Hash: uint64(at)}, 1, line{at, string(text), pipeline.Flags(flags)},
				line{at / 2, string(head), 0}, line{at, string(text[len(head):]), pipeline.Stderr})
			b.add(fileTarget, pipeline.GenerationID{}, 1, line{at, string(text), pipeline.Flags(flags) &^ pipeline.Stderr})
			c.check(t, b, encoders[c.name], math.MaxInt)
		}
	})
}
