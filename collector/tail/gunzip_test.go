package tail

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/pipeline"
)

// zipped opens a gzip file.
func zipped(t testing.TB, path string) *file {
	t.Helper()
	fd, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	f := &file{fd: fd, gzip: true}
	f.path.Store(&path)
	return f
}

// Any sequence of reads gives what the plain file has there, and going on never begins anew.
func TestGunzipReadAt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	plain := []byte(out(numbered("z", 0, 5000)...))
	path := t.TempDir() + "/f"
	writePacked(t, path, plain[:1000], nil, plain[1000:200000], plain[200000:])
	f := zipped(t, path+".gz")
	var z gunzip
	begun := int64(0)
	for range 3000 {
		n, off := 1+rnd.IntN(70000), int64(rnd.IntN(len(plain)+1000))
		if rnd.IntN(4) > 0 { // where the last one was, and a little further
			off = max(0, z.at-int64(len(z.last))) + rnd.Int64N(int64(len(z.last))+100)
		}
		p := make([]byte, n)
		back := z.of == nil || off < z.at-int64(len(z.last))
		raw := z.raw
		got, err := z.readAt(f, p, off)
		if z.raw != raw {
			begun++
			if !back {
				t.Fatalf("a read of %d at %d began anew: it had %d bytes up to %d", n, off, len(z.last), z.at)
			}
		}
		want := plain[min(off, int64(len(plain))):]
		want = want[:min(len(want), n)]
		if err != nil || !bytes.Equal(p[:got], want) || z.broken() != nil {
			t.Fatalf("%d bytes at %d: got %d, want %d; %v, %v", n, off, got, len(want), err, z.broken())
		}
	}
	if begun < 100 || begun > 1500 {
		t.Errorf("begun %d times in 3000 reads", begun)
	}
}

// FuzzGunzip: whatever stands in a file, reads end, and what they give stays the same.
func FuzzGunzip(f *testing.F) {
	dir := f.TempDir()
	var b bytes.Buffer
	w := newGzip(&b)
	_, _ = w.Write([]byte(out("a", "b", "c")))
	w.Close()
	f.Add(b.Bytes(), 10)
	f.Add(b.Bytes()[:b.Len()-5], 7)
	f.Add([]byte("no gzip"), 3)
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, text []byte, n int) {
		path := dir + "/f"
		if err := os.WriteFile(path, text, 0o640); err != nil {
			t.Fatal(err)
		}
		g := zipped(t, path)
		var z gunzip
		p := make([]byte, 1+min(max(n, 0), 1<<16))
		read := func() (all []byte) {
			for len(all) < 1<<20 {
				n, err := z.readAt(g, p, int64(len(all)))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, p[:n]...)
				if n < len(p) {
					break
				}
			}
			return all
		}
		first := read()
		why := z.broken()
		if again := read(); !bytes.Equal(first, again) || (why == nil) != (z.broken() == nil) {
			t.Fatalf("%d bytes, %v; then %d bytes, %v", len(first), why, len(again), z.broken())
		}
	})
}

// BenchmarkGunzip is the reader on a compressed backlog; one of plain files is in BenchmarkFill.
func BenchmarkGunzip(b *testing.B) {
	text := joined(benchCRI(1e6), 10<<20)
	path := b.TempDir() + "/f"
	writePacked(b, path, text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	files := []pipeline.LogFile{{Path: path + ".gz", Name: "0.log.gz", Gzip: true}}
	p := newPump(b)
	for i := 0; b.Loop(); i++ {
		p.set.Sync(&pipeline.Target{Key: fmt.Sprint(i)}, files)
		for p.lines = 0; p.round() == pipeline.Full; {
		}
		if p.lines == 0 {
			b.Fatal("nothing read")
		}
	}
}
