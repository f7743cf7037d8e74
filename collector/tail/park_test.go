package tail

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nxadm/tail/watch"
	"golang.org/x/sys/unix"

	"github.com/leatd/leat/pipeline"
)

// A lot is files that are parked by hand. Each has a source in every lane; all wake-ups of a lane come to one reader.
type lot struct {
	tb      testing.TB
	parker  *parker
	bell    *pipeline.Bell
	readers []*Reader
	files   []*file
	writers []int
	sources [][]*source // by lane and file
	noise   int         // the file whose wake-ups don't count, if there is one
	before  int         // takers of other sets
}

func newLot(tb testing.TB, files, lanes int) *lot {
	s := NewSet(Options{MaxLine: 1 << 10, Log: quietLog})
	if s.parker.off {
		tb.Fatal("no inotify instance is left")
	}
	l := &lot{tb: tb, parker: s.parker, bell: pipeline.NewBell(), noise: -1, before: takers()}
	dir := tb.TempDir()
	for i := range files {
		path := filepath.Join(dir, fmt.Sprint(i))
		w, err := unix.Open(path, unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0o640)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { unix.Close(w) })
		f := &file{}
		if f.fd, err = openFile(path); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { unix.Close(f.fd) })
		l.files, l.writers = append(l.files, f), append(l.writers, w)
	}
	for range lanes {
		lane := s.Lane(&pump{}, &pump{})
		r := lane.Open(0, l.bell, nil).(*Reader)
		l.readers = append(l.readers, r)
		var sources []*source
		for i := range files {
			sources = append(sources, &source{lane: lane, owner: r, seq: i})
		}
		l.sources = append(l.sources, sources)
	}
	hangs := time.AfterFunc(5*time.Minute, func() {
		stacks := make([]byte, 1<<20)
		panic("parking hangs\n" + string(stacks[:runtime.Stack(stacks, true)]))
	})
	tb.Cleanup(func() { hangs.Stop() })
	return l
}

func (l *lot) park(i int) {
	for _, sources := range l.sources {
		if !l.parker.park(l.files[i], sources[i]) {
			l.tb.Errorf("file %d can't be parked", i)
		}
	}
}

func (l *lot) unpark(i int) {
	for _, sources := range l.sources {
		l.parker.unpark(l.files[i], sources[i])
	}
}

func (l *lot) write(i int) {
	if _, err := unix.Write(l.writers[i], []byte("x")); err != nil {
		l.tb.Error(err)
	}
}

// woken waits until n sources of each lane have been woken, and says which those are; all lanes must agree.
func (l *lot) woken(n int) []int {
	l.tb.Helper()
	var all []int
	for lane, r := range l.readers {
		var got []int
		for begun := time.Now(); len(got) < n; {
			l.bell.Wait(r.woken.Load, 20*time.Second, nil)
			for _, src := range r.collect() {
				if src.seq != l.noise {
					got = append(got, src.seq)
				}
			}
			if time.Since(begun) > 20*time.Second {
				l.tb.Fatalf("lane %d: %d of %d are woken after 20 s", lane, len(got), n)
			}
		}
		slices.Sort(got)
		if lane > 0 && !slices.Equal(got, all) {
			l.tb.Fatalf("lane %d: %v are woken, %v in the first", lane, got, all)
		}
		all = got
	}
	return all
}

func (l *lot) parked() int {
	l.parker.mu.Lock()
	defer l.parker.mu.Unlock()
	return len(l.parker.parked)
}

// empty checks that nothing is parked and that no goroutine is left over it.
func (l *lot) empty() {
	l.tb.Helper()
	if n := l.parked(); n > 0 {
		l.tb.Errorf("%d files are still parked", n)
	}
	for begun := time.Now(); takers() > l.before; <-time.After(time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			l.tb.Fatalf("%d takers are left", takers()-l.before)
		}
	}
}

// takers is how many goroutines of the process take events.
func takers() int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "tail.(*taker).run(")
}

func TestThousandsParked(t *testing.T) {
	const n = 2000
	l := newLot(t, n, 1)
	before := runtime.NumGoroutine()
	for i := range n {
		l.park(i)
	}
	if more := runtime.NumGoroutine() - before; more >= 50 {
		t.Errorf("%d files take %d goroutines", n, more)
	}
	for _, i := range rand.Perm(n) {
		l.write(i)
		if got := l.woken(1); !slices.Equal(got, []int{i}) {
			t.Fatalf("%v are woken, want %d", got, i)
		}
	}
	l.empty()
}

