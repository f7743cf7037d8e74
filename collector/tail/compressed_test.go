package tail

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// pack does what the kubelet does to an older file.
func pack(t *testing.T, path string) {
	t.Helper()
	plain, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writePacked(t, path, plain)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestCompressedGenerationsAreReadInOrder(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	lines := numbered("z", 0, 40000)
	long := strings.Repeat("p", 16384)
	appendTo(t, dir+"/0.log.1", out(lines[:15000]...)+cri("stdout", "P", long))
	appendTo(t, dir+"/0.log.2", cri("stdout", "F", "end")+out(lines[15000:30000]...))
	appendTo(t, dir+"/0.log.3", out(lines[30000:35000]...))
	appendTo(t, dir+"/0.log", out(lines[35000:]...))
	pack(t, dir+"/0.log.1")
	pack(t, dir+"/0.log.2")
	h.start()
	want := append(append(append([]string{}, lines[:15000]...), long+"end"), lines[15000:]...)
	h.expect(app, want...)
	h.stop(true)
	pack(t, dir+"/0.log.3")
	h.start()
	appendTo(t, dir+"/0.log", out("more"))
	h.expect(app, append(want, "more")...)
	h.gaps(0)
}

func TestGoesOnInWhatWasCompressedMeanwhile(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	lines := numbered("m", 0, 3000)
	appendTo(t, dir+"/0.log", out(lines[:1000]...)+cri("stdout", "P", "a part, "))
	h.start()
	h.expect(app, lines[:1000]...)
	h.stop(true)
	appendTo(t, dir+"/0.log", out("its end")+out(lines[1000:2000]...))
	rotate(t, dir, "1")
	pack(t, dir+"/0.log.1")
	appendTo(t, dir+"/0.log", out(lines[2000:]...))
	h.start()
	h.expect(app, slices.Insert(slices.Clone(lines), 1000, "a part, its end")...)
	h.gaps(0)
}

// Every file is compressed as soon as leatd has let go of it, and comes back under its new name: no line comes twice, and
// nothing is decompressed for it.
func TestCompressionWhileReading(t *testing.T) {
	h := newBench(t)
	h.second = newMemory()
	dir := h.folder("app")
	lines := numbered("k", 0, 5000)
	h.start()
	for i, n := range []string{"1", "2", "3", "4"} {
		appendTo(t, dir+"/0.log", out(lines[i*1000:i*1000+1000]...))
		h.sync()
		h.expect(app, lines[:i*1000+1000]...)
		rotate(t, dir, n)
		h.sync()
		if i > 0 {
			last := dir + "/0.log." + string(n[0]-1)
			h.eventually("the file is let go of", func() bool { return h.held(app, last) == 0 })
			pack(t, last)
			h.sync()
			h.eventually("the compressed one, too", func() bool { return h.held(app, last+".gz") == 0 })
		}
	}
	appendTo(t, dir+"/0.log", out(lines[4000:]...))
	h.expect(app, lines...)
	h.stop(true)
	h.start()
	appendTo(t, dir+"/0.log", out("after"))
	h.expect(app, append(lines, "after")...)
	h.eventually("the other sink has the same", func() bool { return slices.Equal(h.second.lines(app), append(lines, "after")) })
	h.gaps(0)
}

// held is how many lanes hold a file; 0 also where nobody knows it.
func (h *bench) held(key, path string) int32 {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	for _, f := range *h.set.logs[key].files.Load() {
		if *f.path.Load() == path {
			return f.users.Load()
		}
	}
	return 0
}

func (h *bench) gaps(want int64) {
	h.t.Helper()
	if f := h.figures()[app]; f.Gaps != want || f.Lost != [pipeline.NumLossReasons]int64{} {
		h.t.Errorf("%d gaps, %v bytes lost, want %d and none", f.Gaps, f.Lost, want)
	}
}

// The plain file and its compressed form, both there at the start: read once, in every state of an earlier life.
func TestPlainBesideItsCompressedForm(t *testing.T) {
	for _, name := range []string{"0.log.1", "0.log.zz"} { // found before the other, or behind it
		for _, before := range []int{0, 500, 1000} {
			h := newBench(t)
			dir := h.folder("app")
			lines := numbered("b", 0, 1100)
			if before > 0 {
				appendTo(t, dir+"/0.log", out(lines[:before]...))
				h.start()
				h.expect(app, lines[:before]...)
				h.stop(true)
			}
			appendTo(t, dir+"/0.log", out(lines[before:1000]...))
			if err := os.Rename(dir+"/0.log", dir+"/"+name); err != nil {
				t.Fatal(err)
			}
			plain, err := os.ReadFile(dir + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			writePacked(t, dir+"/0.log.2", plain)
			appendTo(t, dir+"/0.log", out(lines[1000:]...))
			h.start()
			h.expect(app, lines...)
			if err := os.Remove(dir + "/" + name); err != nil {
				t.Fatal(err)
			}
			h.sync()
			h.stop(true)
			h.start()
			appendTo(t, dir+"/0.log", out("more"))
			h.expect(app, append(lines, "more")...)
			h.gaps(0)
		}
	}
}

// Where both are there, the plain one is read.
func TestPlainIsPreferred(t *testing.T) {
	r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
	r.calm()
	dir := t.TempDir()
	text := out("a", "b")
	appendTo(t, dir+"/0.log.2", text)
	writePacked(t, dir+"/0.log.1", []byte(text))
	appendTo(t, dir+"/0.log", out("c"))
	r.start()
	defer r.exit()
	r.set.Sync(&pipeline.Target{Key: "k"}, list(dir))
	rounds(r, 50)
	if got := bodies(r.lanes[0].got["k"][0]); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
	if r.lanes[0].shards[0].reader.(*Reader).gunzip.of != nil {
		t.Error("the compressed file was read")
	}
}

// What can be read of damaged files is delivered, and each is one gap for ever.
func TestDamagedCompressedFile(t *testing.T) {
	h := newBench(t)
	var said lockedBuilder
	h.opts.Log = logTo(&said)
	h.second = newMemory()
	dir := h.folder("app")
	lines := numbered("x", 0, 20000)
	appendTo(t, dir+"/0.log.1", out(lines[:10000]...))
	pack(t, dir+"/0.log.1")
	path := dir + "/0.log.1.gz"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{path: b[:len(b)/2], dir + "/0.log.2.gz": []byte("no gzip at all"), dir + "/0.log.3.gz": nil} {
		if err := os.WriteFile(name, text, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, dir+"/0.log", out(lines[10000:]...))
	h.start()
	h.eventually("what follows has come", func() bool {
		got := h.sink.lines(app)
		return len(got) > 0 && got[len(got)-1] == lines[len(lines)-1]
	})
	got := h.sink.lines(app)
	readable := got[:len(got)-10000]
	if len(readable) < 3000 {
		t.Errorf("%d lines of the torn file", len(readable))
	}
	for i, line := range readable {
		if line != lines[i] && i < len(readable)-1 { // the last one may be torn
			t.Fatalf("line %d is %.60q", i, line)
		}
	}
	h.eventually("three gaps", func() bool { return h.figures()[app].Gaps == 3 })
	if n := strings.Count(said.String(), "damaged"); n != 3 {
		t.Errorf("%d complaints of three files and two lanes: %s", n, said.String())
	}
	h.balanced()
	h.stop(true)
	h.start()
	appendTo(t, dir+"/0.log", out("after"))
	h.expect(app, append(got, "after")...)
	h.gaps(0)
}

// Files that were compressed before the first run are part of what logs.start leaves out.
func TestStartLeavesCompressedFilesOut(t *testing.T) {
	h := newBench(t)
	h.opts.Start = End
	dir := h.folder("app")
	appendTo(t, dir+"/0.log.1", out("older"))
	pack(t, dir+"/0.log.1")
	appendTo(t, dir+"/0.log", out("old"))
	h.start()
	appendTo(t, dir+"/0.log", out("new"))
	rotate(t, dir, "2")
	pack(t, dir+"/0.log.2")
	appendTo(t, dir+"/0.log", out("newer"))
	h.sync()
	h.expect(app, "new", "newer")
	h.gaps(0)
}

// Docker compresses under the final name: a file that is not whole yet is waited for.
func TestCompressedFileThatIsBeingWritten(t *testing.T) {
	for _, leases := range []bool{true, false} {
		r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
		r.calm()
		dir := t.TempDir()
		target := &pipeline.Target{Key: "k"}
		appendTo(t, dir+"/0.log.1", out("a", "b"))
		appendTo(t, dir+"/0.log", out("c"))
		plain, err := os.ReadFile(dir + "/0.log.1")
		if err != nil {
			t.Fatal(err)
		}
		writePacked(t, dir+"/whole", plain)
		whole, err := os.ReadFile(dir + "/whole.gz")
		if err != nil {
			t.Fatal(err)
		}
		r.start()
		if !leases {
			r.set.lease = func(int) writers { return unknownWriters }
		}
		w, err := os.Create(dir + "/0.log.1.gz")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(whole[:20])
		r.set.Sync(target, list(dir))
		rounds(r, 50)
		_, _ = w.Write(whole[20:])
		w.Close()
		if err := os.Remove(dir + "/0.log.1"); err != nil {
			t.Fatal(err)
		}
		r.set.Sync(target, list(dir))
		rounds(r, 50)
		l := r.lanes[0]
		if got := bodies(l.got["k"][0]); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("leases %v: got %q", leases, got)
		}
		if f := l.rows[0].Account.Snapshot(); f.Gaps != 0 {
			t.Errorf("leases %v: %d gaps", leases, f.Gaps)
		}
		r.exit()
	}
}

// A log that is copied and then truncated goes on in its copy.
func TestCopyAndTruncation(t *testing.T) {
	r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
	r.calm()
	dir := t.TempDir()
	target := &pipeline.Target{Key: "k"}
	text := out("a")
	appendTo(t, dir+"/0.log", text)
	r.start()
	defer r.exit()
	r.set.Sync(target, list(dir))
	rounds(r, 5)
	appendTo(t, dir+"/0.log.1", text+out("b"))
	r.set.Sync(target, list(dir))
	rounds(r, 5)
	if err := os.Truncate(dir+"/0.log", 0); err != nil {
		t.Fatal(err)
	}
	appendTo(t, dir+"/0.log", out("c"))
	rounds(r, 50)
	if got := bodies(r.lanes[0].got["k"][0]); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
}

// Compressed files of many containers take turns at one decompressor, each to its end.
func TestSeat(t *testing.T) {
	r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
	r.calm()
	dir := t.TempDir()
	r.start()
	defer r.exit()
	want := numbered("s", 0, 500)
	for _, key := range []string{"a", "b", "c"} {
		appendTo(t, dir+"/"+key+"/0.log.1", out(want...))
		pack(t, dir+"/"+key+"/0.log.1")
		appendTo(t, dir+"/"+key+"/0.log", out("last"))
		r.set.Sync(&pipeline.Target{Key: key}, list(dir+"/"+key))
	}
	reader := r.lanes[0].shards[0].reader.(*Reader)
	begun, raw := 0, reader.gunzip.raw
	for range 200 {
		rounds(r, 1)
		if reader.gunzip.raw != raw {
			begun, raw = begun+1, reader.gunzip.raw
		}
	}
	if begun != 3 {
		t.Errorf("decompression was begun %d times for three files", begun)
	}
	for _, key := range []string{"a", "b", "c"} {
		if got := bodies(r.lanes[0].got[key][0]); !slices.Equal(got, append(slices.Clone(want), "last")) {
			t.Errorf("%s: got %d lines", key, len(got))
		}
	}
}

// What was written to a file after it was thought complete is read from its compressed form, though leatd was down all
// the while; also where the file is in several pieces, so that its end says nothing about its length.
func TestGrownBeforeItWasCompressed(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	appendTo(t, dir+"/0.log", out("a", "b"))
	h.start()
	rotate(t, dir, "1")
	appendTo(t, dir+"/0.log", out("d"))
	h.sync()
	h.expect(app, "a", "b", "d")
	h.stop(true)
	appendTo(t, dir+"/0.log.1", out("late"))
	text, err := os.ReadFile(dir + "/0.log.1")
	if err != nil {
		t.Fatal(err)
	}
	writePacked(t, dir+"/0.log.1", text[:10], text[10:])
	if err := os.Remove(dir + "/0.log.1"); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.expect(app, "a", "b", "d", "late")
	h.gaps(0)
}

// A file that can't be opened is tried again with what discovery said last. That a name is gone by then says nothing about
// the file that had it.
func TestTriedAgainWithOldNews(t *testing.T) {
	r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
	dir := t.TempDir()
	r.start()
	defer r.exit()
	appendTo(t, dir+"/0.log", out("a"))
	r.set.Sync(&pipeline.Target{Key: "k"}, list(dir))
	if err := os.Rename(dir+"/0.log", dir+"/0.log.1"); err != nil {
		t.Fatal(err)
	}
	r.set.retry[r.set.logs["k"]] = true
	r.set.tick()
	if files := *r.set.logs["k"].files.Load(); len(files) != 1 || !files[0].listed.Load() {
		t.Error("the file is thought to be deleted")
	}
}

// A key that goes and comes back before the saver has heard of it keeps its totals, and its place in the spool.
func TestGoneAndBackAtOnce(t *testing.T) {
	r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
	r.calm()
	l := r.lanes[0]
	target := &pipeline.Target{Key: "k"}
	r.start()
	defer r.exit()
	for i := range 2 {
		dir := t.TempDir()
		appendTo(t, dir+"/0.log", out("a"))
		r.set.Sync(target, list(dir))
		rounds(r, 5)
		for _, src := range l.lane.sources {
			src.spooled = max(src.spooled, 7)
		}
		if i == 0 {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			r.set.Gone(target)
			rounds(r, 5)
			if len(l.lane.sources) > 0 {
				t.Fatal("it has not ended")
			}
		}
	}
	cursors := l.shards[0].reader.Cursors(nil)
	if len(cursors) != 1 || cursors[0].Gone || cursors[0].Totals.Delivered.Lines != 2 || cursors[0].Spooled != 7 {
		t.Errorf("got %+v", cursors)
	}
	r.set.Gone(target)
	rounds(r, 5)
	if cursors = l.shards[0].reader.Cursors(nil); len(cursors) != 1 || !cursors[0].Gone || cursors[0].Totals.Delivered.Lines != 2 {
		t.Errorf("got %+v", cursors)
	}
}

// A line without an end has its place behind the last file that holds something of the log: an empty one may come or go
// before the line is read again.
func TestUnfinishedLineIsNotGivenToAnEmptyFile(t *testing.T) {
	r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
	r.calm()
	dir := t.TempDir()
	target := &pipeline.Target{Key: "k"}
	appendTo(t, dir+"/0.log.1", out("a")+cri("stdout", "P", "b"))
	appendTo(t, dir+"/1.log", out("c"))
	r.start()
	defer r.exit()
	r.set.Sync(target, list(dir))
	l := r.lanes[0]
	s := l.shards[0]
	b := pipeline.NewBlock(16<<10, 8<<10)
	s.reader.Fill(b)
	if len(b.Records) != 3 || b.Records[1].Flags&pipeline.Unfinished == 0 {
		t.Fatalf("%+v", b.Records)
	}
	for i := range b.Segments {
		b.Segments[i].Verdict = pipeline.Back
	}
	s.reader.Settle(b)
	writePacked(t, dir+"/0.log.2", []byte{})
	r.set.Sync(target, list(dir))
	l.floor[l.rows[0]] = 1
	rounds(r, 50)
	f := l.rows[0].Account.Snapshot()
	if f.Read.Lines != 3 || f.Delivered.Lines != 3 || f.Dropped[pipeline.Vanished].Lines != 0 {
		t.Errorf("%+v", f)
	}
}
