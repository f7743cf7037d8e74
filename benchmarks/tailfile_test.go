package benchmarks

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nxadm/tail"
)

const tailedBytes = 8 << 20

// tailed writes the log that both benchmarks read.
func tailed(b *testing.B) (path string, size int64, lines int) {
	log, lines := ordinaryLog(tailedBytes)
	path = filepath.Join(b.TempDir(), "0.log")
	if err := os.WriteFile(path, log, 0o600); err != nil {
		b.Fatal(err)
	}
	return path, int64(len(log)), lines
}

// BenchmarkTailFile is nxadm/tail's TailFile: it reads the lines of a file, and nothing else is done with them.
func BenchmarkTailFile(b *testing.B) {
	path, size, lines := tailed(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		t, err := tail.TailFile(path, tail.Config{MustExist: true, Logger: tail.DiscardingLogger})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for l := range t.Lines {
			if l.Err != nil {
				b.Fatal(l.Err)
			}
			n++
		}
		if err := t.Wait(); err != nil || n != lines {
			b.Fatalf("%d of %d lines, %v", n, lines, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
}
