package tail

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// A pump drives one reader without the goroutines of a shard.
type pump struct {
	set    *Set
	lane   *Lane
	reader *Reader
	block  *pipeline.Block
	rows   []*pipeline.LaneTarget
	lines  int
	out    []byte
}

func (p *pump) Track(t *pipeline.Target) *pipeline.LaneTarget {
	lt := &pipeline.LaneTarget{Target: t}
	p.rows = append(p.rows, lt)
	return lt
}
func (p *pump) Forget(*pipeline.LaneTarget)           {}
func (p *pump) Fresh() bool                           { return true }
func (p *pump) Cursor(string) (pipeline.Cursor, bool) { return pipeline.Cursor{}, false }

func newPump(tb testing.TB) *pump {
	p := &pump{out: make([]byte, 0, 1<<20)}
	p.set = NewSet(Options{MaxLine: 256 << 10, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	p.lane = p.set.Lane(p, p)
	p.reader = p.lane.Open(0, pipeline.NewBell(), new(pipeline.Beat)).(*Reader)
	p.lane.Deal(1)
	p.block = pipeline.NewBlock(256<<10, 260<<10)
	tb.Cleanup(func() {
		for l, src := range p.lane.sources {
			src.unpark()
			for _, f := range *l.files.Load() {
				if f.hold() {
					f.release()
					f.release()
				}
			}
		}
	})
	return p
}

// log makes a container's log with one file.
func (p *pump) log(tb testing.TB, i int, content []byte) *os.File {
	path := filepath.Join(tb.TempDir(), "0.log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	if _, err := f.Write(content); err != nil {
		tb.Fatal(err)
	}
	t := &pipeline.Target{Key: fmt.Sprint("ns_pod_uid/app", i)}
	p.set.Sync(t, []pipeline.LogFile{{Path: path, Name: "0.log"}})
	return f
}

// round is what a block goes through, the store being the nearest possible.
func (p *pump) round() pipeline.Fullness {
	full := p.reader.Fill(p.block)
	for i := range p.block.Segments {
		s := &p.block.Segments[i]
		p.out = p.out[:0]
		for _, rec := range p.block.Of(s) {
			p.out = append(append(p.out, p.block.Body(&rec)...), '\n')
		}
		p.lines += s.N
		s.Verdict = pipeline.Delivered
	}
	p.reader.Settle(p.block)
	p.block.Reset()
	return full
}

// again makes the reader begin all files anew.
func (p *pump) again() {
	for _, src := range p.lane.sources {
		for _, g := range src.gens {
			g.read, g.settled, g.done = 0, 0, false
		}
	}
}

func joined(lines [][]byte, size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		b.Write(lines[i%len(lines)])
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func TestFillAllocatesNothing(t *testing.T) {
	formats := map[string][][]byte{"cri": benchCRI(1e6), "docker": benchDocker(jsonBody, "")}
	for name, lines := range formats {
		t.Run(name+"/one big file", func(t *testing.T) {
			p := newPump(t)
			p.log(t, 0, joined(lines, 40<<20))
			for range 10 {
				p.round()
			}
			if n := testing.AllocsPerRun(100, func() {
				if p.round() != pipeline.Full {
					t.Fatal("the file is too small")
				}
			}); n != 0 {
				t.Errorf("%v allocations a block", n)
			}
		})
		t.Run(name+"/100 files", func(t *testing.T) {
			p := newPump(t)
			var files []*os.File
			for i := range 100 {
				files = append(files, p.log(t, i, joined(lines, 1)))
			}
			line := joined(lines, 1)
			for range 10 {
				p.round()
			}
			p.lines = 0
			if n := testing.AllocsPerRun(100, func() {
				for _, f := range files {
					if _, err := f.Write(line); err != nil {
						t.Fatal(err)
					}
				}
				p.round()
			}); n != 0 {
				t.Errorf("%v allocations a round of 100 files", n)
			}
			if p.lines < 100*100 {
				t.Errorf("%d lines: the test tests nothing", p.lines)
			}
		})
	}
}

func BenchmarkFill(b *testing.B) {
	for _, bench := range []struct {
		name  string
		lines [][]byte
	}{
		{"cri", benchCRI(1e6)},
		{"docker", benchDocker(jsonBody, "")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			p := newPump(b)
			content := joined(bench.lines, 32<<20)
			p.log(b, 0, content)
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				for p.again(); p.fillOnly() == pipeline.Full; {
				}
			}
		})
	}
}

// fillOnly is round without the encoder.
func (p *pump) fillOnly() pipeline.Fullness {
	full := p.reader.Fill(p.block)
	for i := range p.block.Segments {
		p.block.Segments[i].Verdict = pipeline.Delivered
	}
	p.reader.Settle(p.block)
	p.block.Reset()
	return full
}
