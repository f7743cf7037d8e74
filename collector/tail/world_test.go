package tail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A world plays the containers, the runtime and the kubelet of one node, and knows what must arrive.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	dir     string
	maxLine int
	sizes   []int // of bodies
	docker  bool
	all     []*container
	set     *Set // where discovery tells of files; nil while leatd is down

	seq   int
	clock time.Time // of lines
}

// A container is one target, as its runtime sees it.
type container struct {
	key, dir string
	target   *pipeline.Target
	restart  int
	alive    bool     // its folder is there
	old      *os.File // the file that is written to
	renamed  bool     // between the rename and the reopening
	half     string   // of a raw line that was begun
	then     func()   // what the end of that line finishes
	open     [2][]piece
	want     [2][]string
	files    []string        // rotated, oldest first
	current  string          // path
	seen     map[string]bool // paths' files that discovery was told of
	deleted  bool            // something was deleted since all was settled
	straggle bool            // time has passed in the middle of a rotation: order is not promised
	fuzzy    bool            // nobody can say what exactly must arrive
	late     bool            // that was in the present rotation
	again    int             // how often it came back under its key
	names    int
	packing  string // a rotated file that stands beside its compressed form
}

type piece struct{ text, file string }

func newWorld(t *testing.T, rnd *rand.Rand, maxLine int, containers int) *world {
	w := &world{t: t, rnd: rnd, dir: t.TempDir(), maxLine: maxLine, docker: rnd.IntN(4) == 0}
	w.sizes = []int{0, 1, 20, 150, 150, 150, 700, maxLine - 1, maxLine, maxLine + 1, 3 * maxLine, 12 << 10, 40 << 10}
	if w.docker { // a line of Docker's that a block cannot hold is kept raw; Docker's own are of 16 KiB at most
		w.sizes = []int{0, 1, 20, 150, 150, 150, 700, min(maxLine-1, 7000), min(maxLine, 7000), min(maxLine+1, 7000), min(3*maxLine, 7000)}
	}
	for i := range containers {
		key := fmt.Sprintf("ns_pod%d_uid/app", i)
		c := &container{key: key, dir: filepath.Join(w.dir, key)}
		c.target = &pipeline.Target{Key: key, Namespace: "ns", Pod: fmt.Sprint("pod", i), UID: "uid", Container: "app"}
		w.all = append(w.all, c)
		w.create(c)
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// create begins a container's folder.
func (w *world) create(c *container) {
	w.must(os.MkdirAll(c.dir, 0o755))
	c.alive, c.restart, c.files, c.packing, c.seen = true, 0, nil, "", map[string]bool{}
	w.openNew(c)
}

func (w *world) openNew(c *container) {
	c.current = filepath.Join(c.dir, fmt.Sprintf("%d.log", c.restart))
	f, err := os.OpenFile(c.current, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	w.must(err)
	c.old = f
}

// body makes a text that no other line has.
func (w *world) body(size int) string {
	w.seq++
	s := fmt.Sprintf("#%d ", w.seq)
	if size < len(s) {
		return s
	}
	return s + strings.Repeat("abcdefghij", size/10+1)[:size-len(s)]
}

func (w *world) line(stream int, tag, body string) string {
	w.clock = w.clock.Add(1) // of the real clock, as the files are, but never the same twice
	if now := time.Now(); now.After(w.clock) {
		w.clock = now
	}
	names := [2]string{"stdout", "stderr"}
	at := w.clock.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") // of one length, for the sake of the seed
	if w.docker {
		end := `\n`
		if tag == "P" {
			end = ""
		}
		return fmt.Sprintf(`{"log":"%s%s","stream":"%s","time":"%s"}`+"\n", body, end, names[stream], at)
	}
	return fmt.Sprintf("%s %s %s %s\n", at, names[stream], tag, body)
}

// write writes raw bytes where the runtime would.
func (w *world) write(c *container, s string) {
	_, err := c.old.WriteString(s)
	w.must(err)
}

// finishHalf writes the rest of a line that was begun.
func (w *world) finishHalf(c *container) {
	if c.half != "" {
		w.write(c, c.half)
		c.half = ""
		c.then()
	}
}

// finishOpen writes the ends of open lines.
func (w *world) finishOpen(c *container) {
	for stream := range c.open {
		if len(c.open[stream]) > 0 {
			w.write(c, w.line(stream, "F", "end"))
			w.end(c, stream, "end")
		}
	}
}

func (w *world) expect(c *container, stream int, body string) {
	c.want[stream] = append(c.want[stream], body[:min(len(body), w.maxLine)])
}

// end gives out an open line, its last piece added.
func (w *world) end(c *container, stream int, last string) {
	body := ""
	for _, p := range c.open[stream] {
		body += p.text
	}
	c.open[stream] = nil
	w.expect(c, stream, body+last)
}

// say writes a line or a part of one, now and then in two writes.
func (w *world) say(c *container) {
	w.finishHalf(c)
	stream := w.rnd.IntN(4) / 3
	size := w.sizes[w.rnd.IntN(len(w.sizes))]
	body := w.body(size)
	var text string
	var then func()
	switch k := w.rnd.IntN(10); {
	case k == 0 && !w.docker && w.begun(c): // no line of a runtime
		text, then = body+"\n", func() { w.expect(c, 0, body) }
	case k < 3:
		text, then = w.line(stream, "P", body), func() {
			file := c.current // when the line ends: it may be renamed while half of it is written
			if c.renamed {
				file = c.files[len(c.files)-1]
			}
			size := 0
			for _, p := range c.open[stream] {
				size += len(p.text)
			}
			if size <= w.maxLine { // what comes after that is cut off, whatever becomes of the beginning
				c.open[stream] = append(c.open[stream], piece{body, file})
			}
		}
	default:
		text, then = w.line(stream, "F", body), func() { w.end(c, stream, body) }
	}
	if cut := w.rnd.IntN(len(text)); cut > 0 && w.rnd.IntN(8) == 0 {
		w.write(c, text[:cut])
		c.half, c.then = text[cut:], then
		return
	}
	w.write(c, text)
	then()
}

// begun tells that the present file has a line with a time, by which it has its place among the others.
func (w *world) begun(c *container) bool {
	st, err := c.old.Stat()
	w.must(err)
	return st.Size() > 0
}

// flush says that open lines end here, without an end.
func (w *world) flush(c *container) {
	for stream := range c.open {
		if len(c.open[stream]) > 0 {
			w.end(c, stream, "")
		}
	}
}

// sync is discovery's news of a container's folder.
func (w *world) sync(c *container) {
	w.trace("sync", c)
	if w.set == nil {
		return
	}
	if !c.alive {
		w.set.Gone(c.target)
		return
	}
	files := list(c.dir)
	w.set.Sync(c.target, files)
	c.seen = map[string]bool{}
	for _, f := range files {
		c.seen[f.Path] = true
	}
}

// held tells that leatd has a file open, so that it can go. A compressed one may not have been opened at once.
func (w *world) held(c *container, path string) bool {
	if w.set == nil || !c.seen[path] {
		return false
	}
	return !strings.HasSuffix(path, ".gz") || w.set.opened(c.key, path)
}

func (s *Set) opened(key, path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(*s.logs[key].files.Load(), func(f *file) bool { return *f.path.Load() == path })
}

// rename is the first step of a rotation.
func (w *world) rename(c *container) {
	w.trace("rename", c)
	if c.renamed || !c.alive {
		return
	}
	c.names++
	to := fmt.Sprintf("%s.2026-%04d", c.current, c.names)
	w.must(os.Rename(c.current, to))
	if c.seen[c.current] { // its file is known, whatever it is called
		c.seen[to] = true
	}
	delete(c.seen, c.current)
	w.moved(c, c.current, to)
	c.files = append(c.files, to)
	c.renamed = true
}

// moved keeps track of where the pieces of open lines lie.
func (w *world) moved(c *container, from, to string) {
	for s := range c.open {
		for i := range c.open[s] {
			if c.open[s][i].file == from {
				c.open[s][i].file = to
			}
		}
	}
}

// reopen is the rest of a rotation: the new file is made, the old one written to for the last time and closed.
func (w *world) reopen(c *container) {
	w.trace("reopen", c)
	if !c.renamed {
		return
	}
	w.finishHalf(c)
	if c.late { // the reader may be in the next file before it sees this one's last lines: then pieces find no end there
		w.finishOpen(c)
		c.late = false
	}
	old := c.old
	w.openNew(c)
	c.renamed = false
	old.Close()
}

// remove deletes the oldest rotated file.
func (w *world) remove(c *container) {
	w.trace("remove", c)
	if !c.alive || len(c.files) == 0 || !w.held(c, c.files[0]) || c.renamed && len(c.files) == 1 {
		return
	}
	if c.packing == c.files[0] {
		w.packed(c)
		return
	}
	path := c.files[0]
	c.files = c.files[1:]
	w.must(os.Remove(path))
	w.moved(c, path, "")
	c.deleted = true
}

// again starts the container anew, after its end.
func (w *world) restart(c *container) {
	w.trace("restart", c)
	if c.renamed || !c.alive {
		return
	}
	w.finishHalf(c)
	c.old.Close()
	w.flush(c)
	c.files = append(c.files, c.current)
	c.restart++
	w.openNew(c)
}

// over puts a new file in the place of the present one, by rename or by deletion, as other runtimes do.
func (w *world) over(c *container) {
	w.trace("over", c)
	if c.renamed || !c.alive || !w.held(c, c.current) {
		return
	}
	w.finishHalf(c)
	c.old.Close()
	w.moved(c, c.current, "")
	c.deleted = true
	delete(c.seen, c.current)
	if w.rnd.IntN(2) == 0 {
		w.must(os.Remove(c.current))
		w.openNew(c)
		return
	}
	name := filepath.Join(c.dir, "new")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	w.must(err)
	w.must(os.Rename(name, c.current))
	c.old = f
}

// truncate empties the present file. Everything must have been delivered.
func (w *world) truncate(c *container) {
	w.trace("truncate", c)
	w.must(os.Truncate(c.current, 0))
}

// unpod deletes a pod with its files, or brings it back.
func (w *world) unpod(c *container) {
	w.trace("unpod", c)
	if !c.alive {
		c.again++
		w.create(c)
		w.sync(c)
		return
	}
	if c.renamed || !w.held(c, c.current) {
		return
	}
	for _, f := range c.files {
		if !w.held(c, f) {
			return
		}
	}
	w.finishHalf(c)
	c.old.Close()
	w.flush(c)
	w.must(os.RemoveAll(c.dir))
	c.alive, c.deleted = false, true
	w.sync(c)
}

// lostPieces is called when leatd stops: what was held open of deleted files is gone, with the pieces of open lines in it.
func (w *world) lostPieces() {
	for _, c := range w.all {
		for s := range c.open {
			size := 0
			for _, p := range c.open[s] {
				size += len(p.text)
			}
			had := len(c.open[s])
			c.open[s] = slices.DeleteFunc(c.open[s], func(p piece) bool { return p.file == "" })
			if len(c.open[s]) < had && size > w.maxLine {
				c.fuzzy = true // was what came after max_line cut off already, or will it be read with room again?
			}
		}
		c.seen, c.deleted = map[string]bool{}, false
	}
}

func (w *world) close() {
	for _, c := range w.all {
		if c.alive {
			c.old.Close()
		}
	}
}

// trace says what happens, to whoever wants to know.
func (w *world) trace(what string, c *container) {
	if *traceFlag {
		fmt.Printf("%s %s: restart %d, renamed %v, line #%d, open %d %d, half %d\n", c.key, what, c.restart, c.renamed, w.seq, len(c.open[0]), len(c.open[1]), len(c.half))
	}
}
