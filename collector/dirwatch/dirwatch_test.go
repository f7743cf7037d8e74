package dirwatch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte("x\n"), 0o644))
}

// take waits for events until what they say, joined, contains want.
func take(t *testing.T, w *Watcher[string], want string) string {
	t.Helper()
	var got strings.Builder
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(got.String(), want) {
		events, err := w.Wait(context.Background(), deadline)
		must(t, err)
		if len(events) == 0 {
			t.Fatalf("want %q, got %q", want, got.String())
		}
		for _, e := range events {
			fmt.Fprintf(&got, "%s/%s %d;", e.Owner, e.Name, e.Op)
		}
	}
	return got.String()
}

func TestEvents(t *testing.T) {
	top := t.TempDir()
	a, b := filepath.Join(top, "a"), filepath.Join(top, "b")
	must(t, os.Mkdir(a, 0o755))
	must(t, os.Mkdir(b, 0o755))
	w := New[string]()
	defer w.Close()
	must(t, w.Err())
	wa, err := w.Add(a, "A")
	must(t, err)
	_, err = w.Add(b, "B")
	must(t, err)
	second, err := w.Add(a, "A2") // two owners, one folder
	must(t, err)
	if w.Watches() != 2 {
		t.Error(w.Watches())
	}

	write(t, a+"/f") // its write and close are no events
	if got := take(t, w, "A2/f 0;"); got != "A/f 0;A2/f 0;" {
		t.Error(got)
	}
	must(t, os.Chmod(a+"/f", 0o600))
	must(t, os.Rename(a+"/f", b+"/g"))
	if got := take(t, w, "B/g 0;"); got != "A/f 0;A2/f 0;B/g 0;" {
		t.Error(got)
	}
	w.Remove(second)
	if !wa.Alive() || second.Alive() || second.Ended() {
		t.Error("the wrong watch ended")
	}
	must(t, os.Remove(b+"/g"))
	if got := take(t, w, "B/g 0;"); got != "B/g 0;" {
		t.Error(got)
	}
	must(t, os.Remove(a))
	if got := take(t, w, "A/ 1;A/ 1;"); got != "A/ 1;A/ 1;" || !wa.Ended() || wa.Alive() {
		t.Error(got, wa)
	}
	w.Remove(wa) // no matter
	must(t, os.Rename(b, a))
	if got := take(t, w, "B/ 1;"); got != "B/ 1;" {
		t.Error(got)
	}
}

// One event a line would be the end of it: writing makes none.
func TestWritesAreNoEvents(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(dir + "/0.log")
	must(t, err)
	defer f.Close()
	w := New[string]()
	defer w.Close()
	_, err = w.Add(dir, "D")
	must(t, err)
	for range 1000 {
		_, err = f.WriteString("a line\n")
		must(t, err)
	}
	write(t, dir+"/end")
	if got := take(t, w, "end"); got != "D/end 0;" {
		t.Error(got)
	}
}

func TestAddErrors(t *testing.T) {
	top := t.TempDir()
	write(t, top+"/file")
	must(t, os.Symlink(top, top+"/link"))
	w := New[string]()
	defer w.Close()
	for _, name := range []string{"none", "file", "file/below", "link"} {
		watch, err := w.Add(filepath.Join(top, name), "")
		if err == nil || !Gone(err) || watch.Alive() || watch.Ended() {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, w.Err()) // none of them is inotify's own
}

func TestWaitEnds(t *testing.T) {
	w := New[string]()
	defer w.Close()
	ctx, cancel := context.WithCancel(context.Background())
	events, err := w.Wait(ctx, time.Now().Add(time.Millisecond))
	if len(events) != 0 || err != nil {
		t.Error(events, err)
	}
	started := make(chan struct{})
	go func() { <-started; cancel() }()
	close(started)
	if _, err = w.Wait(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A read that fails in an unknown way ends all watches, asks for a look at everything, and can be overcome.
func TestLost(t *testing.T) {
	dir := t.TempDir()
	w := New[string]()
	defer w.Close()
	watch, err := w.Add(dir, "D")
	must(t, err)
	must(t, w.file.Close())
	events, err := w.Wait(context.Background(), time.Now().Add(time.Hour))
	if err != nil || len(events) != 1 || events[0].Op != Overflow || watch.Alive() || watch.Ended() || w.Err() == nil {
		t.Fatal(events, err, watch, w.Err())
	}
	if w.Retry(); w.Err() == nil {
		t.Error("tried again at once")
	}
	w.retryAt = time.Now()
	if w.Retry(); w.Err() != nil {
		t.Fatal(w.Err())
	}
	_, err = w.Add(dir, "D")
	must(t, err)
	write(t, dir+"/f")
	take(t, w, "D/f 0;")
}

// The kernel's own limits belong to the whole machine, where other tests run; the limit of open files is this process's
// and is met in the same way.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{initError(unix.EMFILE), "sysctl fs.inotify.max_user_instances"},
		{initError(unix.ENOSYS), "cannot be had here: function not implemented"},
		{addError(unix.ENOSPC, 7), "after 7 of this process: no space left on device: raise the sysctl fs.inotify.max_user_watches"},
		{addError(unix.ENOMEM, 7), "cannot allocate memory"},
	} {
		if !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v; want %q in it", c.err, c.want)
		}
	}
	dir := t.TempDir()
	var was unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	low := was
	low.Cur = 0
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	w := New[string]()
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
	defer w.Close()
	if err := w.Err(); err == nil || !strings.Contains(err.Error(), "fs.inotify.max_user_instances") {
		t.Fatal(err)
	}
	if watch, err := w.Add(dir, ""); err == nil || watch.Alive() {
		t.Error("watched without an instance")
	}
	w.retryAt = time.Now()
	w.Retry()
	_, err := w.Add(dir, "D")
	must(t, err)
	write(t, dir+"/f")
	take(t, w, "D/f 0;")
}

func TestBlindWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New[string]()
		w.Close()
		begin := time.Now()
		events, err := w.Wait(t.Context(), begin.Add(time.Minute))
		if events != nil || err != nil || time.Since(begin) != time.Minute {
			t.Error(events, err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.Wait(ctx, begin.Add(time.Hour)); err == nil || time.Since(begin) != time.Minute+time.Second {
			t.Error(err, time.Since(begin))
		}
	})
}

func event(wd int32, mask uint32, name string, pad int) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
	b = binary.NativeEndian.AppendUint32(b, mask)
	b = binary.NativeEndian.AppendUint32(b, 7)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(name)+pad))
	return append(append(b, name...), make([]byte, pad)...)
}

func TestParse(t *testing.T) {
	w := &Watcher[string]{watches: map[int32][]*Watch[string]{3: {{owner: "X", wd: 3}}}}
	b := event(3, unix.IN_CREATE|unix.IN_ISDIR, "pod", 13)
	b = append(b, event(4, unix.IN_CREATE, "nobody's", 8)...)
	b = append(b, event(-1, unix.IN_Q_OVERFLOW, "", 0)...)
	b = append(b, event(3, unix.IN_IGNORED, "", 0)...)
	b = append(b, event(3, unix.IN_CREATE, "after", 3)...)
	parse(append(b, 1, 2, 3), w.take)
	if got := fmt.Sprint(w.events); got != "[{X 0 pod} { 2 } {X 1 }]" {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(event(3, unix.IN_CREATE, "pod", 13))
	f.Add(event(-1, unix.IN_Q_OVERFLOW, "", 0))
	f.Add([]byte{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		parse(b, func(_ int32, _ uint32, name []byte) {
			total += unix.SizeofInotifyEvent + len(name)
			if bytes.IndexByte(name, 0) >= 0 {
				t.Errorf("NUL in %q", name)
			}
		})
		if total > len(b) {
			t.Errorf("%d bytes of events in %d", total, len(b))
		}
	})
}

func TestComplaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		c := NewComplaints(slog.New(slog.NewTextHandler(&text, nil)))
		lines := func() int { n := strings.Count(text.String(), "\n"); text.Reset(); return n }
		for range 3 {
			c.Once("a", "broken")
		}
		c.Once("a", "broken otherwise")
		c.Over("a", "well")
		c.Over("a", "well")
		c.Once("a", "broken")
		if n := lines(); n != 4 {
			t.Error(n)
		}
		for i := range 100 {
			c.Once(fmt.Sprint("many ", i), "broken")
		}
		if n := lines(); n != burst-3 {
			t.Error(n)
		}
		time.Sleep(perToken)
		c.Once("one more", "broken")
		if got := text.String(); !strings.Contains(got, "not_logged=83") {
			t.Error(got)
		}
		lines()
		time.Sleep(time.Hour)
		for i := range maxSaid * 3 {
			c.Once(fmt.Sprint("forever ", i), "broken")
		}
		if n := lines(); n != burst || len(c.said) > maxSaid {
			t.Error(n, len(c.said))
		}
	})
}
