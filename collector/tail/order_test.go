package tail

import (
	"math"
	"strings"
	"testing"
)

// TestFirstTime: a file's time is that of its first line that has one, wherever in its first 64 KiB that ends; no more than a
// kilobyte is read where that is enough.
func TestFirstTime(t *testing.T) {
	const made = 42
	const at = `2026-11-23T06:00:00Z`
	const ns = 1795413600e9
	docker := func(body int) string {
		return `{"log":"` + strings.Repeat("x", body) + `\n","stream":"stdout","time":"` + at + `"}` + "\n"
	}
	for _, c := range []struct {
		name, text string
		want       int64
		known      bool
		read       int // bytes asked for
	}{
		{"empty", "", math.MaxInt64, false, 1 << 10},
		{"cri", at + " stdout F hello\n", ns, true, 1 << 10},
		{"a long cri", at + " stdout F " + strings.Repeat("x", 100<<10), ns, true, 1 << 10},
		{"docker", docker(10), ns, true, 1 << 10},
		{"a long docker", docker(30 << 10), ns, true, 65 << 10},
		{"a docker that is too long", docker(70 << 10), made, false, 65 << 10},
		{"behind other lines", "what is this\nand this\n" + at + " stdout F hello\n", ns, true, 1 << 10},
		{"far behind other lines", strings.Repeat("what is this\n", 200) + at + " stdout F hello\n", ns, true, 65 << 10},
		{"no time", "what is this\n", made, true, 1 << 10},
		{"no whole line", "what is this", made, false, 1 << 10},
	} {
		read := 0
		got, known := firstTime(&file{mtime: made}, func(b []byte, off int64) (int, error) {
			read += len(b)
			return copy(b, c.text[min(off, int64(len(c.text))):]), nil
		})
		if got != c.want || known != c.known || read != c.read {
			t.Errorf("%s: %d, known %v, %d bytes asked for; want %d, %v, %d", c.name, got, known, read, c.want, c.known, c.read)
		}
	}
}
