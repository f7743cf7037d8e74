package simulate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// readBack reads all files of a container's restart in the order in which they were written, and joins parts. It
// knows the formats from their description and shares no code with the writer.
func readBack(t testing.TB, c *Container, restart int) map[string][]string {
	t.Helper()
	var files []string
	base := filepath.Join(filepath.Dir(c.Path()), fmt.Sprint(restart)+".log")
	if c.spec.Format == Docker {
		target, err := os.Readlink(base)
		must(t, err)
		for i := 1; ; i++ {
			name := fmt.Sprint(target, ".", i)
			if _, err := os.Stat(name); err != nil {
				break
			}
			files = append([]string{name}, files...)
		}
		files = append(files, target)
	} else {
		rotated, err := filepath.Glob(base + ".*")
		must(t, err)
		slices.SortFunc(rotated, func(a, b string) int {
			return strings.Compare(strings.TrimSuffix(a, ".gz"), strings.TrimSuffix(b, ".gz"))
		})
		files = append(rotated, base)
	}
	lines := map[string][]string{}
	open := map[string]string{}
	begun := map[string]bool{}
	for _, f := range files {
		for record := range strings.Lines(text(t, f)) {
			var stream, body string
			var full bool
			if c.spec.Format == Docker {
				var r struct{ Log, Stream, Time string }
				must(t, json.Unmarshal([]byte(record), &r))
				stream, full = r.Stream, strings.HasSuffix(r.Log, "\n")
				body = strings.TrimSuffix(r.Log, "\n")
			} else {
				w := strings.SplitN(strings.TrimSuffix(record, "\n"), " ", 4)
				if _, err := time.Parse(time.RFC3339Nano, w[0]); err != nil || len(w) != 4 {
					t.Fatalf("no record: %q", record)
				}
				stream, full, body = w[1], w[2] == "F", w[3]
			}
			if c.spec.Format == CRI && len(body) > PartSize {
				t.Fatalf("a part of %d bytes", len(body))
			}
			open[stream] += body
			begun[stream] = !full
			if full {
				lines[stream] = append(lines[stream], open[stream])
				open[stream] = ""
			}
		}
	}
	for stream, b := range begun {
		if b {
			lines[stream] = append(lines[stream], open[stream])
		}
	}
	return lines
}

// Any schedule of whole lines, pieces, rotations by size and by hand, gives back what was written.
func TestReadBack(t *testing.T) {
	for _, format := range []Format{CRI, Docker} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("%d/%d", format, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				n, now := newNode(t)
				spec := Spec{Format: format, MaxFiles: 500, MaxSize: int64(rng.IntN(40_000)), Late: rng.IntN(5)}
				if seed%2 == 0 {
					spec.Buffer = 1 << rng.IntN(20)
				}
				c := startIn(t, n, spec)
				want := map[string][]string{}
				pieces := map[Stream]string{}
				bytes, lines := 0, 0
				for i := range 100 {
					*now = now.Add(time.Duration(rng.IntN(1500)) * time.Millisecond)
					s := Stream(rng.IntN(2))
					size := rng.IntN(300)
					if rng.IntN(10) == 0 {
						size = PartSize + rng.IntN(5) - 2 + rng.IntN(3)*PartSize
					}
					piece := fmt.Sprint(i, strings.Repeat("é", size/2))
					switch k := rng.IntN(20); {
					case k == 0:
						if err := c.Rotate(); err != ErrRotating { // Late lines may hold one up
							must(t, err)
						}
					case k < 5:
						must(t, c.WritePart(s, []byte(piece), *now))
						pieces[s] += piece
					default:
						must(t, c.Write(s, []byte(piece), *now))
						whole := pieces[s] + piece
						want[s.String()] = append(want[s.String()], whole)
						bytes += len(whole)
						lines++
						pieces[s] = ""
					}
				}
				unfinished := 0
				for s, p := range pieces {
					if p != "" {
						want[s.String()] = append(want[s.String()], p)
						bytes += len(p)
						lines++
						unfinished++
					}
				}
				must(t, c.Exit())
				got := readBack(t, c, 0)
				for _, s := range []string{"stdout", "stderr"} {
					if format == Docker { // a part may cut a character in two, which JSON cannot hold
						for i := range want[s] {
							want[s][i] = strings.ReplaceAll(want[s][i], "é", "")
						}
						for i := range got[s] {
							got[s][i] = strings.NewReplacer("é", "", "\ufffd", "").Replace(got[s][i])
						}
					}
					if !slices.Equal(got[s], want[s]) {
						t.Fatalf("%s differs: %d lines, want %d", s, len(got[s]), len(want[s]))
					}
				}
				if w := (Written{int64(lines), int64(bytes), int64(unfinished)}); c.Written() != w {
					t.Errorf("written %+v, want %+v", c.Written(), w)
				}
			})
		}
	}
}

