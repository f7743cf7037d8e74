package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/pipeline"
)

// A memory is a sink that keeps what it is sent, in the order in which it came, and answers as it is told.
type memory struct {
	mu     sync.Mutex
	got    map[string][]string // bodies by "KEY" or, if by stream is asked, "KEY stderr"
	ids    map[string][]string // record ids in the same order
	flags  map[string][]pipeline.Flags
	times  map[string][]int64
	answer func(body string) pipeline.Answer // nil takes all
	sends  int
}

func newMemory() *memory {
	return &memory{got: map[string][]string{}, ids: map[string][]string{}, flags: map[string][]pipeline.Flags{}, times: map[string][]int64{}}
}

func (m *memory) Describe(t *pipeline.Target) pipeline.Description {
	return pipeline.Description{Stdout: []byte(t.Key)}
}

func (m *memory) NewEncoder() pipeline.Encoder { return &textEncoder{} }

func (m *memory) Send(_ context.Context, body []byte) pipeline.Answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sends++
	if m.answer != nil {
		if a := m.answer(string(body)); a.Outcome != pipeline.Accepted {
			return a
		}
	}
	for len(body) > 0 {
		head, rest, _ := bytes.Cut(body, []byte{'\n'})
		f := strings.Split(string(head), "\t")
		n, _ := strconv.Atoi(f[4])
		key := f[0]
		m.got[key] = append(m.got[key], string(rest[:n]))
		m.ids[key] = append(m.ids[key], f[1])
		flags, _ := strconv.Atoi(f[2])
		m.flags[key] = append(m.flags[key], pipeline.Flags(flags))
		at, _ := strconv.ParseInt(f[3], 10, 64)
		m.times[key] = append(m.times[key], at)
		body = rest[n+1:]
	}
	return pipeline.Answer{Outcome: pipeline.Accepted, Code: "ok"}
}

func (m *memory) lines(key string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got[key])
}

// flagged is the lines so far with the flags of each.
func (m *memory) flagged(key string) ([]string, []pipeline.Flags) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got[key]), slices.Clone(m.flags[key])
}

// textEncoder writes a head with a record's id, flags, time and length, and its body.
type textEncoder struct{ b []byte }

func (e *textEncoder) Begin()      { e.b = e.b[:0] }
func (e *textEncoder) End() []byte { return e.b }
func (e *textEncoder) Size() int   { return len(e.b) }
func (e *textEncoder) Add(b *pipeline.Block, s *pipeline.Segment, records []pipeline.Record) {
	for i := range records {
		rec := &records[i]
		e.b = fmt.Appendf(e.b, "%s\t%s:%d\t%d\t%d\t%d\n", s.Target.Described.Stdout, s.Generation, s.Start+int64(rec.Pos), rec.Flags, rec.Time, rec.Len)
		e.b = append(append(e.b, b.Body(rec)...), '\n')
	}
}

// A bench is one node with one lane on it: folders of logs, and whatever reads them until it is stopped.
type bench struct {
	t     *testing.T
	dir   string // stands for /var/log/pods
	state string
	sink  *memory
	opts  Options
	lane  pipeline.Options

	set  *Set
	pl   *pipeline.Lane
	stop func(drain bool)

	times timing

	second *memory // of another lane over the same files; nil for none
}

func newBench(t *testing.T) *bench {
	h := &bench{t: t, dir: t.TempDir(), state: t.TempDir(), sink: newMemory()}
	h.times = standard
	h.times.quiet, h.times.walk, h.times.check = time.Second/2, time.Second, time.Second/10
	h.opts = holdAll(Options{MaxLine: 256 << 10, Log: quietLog})
	h.lane = pipeline.Options{Name: "memory", MaxWait: 5 * time.Millisecond}
	t.Cleanup(func() {
		if h.stop != nil {
			h.stop(false)
		}
	})
	return h
}

// start begins to read, with the cursors of the life before.
func (h *bench) start() {
	h.t.Helper()
	store, err := pipeline.OpenStore(h.state, h.opts.Log)
	if err != nil {
		h.t.Fatal(err)
	}
	o := h.lane
	o.Sink, o.Store, o.Log = h.sink, store, h.opts.Log
	h.set = NewSet(h.opts)
	h.set.times = h.times
	h.pl = pipeline.NewLane(o)
	intake := h.set.Lane(h.pl, store)
	var more func()
	if h.second != nil {
		more = h.startSecond(o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go h.set.Run(ctx)
	drain, cancelDrain := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.pl.Run(ctx, drain, intake)
	}()
	h.stop = func(wait bool) {
		h.stop = nil
		cancel()
		if !wait {
			cancelDrain()
		}
		<-done
		cancelDrain()
		if more != nil {
			more()
		}
	}
	h.sync()
	h.set.Ready()
}

// startSecond runs another lane, and returns what ends it.
func (h *bench) startSecond(o pipeline.Options) (stop func()) {
	store, err := pipeline.OpenStore(h.state+"/second", h.opts.Log)
	if err != nil {
		h.t.Fatal(err)
	}
	o.Sink, o.Store = h.second, store
	pl := pipeline.NewLane(o)
	intake := h.set.Lane(pl, store)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		pl.Run(ctx, ctx, intake)
	}()
	return func() { cancel(); <-done }
}

var logName = regexp.MustCompile(`^([0-9]+)\.log(\.[^.]+)?(\.gz)?$`)

// sync does what discovery does: it tells the set what lies in every container's folder.
func (h *bench) sync() {
	h.t.Helper()
	folders, _ := filepath.Glob(filepath.Join(h.dir, "*", "*"))
	for _, folder := range folders {
		h.set.Sync(h.target(h.key(folder)), list(folder))
	}
}

