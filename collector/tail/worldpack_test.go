package tail

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// pack compresses a rotated file as the kubelet does. The plain one is deleted in a step of its own, and nothing is ever
// lost by it.
func (w *world) pack(c *container) {
	w.trace("pack", c)
	n := len(c.files)
	if c.renamed {
		n-- // the runtime still writes to that one
	}
	if !c.alive || c.packing != "" || n <= 0 {
		w.packed(c)
		return
	}
	path := c.files[w.rnd.IntN(n)]
	if strings.HasSuffix(path, ".gz") {
		return
	}
	text, err := os.ReadFile(path)
	w.must(err)
	cut := 0
	if w.rnd.IntN(4) == 0 {
		cut = w.rnd.IntN(len(text) + 1)
	}
	var members [][]byte
	if cut > 0 {
		members = append(members, text[:cut])
	}
	writePacked(w.t, path, append(members, text[cut:])...)
	c.packing = path
	if w.rnd.IntN(2) == 0 {
		w.packed(c)
	}
}

// packed deletes what was compressed.
func (w *world) packed(c *container) {
	if c.packing == "" || !c.alive {
		return
	}
	path := c.packing
	c.packing = ""
	w.must(os.Remove(path))
	w.moved(c, path, path+".gz")
	c.files[slices.Index(c.files, path)] += ".gz"
}

func newGzip(w io.Writer) *gzip.Writer { return gzip.NewWriter(w) }

// writePacked makes PATH.gz of PATH: under another name first, so that it is whole when it has its own.
func writePacked(t testing.TB, path string, members ...[]byte) {
	t.Helper()
	var b bytes.Buffer
	z := newGzip(&b)
	for _, m := range members {
		z.Reset(&b)
		if _, err := z.Write(m); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path+".tmp", b.Bytes(), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path+".gz"); err != nil {
		t.Fatal(err)
	}
}
