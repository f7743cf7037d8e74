package podlogs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/leatd/leat/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A record is a Files that keeps what it was told.
type record struct {
	mu     sync.Mutex
	news   chan struct{} // holds one when something was told since it was last taken
	files  map[*pipeline.Target][]pipeline.LogFile
	gone   []*pipeline.Target
	calls  []string // "sync KEY: NAME NAME" and "gone KEY", repeated ones once
	count  int
	onSync func(*pipeline.Target, []pipeline.LogFile) // called first, without the lock
}

func newRecord() *record {
	return &record{news: make(chan struct{}, 1), files: make(map[*pipeline.Target][]pipeline.LogFile)}
}

func (r *record) note(call string) {
	if len(r.calls) == 0 || r.calls[len(r.calls)-1] != call {
		r.calls = append(r.calls, call)
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *record) Sync(t *pipeline.Target, files []pipeline.LogFile) {
	if r.onSync != nil {
		r.onSync(t, files)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.gone, t) {
		panic("Sync after Gone of " + t.Key)
	}
	r.count++
	r.files[t] = files
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	r.note("sync " + t.Key + ": " + strings.Join(names, " "))
}

func (r *record) Gone(t *pipeline.Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.files[t]; !ok {
		panic("Gone without Sync, or twice, of " + t.Key)
	}
	delete(r.files, t)
	r.gone = append(r.gone, t)
	r.note("gone " + t.Key)
}

// state is what is there now: "KEY: RESTART NAME, RESTART NAME" a target, sorted.
func (r *record) state() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for t, files := range r.files {
		names := make([]string, len(files))
		for i, f := range files {
			names[i] = fmt.Sprintf("%d %s", f.Restart, f.Name)
		}
		lines = append(lines, t.Key+": "+strings.Join(names, ", "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// until waits until ok, which is asked after each call, holds.
func (r *record) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-r.news:
		case <-deadline:
			t.Fatalf("not within 10 s: %s; there is\n%s", what, r.state())
		}
	}
}

func (r *record) untilState(t *testing.T, want ...string) {
	t.Helper()
	text := strings.Join(want, "\n")
	r.until(t, "state\n"+text, func() bool {
		r.mu.Lock()
		n := len(r.files)
		r.mu.Unlock()
		return n == strings.Count(text, ": ") && r.state() == text
	})
}

// target returns the live target of a key.
func (r *record) target(key string) *pipeline.Target {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := range r.files {
		if t.Key == key {
			return t
		}
	}
	return nil
}

// told returns the files of a key's live target as told last.
func (r *record) told(key string) []pipeline.LogFile {
	t := r.target(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[t]
}

// ended is the number of targets that are gone.
func (r *record) ended() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.gone)
}

// A logText is a log that can be read while it is written.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a Watcher until the test ends; it waits until the first pass is over.
func start(t *testing.T, o Options) (*record, *logText) {
	t.Helper()
	r, ok := o.Files.(*record)
	if !ok {
		r = newRecord()
		o.Files = r
	}
	text := &logText{}
	o.Log = slog.New(slog.NewTextHandler(text, nil))
	ready, done := make(chan struct{}), make(chan error, 1)
	o.Ready = func() { close(ready) }
	if o.Rescan == 0 {
		o.Rescan = time.Hour // events alone must do
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- New(o).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		t.Fatal("not ready within 10 s\n", text)
	}
	return r, text
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o640))
}
