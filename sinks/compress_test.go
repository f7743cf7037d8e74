package sinks

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

func noise(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{})
	r.Read(p)
	return p
}

// Pieces that were compressed one by one must decode as one block, by the rules of snappy and not only of S2.
func TestSnappyPieces(t *testing.T) {
	text := ordinary(&LokiFormat{}, 300<<10, true).Buf
	cases := map[string][][]byte{
		"nothing":       nil,
		"empty pieces":  {nil, {}, nil},
		"one byte":      {{'x'}},
		"127 and 1":     {text[:127], text[:1]},
		"128":           {text[:128]},
		"tiny ones":     {text[:1], text[1:3], text[3:20], text[20:35], text[35:40]},
		"full ones":     {text[:pieceSize], text[pieceSize : 2*pieceSize], text[2*pieceSize : 3*pieceSize]},
		"long one":      {text},
		"noise":         {noise(pieceSize), noise(pieceSize), noise(17)},
		"noise in text": {text[:5000], noise(100), text[:5000], noise(pieceSize), text[:1]},
	}
	c := new(snappyBlock)
	for name, pieces := range cases {
		t.Run(name, func(t *testing.T) {
			c.begin()
			for _, p := range pieces {
				c.add(p)
			}
			have, err := snappy.DecodeStrict(nil, c.end())
			if err != nil || !bytes.Equal(have, bytes.Join(pieces, nil)) {
				t.Errorf("decoded %d bytes, %v", len(have), err)
			}
		})
	}
}

// lengths keeps how long the pieces were.
type lengths struct {
	discard
	of []int
}

func (l *lengths) add(piece []byte) { l.of = append(l.of, len(piece)) }

// A piece is as long as what is in it asks for.
func TestPieceLength(t *testing.T) {
	seen := new(lengths)
	p := newPieces(seen, widePiece)
	fill := func(n, each int) {
		for ; n > 0; n -= each {
			p.keep(p.write(p.open(each), make([]byte, each)))
		}
	}
	p.begin()
	fill(300<<10, 1<<10)  // many containers: a wide piece, and the rest waits
	fill(128<<10, 64<<10) // two busy ones
	fill(100<<10, 1<<10)
	fill(64<<10, 64<<10)
	p.end()
	if want := []int{256 << 10, 64 << 10, 64 << 10, 144 << 10, 64 << 10}; !slices.Equal(seen.of, want) {
		t.Errorf("pieces of %v, want %v", seen.of, want)
	}
}

// What is handed to pieces arrives whole, however it is cut.
func TestPieces(t *testing.T) {
	text := noise(3*pieceSize + 5)
	for _, compression := range compressions {
		for _, cut := range []int{1000, pieceSize - 1, pieceSize, pieceSize + 1, 2*pieceSize + 1, len(text)} {
			t.Run(fmt.Sprint(compression, cut), func(t *testing.T) {
				p := newPieces(newCompressor(compression), widePiece)
				for range 2 { // a second body sees nothing of the first
					p.begin()
					var want []byte
					for rest := text; len(rest) > 0; {
						n := min(len(rest), cut)
						dst := p.write(p.open(len(rest)&1*fewLines), rest[:n]) // wide and not, in turn
						dst = append(p.room(dst, 3), "abc"...)
						p.keep(dst)
						want = append(append(want, rest[:n]...), "abc"...)
						rest = rest[n:]
						if p.size() != len(want) {
							t.Fatalf("size %d, want %d", p.size(), len(want))
						}
					}
					if have := decompress(t, compression, p.end()); !bytes.Equal(have, want) {
						t.Fatalf("%d bytes arrived, want %d", len(have), len(want))
					}
				}
			})
		}
	}
}

// Not every receiver reads on after the first gzip member or zstandard frame.
func TestOneMemberOneFrame(t *testing.T) {
	text := noise(5*pieceSize + 1)
	for _, compression := range []string{"gzip", "zstd"} {
		c := newCompressor(compression)
		for range 3 {
			c.begin()
			for rest := text; len(rest) > 0; rest = rest[min(len(rest), pieceSize):] {
				c.add(rest[:min(len(rest), pieceSize)])
			}
			body := c.end()
			if compression == "gzip" {
				r, err := gzip.NewReader(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Multistream(false)
				if first, err := io.ReadAll(r); err != nil || !bytes.Equal(first, text) {
					t.Errorf("the first member holds %d bytes of %d, %v", len(first), len(text), err)
				}
			}
			if compression == "zstd" {
				var h zstd.Header
				if n := bytes.Count(body, []byte("\x28\xb5\x2f\xfd")); n != 1 {
					t.Errorf("%d frames, want one", n)
				}
				if err := h.Decode(body); err != nil || h.WindowSize != zstdWindow || !h.HasCheckSum {
					t.Errorf("zstd header %+v, %v", h, err)
				}
			}
		}
	}
}

func TestCheckCompression(t *testing.T) {
	for name, encoding := range map[string]string{"": "gzip", "gzip": "gzip", "zstd": "zstd", "none": ""} {
		if err := checkCompression(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if have := contentEncoding(name); have != encoding {
			t.Errorf("%q: Content-Encoding %q, want %q", name, have, encoding)
		}
	}
	for _, f := range []interface{ Validate() error }{&OTLPFormat{Compression: "snappy"}, &NDJSONFormat{Compression: "GZIP"}} {
		if f.Validate() == nil {
			t.Errorf("%+v is accepted", f)
		}
	}
}
