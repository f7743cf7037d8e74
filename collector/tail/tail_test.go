package tail

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/pipeline"
)

const app = pod + "/app"

func TestReadsAndGoesOn(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	lines := numbered("a", 0, 20000)
	appendTo(t, dir+"/0.log", out(lines[:15000]...))
	h.start()
	h.expect(app, lines[:15000]...)
	appendTo(t, dir+"/0.log", out(lines[15000:16000]...))
	h.expect(app, lines[:16000]...)
	h.stop(true)

	appendTo(t, dir+"/0.log", out(lines[16000:]...))
	h.start()
	h.expect(app, lines...)
}

// rotate is what the kubelet does: rename, then create; the runtime closes the old file some time later.
func rotate(t *testing.T, dir, suffix string) {
	t.Helper()
	if err := os.Rename(dir+"/0.log", dir+"/0.log."+suffix); err != nil {
		t.Fatal(err)
	}
	appendTo(t, dir+"/0.log", "")
}

func TestRotationWithLateWrites(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	lines := numbered("r", 0, 400)
	old, err := os.OpenFile(dir+"/0.log", os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = old.WriteString(out(lines[:100]...))
	h.start()
	h.expect(app, lines[:100]...)
	rotate(t, dir, "1")
	h.sync()
	last := out(lines[100:200]...) // later than the rename, earlier than what follows
	appendTo(t, dir+"/0.log", out(lines[200:300]...))
	<-time.After(50 * time.Millisecond) // the reader may look at the new file as often as it likes
	if got := len(h.sink.lines(app)); got != 100 {
		t.Fatalf("%d lines: the new file was begun while the old one still had a writer", got)
	}
	_, _ = old.WriteString(last)
	old.Close()
	h.expect(app, lines[:300]...)
	rotate(t, dir, "2")
	os.Remove(dir + "/0.log.1")
	appendTo(t, dir+"/0.log", out(lines[300:]...))
	h.sync()
	h.expect(app, lines...)
}

func TestPartsAreJoinedAcrossFilesAndRestarts(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	half, rest := strings.Repeat("x", 16384), strings.Repeat("y", 100)
	appendTo(t, dir+"/0.log", out("first")+cri("stdout", "P", half)+cri("stderr", "F", "an error between")+cri("stdout", "P", half))
	h.start()
	h.expect(app, "first", "an error between")
	rotate(t, dir, "1")
	h.sync()
	h.eventually("both parts are settled", func() bool { return h.figures()[app].Unread == 0 })
	h.stop(true)

	h.start()
	appendTo(t, dir+"/0.log", out(rest))
	h.expect(app, "first", "an error between", half+half+rest)
}

func TestLastWordsWithoutANewline(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	appendTo(t, dir+"/0.log", out("one")+cri("stdout", "P", "last words"))
	h.start()
	appendTo(t, dir+"/1.log", out("two"))
	h.sync()
	h.expect(app, "one", "last words", "two")
	if fl := h.sink.flags[app][1]; fl != pipeline.Unfinished {
		t.Errorf("the flushed line has flags %b", fl)
	}
}

func TestDeletedPodIsReadToItsEnd(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	h.start()
	before := openFiles(t)
	lines := numbered("d", 0, 50000)
	appendTo(t, dir+"/0.log", out(lines...)+"2026-01-02T03:04:05Z stdout P the very last")
	h.sync()
	os.RemoveAll(dir)
	h.set.Gone(h.target(app))
	h.expect(app, append(lines, "the very last")...)
	h.eventually("the descriptor is closed", func() bool { return openFiles(t) <= before })
}

func openFiles(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func TestTruncatedAndRenamedOver(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	lines := numbered("t", 0, 300)
	appendTo(t, dir+"/0.log", out(lines[:100]...))
	h.start()
	h.expect(app, lines[:100]...)
	os.Truncate(dir+"/0.log", 0)
	appendTo(t, dir+"/0.log", out(lines[100:150]...))
	h.expect(app, lines[:150]...)

	appendTo(t, dir+"/new", out(lines[150:300]...)) // another runtime: a new file over the name
	if err := os.Rename(dir+"/new", dir+"/0.log"); err != nil {
		t.Fatal(err)
	}
	h.sync()
	h.expect(app, lines...)
}

func TestInodeIsUsedAgainAtOnce(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	lines := numbered("i", 0, 90)
	for i := range 3 {
		if i > 0 {
			os.Remove(dir + "/0.log")
		}
		appendTo(t, dir+"/0.log", out(lines[i*30:i*30+30]...))
		if i == 0 {
			h.start()
		}
		h.sync()
		h.expect(app, lines[:i*30+30]...)
	}
	h.stop(true)
	os.Remove(dir + "/0.log") // while nobody reads
	appendTo(t, dir+"/0.log", out("another file in the same inode"))
	h.start()
	h.expect(app, append(lines, "another file in the same inode")...)
}

func TestLongLines(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	long := strings.Repeat("0123456789", 5<<20) // 50 MiB without a newline
	fits := strings.Repeat("z", 256<<10)
	appendTo(t, dir+"/0.log", out("before", fits, long, "after"))
	h.start()
	h.expect(app, "before", fits, long[:256<<10], "after")
	cut := int64(len(long) - 256<<10)
	h.eventually("what was cut off is counted", func() bool {
		f := h.figures()[app]
		return f.Truncated == 1 && f.Dropped[pipeline.MaxLine] == pipeline.Count{Bytes: cut}
	})
}

func TestLinesInNoFormat(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	appendTo(t, dir+"/0.log", "not a line of a runtime\n"+out("good")+"\n2026-01-02T03:04:05 stdout torn\n\x00\xff\n"+out("after\r")+"{\"log\":\n")
	h.start()
	h.expect(app, "not a line of a runtime", "good", "", "2026-01-02T03:04:05 stdout torn", "\x00\xff", "after\r", "{\"log\":")
	times := h.sink.times[app]
	if times[2] != times[1] || times[4] != times[1] || times[6] != times[5] {
		t.Errorf("an unparsed line has not the time of the record before it: %v", times)
	}
	if f := h.figures()[app]; f.Unparsed != 5 {
		t.Errorf("%d unparsed, want 5", f.Unparsed)
	}
}

func TestDockerFormat(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	appendTo(t, dir+"/0.log", `{"log":"one \"quoted\"\n","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}`+"\n"+
		`{"log":"a part, ","stream":"stderr","time":"2026-01-02T03:04:05.2Z"}`+"\n"+
		`{"log":"between\n","stream":"stdout","time":"2026-01-02T03:04:05.3Z"}`+"\n"+
		`{"log":"and its end\n","stream":"stderr","time":"2026-01-02T03:04:05.4Z"}`+"\n")
	h.start()
	h.expect(app, `one "quoted"`, "between", "a part, and its end")
}

func TestThrottledContainerWaitsAndOthersGoOn(t *testing.T) {
	h := newBench(t)
	good, bad := h.folder("good"), h.folder("bad")
	lines := numbered("q", 0, 3000)
	refused := 0
	h.sink.answer = func(body string) pipeline.Answer {
		if strings.Contains(body, pod+"/bad\t") && refused < 3 {
			refused++
			return pipeline.Answer{Outcome: pipeline.OneTarget, Code: "429"}
		}
		return pipeline.Answer{}
	}
	appendTo(t, good+"/0.log", out(lines[:1000]...))
	appendTo(t, bad+"/0.log", out(lines[:1000]...))
	h.start()
	h.expect(pod+"/good", lines[:1000]...)
	for i := 1000; i < 3000; i += 100 {
		appendTo(t, good+"/0.log", out(lines[i:i+100]...))
		appendTo(t, bad+"/0.log", out(lines[i:i+100]...))
	}
	h.expect(pod+"/good", lines...)
	h.expect(pod+"/bad", lines...)
	if refused != 3 {
		t.Errorf("refused %d times: the test tests nothing", refused)
	}
}

func TestIdleFileIsParkedAndWakes(t *testing.T) {
	h := newBench(t)
	dir := h.folder("app")
	appendTo(t, dir+"/0.log", out("one"))
	h.start()
	h.expect(app, "one")
	parked := func() bool {
		h.set.parker.mu.Lock()
		defer h.set.parker.mu.Unlock()
		return len(h.set.parker.parked) == 1
	}
	h.eventually("the file is parked", parked)
	if err := os.Rename(dir+"/0.log", filepath.Join(dir, "0.log.1")); err != nil { // it survives a rename
		t.Fatal(err)
	}
	began := time.Now()
	appendTo(t, dir+"/0.log.1", out("two"))
	h.expect(app, "one", "two")
	if d := time.Since(began); d > h.set.times.walk/2 {
		t.Errorf("it took %s to wake: the event was not seen", d)
	}
}