func (h *bench) key(folder string) string {
	key, err := filepath.Rel(h.dir, folder)
	if err != nil {
		h.t.Fatal(err)
	}
	return key
}

func (h *bench) target(key string) *pipeline.Target {
	pod, container, _ := strings.Cut(key, "/")
	f := strings.Split(pod, "_")
	return &pipeline.Target{Key: key, Namespace: f[0], Pod: f[1], UID: f[2], Container: container}
}

func list(folder string) (files []pipeline.LogFile) {
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if m := logName.FindStringSubmatch(e.Name()); m != nil && !strings.HasSuffix(e.Name(), ".tmp") {
			restart, _ := strconv.Atoi(m[1])
			files = append(files, pipeline.LogFile{Path: filepath.Join(folder, e.Name()), Name: e.Name(), Restart: restart, Gzip: strings.HasSuffix(e.Name(), ".gz")})
		}
	}
	return files
}

// eventually waits for a condition that other goroutines bring about.
func (h *bench) eventually(what string, ok func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s: not within 20 s; got %v\n%s", what, h.figures(), h.dump())
		}
		<-time.After(time.Millisecond)
	}
}

func (h *bench) figures() map[string]pipeline.Figures {
	m := map[string]pipeline.Figures{}
	for _, r := range h.pl.Rows(nil) {
		m[r.Target.Key] = r.Figures
	}
	return m
}

// expect waits until just these lines have come, in this order.
func (h *bench) expect(key string, want ...string) {
	h.t.Helper()
	h.eventually(fmt.Sprintf("%d lines of %s", len(want), key), func() bool { return len(h.sink.lines(key)) >= len(want) })
	got := h.sink.lines(key)
	if !slices.Equal(got, want) {
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				h.t.Fatalf("%s: line %d of %d (want %d): got %.60q, want %.60q", key, i, len(got), len(want), entry(got, i), entry(want, i))
			}
		}
	}
	h.balanced()
}

// expectQuick is expect without a look at the whole ledger.
func (h *bench) expectQuick(key string, want ...string) {
	h.t.Helper()
	h.eventually(fmt.Sprintf("%d lines of %s", len(want), key), func() bool { return slices.Equal(h.sink.lines(key), want) })
}

// host is discovery's news of a host file and what stands beside it.
func (h *bench) host(path string) {
	h.t.Helper()
	found, err := filepath.Glob(path + "*")
	if err != nil {
		h.t.Fatal(err)
	}
	var files []pipeline.LogFile
	for _, p := range found {
		files = append(files, pipeline.LogFile{Path: p, Name: filepath.Base(p)})
	}
	slices.Reverse(files) // the oldest first
	h.set.Sync(&pipeline.Target{Key: path, Path: path, Raw: true}, files)
}

// as does something as another user, as far as files are concerned.
func as(t *testing.T, uid int, do func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := errors.Join(unix.Setfsgid(uid), unix.Setfsuid(uid))
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// summed closes a file of cursors as pipeline does.
func summed(body string) string {
	return fmt.Sprintf("%s,\"crc32c\":\"%08x\"}\n", body, crc32.Checksum([]byte(body), crc32.MakeTable(crc32.Castagnoli)))
}

// A lockedBuilder takes what several goroutines say.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// holdAll is for tests in which no deleted file is to be given up.
func holdAll(o Options) Options {
	o.HoldMaxBytes, o.HoldMaxAge = 1<<30, 24*time.Hour
	return o
}

var quietLog = slog.New(slog.NewTextHandler(io.Discard, nil))

func entry(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return "nothing"
}

// balanced checks the ledger's identity.
func (h *bench) balanced() {
	h.t.Helper()
	for key, f := range h.figures() {
		sum := f.Delivered
		sum.Add(f.Pending.Lines, f.Pending.Bytes)
		for _, d := range f.Dropped {
			sum.Add(d.Lines, d.Bytes)
		}
		if f.Read != sum {
			h.t.Fatalf("%s: read %+v, but delivered + dropped + pending = %+v: %+v", key, f.Read, sum, f)
		}
	}
}

const pod = "ns_pod_uid"

// folder makes a container's folder and returns its path.
func (h *bench) folder(container string) string {
	h.t.Helper()
	dir := filepath.Join(h.dir, pod, container)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	return dir
}

func appendTo(t *testing.T, path string, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

var tick int64

// cri makes lines as containerd writes them, each with a time of its own.
func cri(stream, tag string, bodies ...string) string {
	var b strings.Builder
	for _, body := range bodies {
		tick++
		fmt.Fprintf(&b, "%s %s %s %s\n", time.Unix(1767322800, tick*1000).UTC().Format(time.RFC3339Nano), stream, tag, body)
	}
	return b.String()
}

func out(bodies ...string) string { return cri("stdout", "F", bodies...) }

func numbered(prefix string, from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("%s line %d of a container that has something to say", prefix, i))
	}
	return lines
}

// dump shows the sources of a bench that hangs; it is a race, and worth it.
func (h *bench) dump() string {
	var b strings.Builder
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	for _, l := range h.set.lanes {
		for _, src := range l.sources {
			fmt.Fprintf(&b, "%s: busy %v parked %v underway %d version %d of %d epoch %d\n", src.target.Key, src.busy, src.parked != nil, src.underway, src.version, src.log.version.Load(), src.epoch)
			for _, g := range src.gens {
				fmt.Fprintf(&b, "  %s %s read %d settled %d size %d done %v released %v listed %v identified %v order %+v\n", g.file.name(), g.id, g.read, g.settled, g.size, g.done, g.released, g.file.listed.Load(), g.identified, g.file.order)
			}
		}
	}
	return b.String()
}
