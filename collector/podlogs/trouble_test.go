package podlogs

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/collector/dirwatch"
)

// blind makes a Watcher whose passes the test makes by hand, and that has no events.
func blind(o Options) *Watcher {
	w := New(o)
	w.watch = dirwatch.New[place]()
	w.watch.Close()
	return w
}

func logOf(w *Watcher) *logText {
	text := &logText{}
	w.Log = slog.New(slog.NewTextHandler(text, nil))
	w.complaints = dirwatch.NewComplaints(w.Log)
	return text
}

func TestStrangeNames(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/ns_pod_u/app/0.log", "x\n")
	bad := []string{
		"lost+found/", "ns_pod/", "_pod_u/", "ns__u/", "ns_pod_/", "__/", "ns_pod\n_u/", "ns_p\xffd_u/", "ns_pod_x",
		"ns_pod_u/file", "ns_pod_u/line\nbreak/",
		"ns_pod_u/app/notes.txt", "ns_pod_u/app/x.log", "ns_pod_u/app/-1.log", "ns_pod_u/app/+1.log", "ns_pod_u/app/007.log",
		"ns_pod_u/app/99999999999999999999.log", "ns_pod_u/app/0.log\x01", "ns_pod_u/app/9.log/",
	}
	for _, name := range bad {
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(filepath.Join(root, name), 0o755))
		} else {
			write(t, filepath.Join(root, name), "x\n")
		}
	}
	must(t, unix.Mkfifo(root+"/ns_pod_u/app/8.log", 0o644))
	must(t, os.Symlink("..", root+"/ns_pod_u/up"))           // a folder by a link
	must(t, os.Symlink(".", root+"/ns_linked_u"))            // the same for a pod
	must(t, os.Symlink("5.log", root+"/ns_pod_u/app/5.log")) // a loop
	r := newRecord()
	w := blind(Options{Root: root, Files: r})
	text := logOf(w)
	for range 3 {
		w.rescan()
	}
	if r.state() != "ns_pod_u/app: 0 0.log" {
		t.Errorf("found\n%s", r.state())
	}
	lines := strings.Count(text.String(), "\n")
	if lines != 20 { // the burst; 22 things are wrong
		t.Errorf("%d complaints, want 20\n%s", lines, text)
	}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSpace(text.String()), "\n") {
		_, path, _ := strings.Cut(line, "path=")
		if seen[path] {
			t.Error("said twice:", path)
		}
		seen[path] = true
	}
}

func TestThousandsOfForeignFolders(t *testing.T) {
	root := t.TempDir()
	for i := range 1000 {
		must(t, os.Mkdir(fmt.Sprintf("%s/foreign-%d", root, i), 0o755))
	}
	write(t, root+"/ns_pod_u/app/0.log", "x\n")
	r, text := start(t, Options{Root: root})
	r.untilState(t, "ns_pod_u/app: 0 0.log")
	if n := strings.Count(text.String(), "\n"); n != 20 {
		t.Errorf("%d complaints, want 20", n)
	}
}

