package tail

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// The benchmarks of reading take its steps one by one: Read is pread(2) of what is in the page cache, Cut makes records of
// what was read, Fill is both with all that a reader does beside them. Parse is a part of Cut. Each is of blocks of 256 KiB.

const benchBlock = 256 << 10

func BenchmarkRead(b *testing.B) {
	content := joined(benchCRI(1e6), 32<<20)
	path := filepath.Join(b.TempDir(), "0.log")
	if err := os.WriteFile(path, content, 0o640); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, benchBlock)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		for off := int64(0); ; off += benchBlock {
			if _, err := f.ReadAt(buf, off); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkCut(b *testing.B) {
	for _, bench := range []struct {
		name  string
		lines [][]byte
	}{
		{"cri", benchCRI(1e6)},
		{"docker", benchDocker(jsonBody, "")},
	} {
		b.Run(bench.name, func(b *testing.B) { benchCut(b, joined(bench.lines, benchBlock*3/4)) })
	}
	b.Run("newlines", func(b *testing.B) { // the least that there is to do
		content := joined(benchCRI(1e6), benchBlock*3/4)
		b.SetBytes(int64(len(content)))
		b.ReportAllocs()
		for b.Loop() {
			for rest := content; len(rest) > 0; {
				rest = rest[bytes.IndexByte(rest, '\n')+1:]
			}
		}
	})
}

// benchCut cuts the same content again and again. Docker's lines are decoded in place, so they are copied into the block
// each time, which is a few hundredths of the time.
func benchCut(b *testing.B, content []byte) {
	p := newPump(b)
	p.log(b, 0, content)
	p.fillOnly()
	var g *generation
	for _, src := range p.lane.sources {
		g = src.gens[0]
	}
	lines := bytes.Count(content, []byte{'\n'})
	n := copy(p.block.Buf, content)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		p.again()
		if content[0] == '{' {
			copy(p.block.Buf, content)
		}
		if used, full := p.reader.cut(p.block, g, 0, n); used != n || full || len(p.block.Records) != lines {
			b.Fatalf("%d of %d bytes, %d of %d lines, full: %v", used, n, len(p.block.Records), lines, full)
		}
		for i := range p.block.Segments {
			p.block.Segments[i].Verdict = pipeline.Delivered
		}
		p.reader.Settle(p.block)
		p.block.Reset()
	}
}
