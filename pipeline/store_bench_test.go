package pipeline

import (
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"testing"
)

// BenchmarkSave is what a save costs with so many targets known and so many moved. The CPU is what counts: the time is
// mostly the disk's.
func BenchmarkSave(b *testing.B) {
	for _, n := range []int{100, 2000} {
		for _, moves := range slices.Compact([]int{100, n}) {
			b.Run(fmt.Sprintf("targets=%d/moved=%d", n, moves), func(b *testing.B) {
				s, err := openStore(b.TempDir(), slog.New(slog.DiscardHandler), nullDisk{})
				if err != nil {
					b.Fatal(err)
				}
				cursors := make([]Cursor, n)
				for i := range cursors {
					cursors[i] = testCursors()[1]
					cursors[i].Key = fmt.Sprintf("namespace-%d_a-deployment-5d9c7b-x%04d_2f0e9d4c-6a0b-4a57-9f43-3b9a2f6d7%04d/container", i%10, i, i)
				}
				save(b, s, cursors...)
				b.SetBytes(int64(len(s.text)))
				b.ReportAllocs()
				for b.Loop() {
					save(b, s, cursors[:moves]...)
				}
			})
		}
	}
}

// nullDisk takes everything and keeps nothing.
type nullDisk struct{}

func (nullDisk) MkdirAll(string) error             { return nil }
func (nullDisk) ReadFile(string) ([]byte, error)   { return nil, fs.ErrNotExist }
func (nullDisk) Create(string) (diskFile, error)   { return nullDisk{}, nil }
func (nullDisk) Rename(string, string) error       { return nil }
func (nullDisk) SyncFolder(string) error           { return nil }
func (nullDisk) Write(p []byte) (n int, err error) { return len(p), nil }
func (nullDisk) Sync() error                       { return nil }
func (nullDisk) Close() error                      { return nil }
