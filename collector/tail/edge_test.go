package tail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/pipeline"
)

// A line that is longer than a block has room for stands at the end of a file that will not grow.
func TestLongLastLineWithoutANewline(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	long := strings.Repeat("z", 300<<10)
	appendTo(t, dir+"/0.log", out("first")+"2026-01-02T03:04:05Z stdout F "+long)
	h.start()
	appendTo(t, dir+"/1.log", out("next"))
	h.sync()
	h.expect(app, "first", long[:256<<10], "next")
}

// Both streams end without a newline, and their lines together are more than a block has room for beside its data.
func TestTwoLongLastWords(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	one, two := strings.Repeat("1", 200<<10), strings.Repeat("2", 200<<10)
	appendTo(t, dir+"/0.log", cri("stdout", "P", one)+cri("stderr", "P", two))
	h.start()
	appendTo(t, dir+"/1.log", out("next"))
	h.sync()
	h.expect(app, one, two, "next")
	if ids := h.sink.ids[app]; ids[0] == ids[1] {
		t.Errorf("two records have the id %s", ids[0])
	}
}

// A runtime that hangs for long between a rotation and its last write loses nothing by it, only its place.
func TestWriteLongAfterTheRotation(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	old, err := os.OpenFile(dir+"/0.log", os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	_, _ = old.WriteString(out("one") + "2026-01-02T03:04:05Z std")
	h.start()
	h.expect(app, "one")
	rotate(t, dir, "1")
	appendTo(t, dir+"/0.log", out("of the new file"))
	h.sync()
	h.expect(app, "one", "of the new file") // given up waiting for the old one
	_, _ = old.WriteString("out F late\n" + out("and later"))
	old.Close()
	h.expect(app, "one", "of the new file", "late", "and later")
	h.eventually("the old file is let go", func() bool { return h.figures()[app].Unread == 0 })
}

// Of two lanes each finds out for itself that a file was truncated and has grown past where it was read.
func TestTruncatedAndGrownAgainForTwoLanes(t *testing.T) {
	rnd := newRand(1)
	r := newRig(t, rnd, Options{MaxLine: 1 << 10, Log: quietLog}, 2)
	dir := t.TempDir()
	target := &pipeline.Target{Key: "k"}
	path := dir + "/0.log"
	r.start()
	defer r.exit()
	appendTo(t, path, out("old"))
	r.set.Sync(target, list(dir))
	r.calm()
	rounds(r, 5)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	want := numbered("new", 0, 20)
	appendTo(t, path, out(want...))
	rounds(r, 20)
	for i, l := range r.lanes {
		if got := bodies(l.got["k"][0]); strings.Join(got[1:], "\n") != strings.Join(want, "\n") {
			t.Errorf("lane %d: got %q", i, got)
		}
	}
}

func TestWhatIsNoLogFile(t *testing.T) {
	h := newBench(t)
	var said bytes.Buffer
	h.opts.Log = slog.New(slog.NewTextHandler(&said, nil))
	good := h.folder("good")
	appendTo(t, good+"/0.log", out("good"))
	bad := h.folder("bad")
	for _, err := range []error{
		os.Mkdir(bad+"/0.log", 0o755),
		unix.Mkfifo(bad+"/1.log", 0o644),
		os.Symlink("2.log", bad+"/2.log"),
		os.Symlink("nowhere", bad+"/3.log"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, bad+"/4.log", out("between them"))
	h.start()
	h.expect(pod+"/good", "good")
	h.expect(pod+"/bad", "between them")
	for name, complaints := range map[string]int{"0.log": 1, "1.log": 1, "2.log": 1, "3.log": 0} {
		if n := strings.Count(said.String(), "bad/"+name+" "); n != complaints {
			t.Errorf("%d complaints of %s, want %d: %s", n, name, complaints, said.String())
		}
	}
	if f := h.figures()[pod+"/bad"]; f.Gaps != 0 {
		t.Errorf("%d gaps", f.Gaps)
	}
}

// A disk that fails makes its container's lines wait; the others go on, and so does it when the disk is well again.
func TestReadError(t *testing.T) {
	h := newBench(t)
	h.times.retry = 100 * time.Millisecond
	good, bad := h.folder("good"), h.folder("bad")
	appendTo(t, good+"/0.log", out("a"))
	appendTo(t, bad+"/0.log", out("a"))
	h.start()
	h.expect(pod+"/good", "a")
	h.expect(pod+"/bad", "a")
	h.set.mu.Lock()
	f := (*h.set.logs[pod+"/bad"].files.Load())[0]
	h.set.mu.Unlock()
	well, err := unix.Dup(f.fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(well)
	folder, err := os.Open(bad) // reading a folder is an error
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := unix.Dup3(int(folder.Fd()), f.fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	appendTo(t, good+"/0.log", out("b"))
	appendTo(t, bad+"/0.log", out("b"))
	h.expect(pod+"/good", "a", "b")
	if got := h.sink.lines(pod + "/bad"); len(got) != 1 {
		t.Fatalf("read %q from a broken disk", got)
	}
	if err := unix.Dup3(well, f.fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	h.expect(pod+"/bad", "a", "b")
}

// Files that cannot be opened for want of descriptors are read when there are some again.
func TestTooManyOpenFiles(t *testing.T) {
	const inside = "LEAT_TAIL_FEW_FILES"
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTooManyOpenFiles$")
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	h := newBench(t)
	h.times.retry = 50 * time.Millisecond
	var want []string
	for i := range 60 {
		name := fmt.Sprint("c", i)
		appendTo(t, h.folder(name)+"/0.log", out("line of "+name))
		want = append(want, pod+"/"+name)
	}
	var was unix.Rlimit
	if err := errors.Join(unix.Getrlimit(unix.RLIMIT_NOFILE, &was), unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 40, Max: was.Max})); err != nil {
		t.Fatal(err)
	}
	h.start()
	arrived := func() (n int) {
		for _, key := range want {
			n += len(h.sink.lines(key))
		}
		return n
	}
	h.eventually("some are read", func() bool { return arrived() > 10 })
	if n := arrived(); n >= len(want) {
		t.Fatalf("all %d were opened: the test tests nothing", n)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	h.eventually("all are read", func() bool { h.sync(); return arrived() == len(want) })
}

func TestNoPermission(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else for a moment")
	}
	dir := t.TempDir()
	appendTo(t, dir+"/0.log", out("secret"))
	if err := errors.Join(os.Chmod(dir+"/0.log", 0o600), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	s := NewSet(Options{MaxLine: 1 << 10, Log: slog.New(slog.NewTextHandler(&said, nil))})
	target := &pipeline.Target{Key: "k"}
	as(t, 65534, func() { s.Sync(target, list(dir)) })
	if !strings.Contains(said.String(), "DAC_READ_SEARCH") {
		t.Errorf("the complaint has no advice: %s", said.String())
	}
	if n := len(*s.logs["k"].files.Load()); n != 0 || !s.retry[s.logs["k"]] {
		t.Errorf("%d files, to be tried again: %v", n, s.retry[s.logs["k"]])
	}
	said.Reset()
	as(t, 65534, func() { s.Sync(target, list(dir)) })
	if said.Len() > 0 {
		t.Errorf("the same is said again: %s", said.String())
	}
}

func TestManyFiles(t *testing.T) {
	h := newBench(t)
	const n = 2000
	if limit := (unix.Rlimit{}); unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur < n+200 {
		t.Skipf("only %d files can be open", limit.Cur)
	}
	lines := numbered("m", 0, 20)
	for i := range n {
		appendTo(t, h.folder(fmt.Sprint("c", i))+"/0.log", out(lines[:10]...))
	}
	h.start()
	for i := range n {
		appendTo(t, h.folder(fmt.Sprint("c", i))+"/0.log", out(lines[10:]...))
	}
	for i := range n {
		h.expectQuick(fmt.Sprint(pod, "/c", i), lines...)
	}
	h.balanced()
}

func TestHugeLines(t *testing.T) {
	huge := strings.Repeat("0123456789", 5<<20)
	t.Run("docker", func(t *testing.T) {
		h := newBench(t)
		dir := h.folder("app")
		line := func(s string) string {
			return `{"log":"` + s + `\n","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}` + "\n"
		}
		appendTo(t, dir+"/0.log", line("before")+line(huge)+line("after"))
		h.start()
		h.expect(app, "before", line(huge)[:256<<10], "after") // cut in two it is no JSON any more
	})
	t.Run("raw", func(t *testing.T) {
		h := newBench(t)
		path := filepath.Join(t.TempDir(), "messages")
		appendTo(t, path, "before\n"+huge+"\nafter\n")
		h.start()
		h.host(path)
		h.expect(path, "before", huge[:256<<10], "after")
	})
}

func TestStart(t *testing.T) {
	old := time.Now().Add(-48 * time.Hour)
	for _, test := range []struct {
		name  string
		opts  Options
		fresh bool
		want  []string
	}{
		{"beginning", Options{}, true, []string{"old", "present", "new", "later"}},
		{"end", Options{Start: End}, true, []string{"new", "later"}},
		{"end, but not for the first time", Options{Start: End}, false, []string{"old", "present", "new", "later"}},
		{"not older than a day", Options{StartMaxAge: 24 * time.Hour}, true, []string{"present", "new", "later"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newBench(t)
			h.opts.Start, h.opts.StartMaxAge = test.opts.Start, test.opts.StartMaxAge
			dir := h.folder("app")
			appendTo(t, dir+"/0.log.1", out("old"))
			if err := os.Chtimes(dir+"/0.log.1", old, old); err != nil {
				t.Fatal(err)
			}
			appendTo(t, dir+"/0.log", out("present")+"2026-01-02T03:04:06Z stdout")
			if !test.fresh {
				state := `{"version":1,"targets":[` + "\n\n]"
				if err := os.WriteFile(h.state+"/cursors.json", []byte(summed(state)), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			h.start()
			appendTo(t, dir+"/0.log", " F new\n")
			rotate(t, dir, "2")
			appendTo(t, dir+"/0.log", out("later"))
			h.sync()
			h.expect(app, test.want...)
		})
	}
}

// A start at the end is for what was there first, not for what is written after a truncation.
func TestStartAtTheEndAndTruncation(t *testing.T) {
	h := newBench(t)
	h.opts.Start = End
	dir := h.folder("app")
	appendTo(t, dir+"/0.log", out("old", "older"))
	h.start()
	appendTo(t, dir+"/0.log", out("one"))
	h.expect(app, "one")
	if err := os.Truncate(dir+"/0.log", 0); err != nil {
		t.Fatal(err)
	}
	appendTo(t, dir+"/0.log", out("two"))
	h.expect(app, "one", "two")
}

func TestHostFileIsRotated(t *testing.T) {
	t.Run("by rename", func(t *testing.T) {
		h := newBench(t)
		path := filepath.Join(t.TempDir(), "auth.log")
		appendTo(t, path, "one\ntwo\n")
		h.start()
		h.host(path)
		h.expect(path, "one", "two")
		appendTo(t, path, "three\n")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		appendTo(t, path, "four\n")
		h.host(path)
		h.expect(path, "one", "two", "three", "four")
	})
	t.Run("by copy and truncation", func(t *testing.T) {
		h := newBench(t)
		path := filepath.Join(t.TempDir(), "auth.log")
		appendTo(t, path, "one\ntwo\n")
		h.start()
		h.host(path)
		h.expect(path, "one", "two")
		appendTo(t, path+".1", "one\ntwo\n")
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		h.host(path)
		appendTo(t, path, "three\n")
		h.expect(path, "one", "two", "three")
	})
}

// What a copy of a log holds is not sent twice, and never in the log's place.
func TestCopyOfALog(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	text := out("one", "two")
	appendTo(t, dir+"/0.log", text)
	appendTo(t, dir+"/0.log.bak", text[:len(text)/2])
	h.start()
	h.expect(app, "one", "two")
	appendTo(t, dir+"/0.log.bak", text[len(text)/2:])
	appendTo(t, dir+"/0.log", out("three"))
	h.sync()
	h.expect(app, "one", "two", "three")
	h.stop(true)
	h.start()
	appendTo(t, dir+"/0.log", out("four"))
	h.expect(app, "one", "two", "three", "four")
}

// Files that an earlier life had begun, and that went while nobody looked, are gaps; finished ones are not.
func TestGaps(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	appendTo(t, dir+"/0.log.1", out("finished"))
	appendTo(t, dir+"/0.log", out("begun"))
	h.start()
	h.expect(app, "finished", "begun")
	h.stop(true)
	for _, name := range []string{"0.log.1", "0.log"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, dir+"/0.log", out("new"))
	h.start()
	h.expect(app, "finished", "begun", "new")
	if f := h.figures()[app]; f.Gaps != 1 {
		t.Errorf("%d gaps, want 1", f.Gaps)
	}
}

// The saved cursor keeps what it knows of files that this life has not come to.
func TestCursorOfWhatIsNotYetReached(t *testing.T) {
	src := &source{target: &pipeline.LaneTarget{Target: &pipeline.Target{Key: "k"}}}
	at := pipeline.Position{ID: pipeline.GenerationID{Restart: 1, Hash: 2}, Name: "1.log", Offset: 3}
	given := pipeline.Cursor{Key: "k", Generations: []pipeline.Position{at}}
	src.resume(given)
	if c := src.cursor(); len(c.Generations) != 1 || c.Generations[0] != at {
		t.Errorf("got %+v", c.Generations)
	}
	if _, known := src.recall(at.ID); !known || given.Generations[0] != at {
		t.Errorf("taken: %v; what was given is %+v now", known, given.Generations)
	}
}

// What an earlier life knew is kept until all files that there are have been looked at, however many they are. Of those
// that come to their end in this life, the last few are.
func TestFormerGenerations(t *testing.T) {
	src := &source{target: &pipeline.LaneTarget{Target: &pipeline.Target{Key: "k"}}}
	id := func(n int) pipeline.GenerationID { return pipeline.GenerationID{Hash: uint64(n)} }
	var saved pipeline.Cursor
	for n := range 30 {
		saved.Generations = append(saved.Generations, pipeline.Position{ID: id(n), Done: n != 3})
	}
	src.resume(saved)
	end := func(n int) {
		f := &file{}
		path := "f"
		f.path.Store(&path)
		src.remember(&generation{src: src, file: f, id: id(n), identified: true})
	}
	known := func(n int) bool {
		return slices.ContainsFunc(src.cursor().Generations, func(p pipeline.Position) bool { return p.ID == id(n) })
	}
	end(100)
	for n := range 30 {
		if !known(n) {
			t.Fatalf("generation %d is forgotten", n)
		}
	}
	src.countGaps()
	src.countGaps()
	if gaps := src.target.Account.Own().Gaps; gaps != 1 || known(3) {
		t.Errorf("%d gaps, want 1; a gap is saved to be counted again: %v", gaps, known(3))
	}
	for n := range mostFormer {
		end(200 + n)
	}
	if n := len(src.cursor().Generations); n != mostFormer || !known(200) {
		t.Errorf("%d generations are remembered, the first of the last %d: %v", n, mostFormer, known(200))
	}
	if p, ok := src.recall(id(200)); !ok || !p.Done {
		t.Errorf("%+v %v: not done", p, ok)
	}
}

// Lag and unread bytes follow what is there and end with it.
func TestLagAndUnread(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	hold := make(chan struct{})
	h.sink.answer = func(string) pipeline.Answer { <-hold; return pipeline.Answer{} }
	appendTo(t, dir+"/0.log", out("one"))
	h.start()
	h.eventually("the line is pending", func() bool { return h.figures()[app].Pending.Lines == 1 })
	f := h.figures()[app]
	if h.balanced(); f.Oldest == 0 || time.Unix(0, f.Oldest).Year() != 2026 {
		t.Errorf("oldest is %v, want the line's time", time.Unix(0, f.Oldest))
	}
	close(hold)
	h.expect(app, "one")
	h.eventually("nothing is old", func() bool { f := h.figures()[app]; return f.Oldest == 0 && f.Unread == 0 })
	appendTo(t, dir+"/0.log", "2026-01-02T03:04:06Z stdout F half")
	h.eventually("half a line is unread", func() bool { f := h.figures()[app]; return f.Unread == 34 && f.Oldest > 0 })
	if err := os.Truncate(dir+"/0.log", 0); err != nil {
		t.Fatal(err)
	}
	h.eventually("it is lost", func() bool {
		f := h.figures()[app]
		return f.Oldest == 0 && f.Unread == 0 && f.Lost[pipeline.LostTruncated] == 34
	})
}

// An event for one file must not wait for a reader who parks another.
func TestParkingWhileEventsCome(t *testing.T) {
	s := NewSet(Options{MaxLine: 1 << 10, Log: quietLog})
	lane := s.Lane(&pump{}, &pump{})
	path := t.TempDir() + "/busy"
	appendTo(t, path, "x")
	fd, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	f := &file{fd: fd}
	src := &source{lane: lane}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		w, _ := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		defer w.Close()
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = io.WriteString(w, "x")
			}
		}
	}()
	parks := make(chan int)
	go func() {
		n := 0
		for range 2000 {
			if s.parker.park(f, src) {
				n++
			}
			if n%3 == 0 {
				s.parker.unpark(f, src)
			}
		}
		s.parker.unpark(f, src)
		parks <- n
	}()
	select {
	case n := <-parks:
		if n == 0 {
			t.Error("never parked: the test tests nothing")
		}
	case <-time.After(20 * time.Second):
		t.Error("parking hangs")
	}
	close(stop)
	<-done
}

// Everything at once, with the real goroutines: two lanes, discovery and runtimes at work beside them. It is for the race
// detector; the model looks closer at what arrives.
func TestLive(t *testing.T) {
	h := newBench(t)
	h.times = standard
	h.lane.BlockSize, h.lane.MaxBatch = 16<<10, 64<<10
	h.opts.MaxLine, h.lane.MaxLine = 4<<10, 4<<10
	w := newWorld(t, newRand(7), h.opts.MaxLine, 4)
	defer w.close()
	h.dir = w.dir
	other := newMemory()
	h.second = other
	h.sink.answer = func(string) pipeline.Answer {
		if h.sink.sends%7 == 0 {
			return pipeline.Answer{Outcome: pipeline.OneTarget, Code: "429"}
		}
		return pipeline.Answer{}
	}
	h.times.back = 20 * time.Millisecond
	h.start()
	w.set = h.set
	for range 800 {
		c := w.all[w.rnd.IntN(len(w.all))]
		switch k := w.rnd.IntN(20); {
		case k < 12:
			w.say(c)
		case k < 13:
			w.rename(c)
			w.sync(c)
			w.say(c)
			w.reopen(c)
			w.sync(c)
		case k < 14:
			w.restart(c)
		case k < 15:
			w.pack(c)
		default:
			w.sync(c)
			h.balanced()
		}
	}
	for _, c := range w.all {
		w.finishHalf(c)
		w.finishOpen(c)
		w.sync(c)
	}
	for _, sink := range []*memory{h.sink, other} {
		for _, c := range w.all {
			var got [2][]string
			h.eventually("all lines of "+c.key, func() bool { return len(sink.lines(c.key)) >= len(c.want[0])+len(c.want[1]) })
			lines, flags := sink.flagged(c.key)
			for i, line := range lines {
				stream := 0
				if flags[i]&pipeline.Stderr != 0 {
					stream = 1
				}
				got[stream] = append(got[stream], line)
			}
			for stream := range got {
				if !slices.Equal(got[stream], c.want[stream]) {
					t.Errorf("%s stream %d: got %d lines, want %d", c.key, stream, len(got[stream]), len(c.want[stream]))
				}
			}
		}
	}
}

// A line of very many parts is given out in several records, and none of it is lost.
func TestVeryManyParts(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	const n = 2*mostParts + 100
	var text strings.Builder
	for range n {
		text.WriteString(cri("stdout", "P", "x"))
	}
	appendTo(t, dir+"/0.log", text.String()+out("end"))
	h.start()
	whole := strings.Repeat("x", mostParts)
	h.expect(app, whole, whole, whole[:100]+"end")
}

// Where files have no time of birth, a file that is known by its inode is held for as long as it has a name.
func TestInodeWithoutABirth(t *testing.T) {
	r := newRig(t, newRand(1), Options{MaxLine: 1 << 10, Log: quietLog}, 1)
	dir := t.TempDir()
	r.start()
	defer r.exit()
	appendTo(t, dir+"/0.log.1", out("old"))
	appendTo(t, dir+"/0.log", out("new"))
	target := &pipeline.Target{Key: "k"}
	r.set.Sync(target, list(dir))
	files := *r.set.logs["k"].files.Load()
	for _, f := range files {
		f.key.born = 0
	}
	r.calm()
	rounds(r, 50)
	if files[0].closed() {
		t.Error("the rotated file was closed while it has a name: its inode may be another file's now")
	}
	if err := os.Remove(dir + "/0.log.1"); err != nil {
		t.Fatal(err)
	}
	r.set.Sync(target, list(dir))
	rounds(r, 50)
	if !files[0].closed() {
		t.Error("it is still held after its name is gone")
	}
}