// While some files are written to, others are parked and others again leave. Just those that were written to are woken,
// in both lanes.
func TestParkingInAStorm(t *testing.T) {
	const n = 5 * takerHolds
	l := newLot(t, n+1, 2)
	l.noise = n
	var noise sync.WaitGroup
	stop := make(chan struct{})
	for _, f := range []func(){
		func() { l.write(n) },
		func() { l.park(n); l.unpark(n) },
	} {
		noise.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	quiet := sync.OnceFunc(func() { close(stop); noise.Wait() })
	defer quiet()
	for i := range n / 2 {
		l.park(i)
	}
	in, out := rand.Perm(n/2), make([]int, 0, n)
	for i := n / 2; i < n; i++ {
		out = append(out, i)
	}
	for range 20 {
		rand.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		wake, leave, stay := in[:len(in)/3], in[len(in)/3:len(in)/2], in[len(in)/2:]
		come := out[:n/2-len(stay)]
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, i := range wake {
				l.write(i)
			}
		})
		wg.Go(func() {
			for _, i := range leave {
				l.unpark(i)
				l.write(i)
			}
		})
		for _, i := range come {
			l.park(i)
		}
		wg.Wait()
		want := slices.Sorted(slices.Values(wake))
		if got := l.woken(len(wake)); !slices.Equal(got, want) {
			t.Fatalf("%v are woken, want %v", got, want)
		}
		in, out = slices.Concat(stay, come), slices.Concat(out[len(come):], wake, leave)
	}
	quiet()
	for _, i := range in {
		l.unpark(i)
	}
	l.empty()
}

// Whoever holds mu may wait for the tracker, so the tracker goes on while mu is held, whatever events come.
func TestNobodyWaitsInACircle(t *testing.T) {
	l := newLot(t, 2, 1)
	l.park(0)
	other := fmt.Sprintf("/proc/self/fd/%d", l.files[1].fd)
	l.parker.mu.Lock()
	for range 1000 {
		l.write(0)
		if err := errors.Join(watch.Watch(other), watch.RemoveWatch(other)); err != nil {
			t.Error(err)
		}
	}
	l.parker.mu.Unlock()
	if got := l.woken(1); !slices.Equal(got, []int{0}) {
		t.Errorf("%v are woken, want 0", got)
	}
	l.empty()
}

// Takers that hold nothing any more are used again, and all end when nothing is parked.
func TestTakersEmpty(t *testing.T) {
	const n = 3 * takerHolds
	l := newLot(t, n, 1)
	for range 3 {
		for i := range n {
			l.park(i)
		}
		for range 3 {
			for i := range n - 1 {
				l.unpark(i)
			}
			for i := range n - 1 {
				l.park(i)
			}
			if got := takers() - l.before; got != 3 {
				t.Errorf("%d takers for %d files, want 3", got, n)
			}
		}
		for i := range n {
			l.write(i)
		}
		if got := l.woken(n); len(got) != n {
			t.Errorf("%d are woken, want %d", len(got), n)
		}
		l.empty()
	}
}

// A descriptor's number is used again at once when it is closed: the watch must have ended before, also when an event ends
// it at that very moment.
func TestWatchEndsBeforeItsDescriptor(t *testing.T) {
	l := newLot(t, 2, 1)
	src := l.sources[0][0]
	number, err := unix.FcntlInt(uintptr(l.files[0].fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(number)
	take := func(i int) *file { // closes what was at that number
		if err := unix.Dup3(l.files[i].fd, number, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		f := &file{fd: number}
		if !l.parker.park(f, src) {
			t.Fatal("can't be parked")
		}
		return f
	}
	for range 500 {
		f := take(0)
		var wg sync.WaitGroup
		wg.Go(func() { l.write(0) })
		l.parker.unpark(f, src)
		l.readers[0].collect()
		f = take(1)
		l.write(1)
		l.woken(1)
		l.parker.unpark(f, src)
		wg.Wait()
	}
	l.empty()
}

// Park is what it costs to park a file and to give that up, Wake from a write until its reader hears of it and has parked
// the file again; both with 2,000 files parked. kept/file is what is kept of a parked file, the library's part included.
func BenchmarkPark(b *testing.B) {
	const n = 2000
	l := newLot(b, n+1, 1)
	kept := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := kept()
	for i := range n {
		l.park(i)
	}
	each := float64(kept()-before) / n
	b.Run("park", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.park(n)
			l.unpark(n)
		}
		b.ReportMetric(each, "kept/file")
	})
	b.Run("wake", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i = (i + 7) % n {
			l.write(i)
			l.woken(1)
			l.park(i)
		}
	})
	for i := range n {
		l.unpark(i)
	}
}