// Writers, rotations and restarts at once: nothing tears, nothing is lost.
func TestConcurrent(t *testing.T) {
	n, _ := newNode(t)
	n.Now = nil
	c := startIn(t, n, Spec{MaxFiles: 1000, MaxSize: 20_000, Late: 3})
	const writers, each = 4, 1500
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := c.Write(Stdout, fmt.Appendf(nil, "%d %d", w, i), start); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	wg.Go(func() {
		for range 30 {
			if err := c.Rotate(); err != nil && err != ErrRotating {
				t.Error(err)
			}
		}
		close(done)
	})
	wg.Wait()
	<-done
	must(t, c.Exit())
	next := [writers]int{}
	for _, line := range readBack(t, c, 0)["stdout"] {
		var w, i int
		if _, err := fmt.Sscan(line, &w, &i); err != nil || next[w] != i {
			t.Fatalf("line %q, want %d of writer %d", line, next[w], w)
		}
		next[w]++
	}
	if next != [writers]int{each, each, each, each} {
		t.Errorf("lines by writer: %v", next)
	}
	if got := c.Written().Lines; got != writers*each {
		t.Errorf("written %d", got)
	}
}

// A gibibyte of backlog must not take long: generated lines, numbered, in 1 MiB writes.
func TestRecordBytes(t *testing.T) {
	n, _ := newNode(t)
	c := startIn(t, n, Spec{Namespace: "a", Pod: "p", Name: "c", Buffer: 1 << 10})
	for range 2 {
		must(t, c.Write(Stdout, []byte(strings.Repeat("x", 2*PartSize)), start))
		must(t, c.Write(Stderr, nil, start))
		must(t, c.Rotate())
	}
	must(t, c.Write(Stdout, []byte("held back by Buffer"), start))
	got := c.RecordBytes()
	must(t, c.Flush())
	var want int64
	entries, err := os.ReadDir(filepath.Dir(c.Path()))
	must(t, err)
	for _, e := range entries {
		want += int64(len(text(t, filepath.Join(filepath.Dir(c.Path()), e.Name()))))
	}
	if got != want || len(entries) != 3 {
		t.Errorf("%d bytes of records, the files hold %d", got, want)
	}
}

func BenchmarkBacklog(b *testing.B) {
	for shape := range NumShapes {
		b.Run(shape.String(), func(b *testing.B) { benchmarkWrite(b, 1<<20, shape) })
	}
}

// Each line is a write(2).
func BenchmarkPaced(b *testing.B) { benchmarkWrite(b, 0, JSON) }

func benchmarkWrite(b *testing.B, buffer int, shape Shape) {
	n, _ := newNode(b)
	c := startIn(b, n, Spec{Buffer: buffer})
	lines := NewLines(shape, 1).Number(0)
	var line []byte
	at := start
	var bytes int64
	b.ReportAllocs()
	for b.Loop() {
		var s Stream
		at = at.Add(1234 * time.Nanosecond)
		line, s = lines.Append(line[:0], at)
		if err := c.Write(s, line, at); err != nil {
			b.Fatal(err)
		}
		bytes += int64(len(line)) + 41
		if c.size > 512<<20 { // keep the disk out of it
			must(b, c.Flush())
			must(b, os.Truncate(c.Path(), 0))
			c.size = 0
		}
	}
	b.SetBytes(bytes / int64(b.N))
}
