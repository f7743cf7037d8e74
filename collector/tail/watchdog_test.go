package tail

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/pipeline"
)

// stale puts a descriptor that shows the file's present state for ever in the place of the one that is read, as a network
// file system can do.
func stale(t *testing.T, s *Set, key string) {
	t.Helper()
	f := (*s.logs[key].files.Load())[0]
	text, err := os.ReadFile(*f.path.Load())
	if err != nil {
		t.Fatal(err)
	}
	copied := t.TempDir() + "/copy"
	if err := os.WriteFile(copied, text, 0o640); err != nil {
		t.Fatal(err)
	}
	fd, err := openFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Dup3(fd, f.fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}

func TestWatchdog(t *testing.T) {
	for _, park := range []bool{false, true} {
		var said strings.Builder
		o := holdAll(Options{MaxLine: 1 << 10, Log: logTo(&said)})
		r := newRig(t, newRand(1), o, 2)
		r.park = park
		r.calm()
		dir := t.TempDir()
		target := &pipeline.Target{Key: "k"}
		r.start()
		appendTo(t, dir+"/0.log", out("a"))
		r.set.Sync(target, list(dir))
		rounds(r, 40) // long enough to be parked
		stale(t, r.set, "k")
		appendTo(t, dir+"/0.log", out("b"))
		rounds(r, 3*60)
		for i, l := range r.lanes {
			if got := bodies(l.got["k"][0]); len(got) != 1 {
				t.Fatalf("park %v: lane %d got %q of a file that shows nothing: the test tests nothing", park, i, got)
			}
		}
		rounds(r, 3*60)
		appendTo(t, dir+"/0.log", out("c"))
		rounds(r, 3*60)
		for i, l := range r.lanes {
			if n := l.lane.Reopened(); n != 1 {
				t.Errorf("park %v: lane %d opened the file anew %d times, want once", park, i, n)
			}
			if got := bodies(l.got["k"][0]); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("park %v: lane %d got %q", park, i, got)
			}
		}
		if n := strings.Count(said.String(), "\n"); n != 4 || !strings.Contains(said.String(), "read again") {
			t.Errorf("park %v: said %s", park, said.String())
		}
		r.exit()
	}
}

// What keeps a lane from reading is no reason to open anything anew.
func TestWatchdogLeavesAlone(t *testing.T) {
	long := 5 * time.Minute
	for _, test := range []struct {
		name string
		do   func(r *rig, dir string)
	}{
		{"half a line", func(r *rig, dir string) {
			appendTo(r.t, dir+"/0.log", out("b")[:20])
		}},
		{"a target that waits for its store", func(r *rig, dir string) {
			stale(r.t, r.set, "k")
			appendTo(r.t, dir+"/0.log", out("b"))
			for _, src := range r.lanes[0].lane.sources {
				src.wait = r.now.Add(time.Hour)
			}
		}},
		{"a lane without blocks", func(r *rig, dir string) {
			stale(r.t, r.set, "k")
			appendTo(r.t, dir+"/0.log", out("b"))
			for range 10 {
				r.now = r.now.Add(long / 10) // Fill is not called
				r.lanes[0].shards[0].reader.Look()
				r.round()
			}
			long = 0
		}},
		{"a file that another one has taken the place of", func(r *rig, dir string) {
			if err := os.Rename(dir+"/0.log", dir+"/0.log.1"); err != nil {
				r.t.Fatal(err)
			}
			appendTo(r.t, dir+"/0.log", out(numbered("n", 0, 50)...))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
			r.calm()
			dir := t.TempDir()
			r.start()
			defer r.exit()
			appendTo(t, dir+"/0.log", out("a"))
			r.set.Sync(&pipeline.Target{Key: "k"}, list(dir))
			rounds(r, 5)
			test.do(r, dir)
			rounds(r, int(long/(300*time.Millisecond)))
			if n := r.lanes[0].lane.Reopened(); n != 0 {
				t.Errorf("%d files reopened", n)
			}
		})
	}
}

// A source that is woken in the moment in which it is handed over to another reader is not forgotten.
func TestWokenWhileHandedOver(t *testing.T) {
	r := newRig(t, newRand(1), holdAll(Options{MaxLine: 1 << 10, Log: quietLog}), 1)
	r.calm()
	dir := t.TempDir()
	r.start()
	defer r.exit()
	l := r.lanes[0]
	for _, key := range []string{"a", "b"} {
		appendTo(t, dir+"/"+key+"/0.log", out(key))
		r.set.Sync(&pipeline.Target{Key: key}, list(dir+"/"+key))
	}
	rounds(r, 2)
	l.deal(2)
	from, to := l.shards[0].reader.(*Reader), l.shards[1].reader.(*Reader)
	moving := l.lane.sources[r.set.logs["b"]]
	l.lane.wake(moving) // by an event, say
	from.redeal()
	from.Targets()
	if to.Targets() != 1 || from.Targets() != 1 {
		t.Errorf("the readers have %d and %d sources, want one each", from.Targets(), to.Targets())
	}
}