// As root nothing is forbidden, so the passes are made with another user's rights to files: those belong to the thread.
func TestNoPermission(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/ns_pod_u/app/0.log", "x\n")
	write(t, root+"/ns_shut_u/app/0.log", "x\n")
	write(t, root+"/ns_half_u/shut/0.log", "x\n")
	shut := []string{root + "/ns_shut_u", root + "/ns_half_u/shut"}
	for _, dir := range shut {
		must(t, os.Chmod(dir, 0))
	}
	r := newRecord()
	w := blind(Options{Root: root, Files: r})
	text := logOf(w)
	asNobody := func(do func()) {
		if os.Getuid() != 0 {
			do()
			return
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		must(t, unix.Setfsuid(65534))
		do()
		must(t, unix.Setfsuid(0))
	}
	must(t, os.Chmod(filepath.Dir(root), 0o755))
	asNobody(func() { w.rescan(); w.rescan() })
	if r.state() != "ns_pod_u/app: 0 0.log" || strings.Count(text.String(), "permission denied") != 2 {
		t.Errorf("found %s, said\n%s", r.state(), text)
	}
	for _, dir := range shut {
		must(t, os.Chmod(dir, 0o755))
	}
	asNobody(w.rescan)
	if r.state() != "ns_half_u/shut: 0 0.log\nns_pod_u/app: 0 0.log\nns_shut_u/app: 0 0.log" || strings.Count(text.String(), "can be read again") != 2 {
		t.Errorf("found %s, said\n%s", r.state(), text)
	}
	must(t, os.Chmod(root, 0))
	asNobody(w.rescan) // what is known stays
	if len(r.files) != 3 || !strings.Contains(text.String(), "no new pod is found until it can") {
		t.Errorf("found %s, said\n%s", r.state(), text)
	}
	must(t, os.Chmod(root, 0o755))
}

// An overflow of the kernel's queue makes a pass over everything.
func TestOverflow(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/ns_pod_u/app/0.log", "x\n")
	r := newRecord()
	w := blind(Options{Root: root, Files: r})
	logOf(w)
	w.rescan()
	write(t, root+"/ns_pod_u/app/1.log", "x\n")
	write(t, root+"/ns_new_u/app/0.log", "x\n")
	if !w.apply([]dirwatch.Event[place]{{Op: dirwatch.Overflow}}) {
		t.Fatal("an overflow asks for no pass")
	}
	w.rescan()
	if r.state() != "ns_new_u/app: 0 0.log\nns_pod_u/app: 0 0.log, 1 1.log" {
		t.Error(r.state())
	}
}

// A real overflow: the consumer stands still while more happens than the queue holds.
func TestRealOverflow(t *testing.T) {
	var limit int
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	must(t, err)
	if _, err = fmt.Sscan(string(b), &limit); err != nil || limit > 50000 {
		t.Skipf("the queue holds %s events", b)
	}
	root := t.TempDir()
	write(t, root+"/ns_pod_u/app/0.log", "x\n")
	r := newRecord()
	_, text := start(t, Options{Root: root, Files: r})
	r.mu.Lock() // the next Sync waits here
	write(t, root+"/ns_pod_u/app/1.log", "x\n")
	for i := range limit { // a create and a delete each
		name := fmt.Sprintf("%s/x%d", root, i)
		f, err := os.Create(name)
		must(t, err)
		must(t, f.Close())
		must(t, os.Remove(name))
	}
	write(t, root+"/ns_late_u/app/0.log", "x\n") // its events are among the lost
	r.mu.Unlock()
	r.untilState(t, "ns_late_u/app: 0 0.log", "ns_pod_u/app: 0 0.log, 1 1.log")
	r.until(t, "the overflow is said", func() bool { return strings.Contains(text.String(), "queue of events was full") })
}

// Without watches the passes come more often and find what is new.
func TestBlind(t *testing.T) {
	root := t.TempDir()
	r := newRecord()
	w := blind(Options{Root: root, Files: r})
	w.rescan()
	for i, name := range []string{"0.log", "0.log.20260102-000000", "1.log"} {
		write(t, root+"/ns_pod_u/app/"+name, "x\n")
		w.rescan()
		if got := len(r.told("ns_pod_u/app")); got != i+1 {
			t.Fatalf("%d files after %s", got, name)
		}
	}
	must(t, os.RemoveAll(root+"/ns_pod_u"))
	if w.rescan(); r.state() != "" {
		t.Error(r.state())
	}
}

// The same by itself: the passes come every RescanBlind, and the log says why.
func TestBlindLoop(t *testing.T) {
	root := filepath.Join(t.TempDir(), "pods")
	r := newRecord()
	w := blind(Options{Root: root, Files: r, Rescan: time.Hour, RescanBlind: time.Millisecond})
	text := logOf(w)
	var beats []bool
	w.Beat = func(busy bool) { beats = append(beats, busy) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.loop(ctx); close(done) }()
	for i := range 5 {
		write(t, fmt.Sprintf("%s/ns_pod-%d_u/app/0.log", root, i), "x\n")
		r.until(t, "found", func() bool { return r.target(fmt.Sprintf("ns_pod-%d_u/app", i)) != nil })
	}
	cancel()
	<-done
	if n := strings.Count(text.String(), "not every folder can be watched"); n != 1 {
		t.Errorf("said %d times\n%s", n, text)
	}
	for i, busy := range beats {
		if (i == 0 || i == len(beats)-1) && busy != (i == 0) || i > 0 && !busy && !beats[i-1] {
			t.Fatalf("beat %d of %v", i, beats)
		}
	}
}

// age makes folders look as if nothing had happened in them for an hour.
func age(t testing.TB, dirs ...string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	for _, dir := range dirs {
		must(t, os.Chtimes(dir, old, old))
	}
}

// A folder that did not change is told of with the slice that was told before, watched or not; one that did is listed,
// also if it is the one that a link leads to.
func TestSameSlice(t *testing.T) {
	for _, watched := range []bool{true, false} {
		root := t.TempDir()
		dir, far := root+"/ns_pod_u/app", t.TempDir()
		write(t, dir+"/0.log", "x\n")
		write(t, far+"/json.log", "x\n")
		must(t, os.Symlink(far+"/json.log", dir+"/1.log"))
		age(t, dir, far, root+"/ns_pod_u", root)
		r := newRecord()
		w := blind(Options{Root: root, Files: r})
		if watched {
			w.watch = dirwatch.New[place]()
			t.Cleanup(w.watch.Close)
		}
		w.rescan()
		first := r.told("ns_pod_u/app")
		w.rescan()
		w.rescan()
		if again := r.told("ns_pod_u/app"); &again[0] != &first[0] || r.count != 3 {
			t.Errorf("watched %v: another slice, or %d calls", watched, r.count)
		}
		write(t, far+"/json.log.1", "x\n")
		if w.rescan(); r.state() != "ns_pod_u/app: 0 0.log, 1 json.log.1, 1 json.log" {
			t.Error(watched, r.state())
		}
		age(t, far)
		w.rescan()
		write(t, dir+"/2.log", "x\n")
		if w.rescan(); r.state() != "ns_pod_u/app: 0 0.log, 1 json.log.1, 1 json.log, 2 2.log" {
			t.Error(watched, r.state())
		}
	}
}

// Watches that could not be had at first are put on when they can be.
func TestSeesAgain(t *testing.T) {
	root := t.TempDir()
	dir := root + "/ns_pod_u/app"
	far := t.TempDir()
	write(t, far+"/json.log", "x\n")
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.Symlink(far+"/json.log", dir+"/0.log"))
	age(t, dir, far, root+"/ns_pod_u", root)
	w := blind(Options{Root: root, Files: newRecord()})
	text := logOf(w)
	w.rescan()
	if got := w.interval(); got != w.RescanBlind {
		t.Error(got)
	}
	w.watch = dirwatch.New[place]()
	t.Cleanup(w.watch.Close)
	w.rescan()
	if n := w.watch.Watches(); n != 4 {
		t.Errorf("%d folders watched, want 4", n)
	}
	if got := w.interval(); got != w.Rescan || !strings.Contains(text.String(), "every folder is watched again") {
		t.Error(got, text)
	}
}
