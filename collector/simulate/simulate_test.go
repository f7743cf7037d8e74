package simulate

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 120_000_000, time.UTC)

// newNode is a node whose clock goes on by hand.
func newNode(t testing.TB) (*Node, *time.Time) {
	now := start
	dir := t.TempDir()
	n := &Node{Root: filepath.Join(dir, "pods"), Now: func() time.Time { return now }}
	return n, &now
}

func startIn(t testing.TB, n *Node, spec Spec) *Container {
	t.Helper()
	if spec.Name == "" {
		spec.Namespace, spec.Pod, spec.Name = "shop", "web-0", "nginx"
	}
	c, err := n.Start(spec)
	must(t, err)
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listing shows the files of a folder with their text; .gz unpacked, long runs of x folded.
func listing(t testing.TB, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "-- %s\n%s", e.Name(), fold(text(t, filepath.Join(dir, e.Name()))))
	}
	return b.String()
}

func text(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		r, err = gzip.NewReader(f)
		must(t, err)
	}
	data, err := io.ReadAll(r)
	must(t, err)
	return string(data)
}

func fold(s string) string {
	s = strings.ReplaceAll(s, strings.Repeat("x", PartSize), "{16384 x}")
	return strings.ReplaceAll(s, strings.Repeat("x", PartSize-3), "{16381 x}")
}

func TestRecords(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	type write struct {
		stream Stream
		text   string
		end    bool
		after  time.Duration
	}
	tests := []struct {
		name        string
		writes      []write
		cri, docker string
	}{
		{
			"the time's width varies", []write{{Stdout, "a", true, 0}, {Stderr, "", true, -120 * time.Millisecond}, {Stdout, "b c", true, 3}},
			"2026-01-02T03:04:05.12Z stdout F a\n2026-01-02T03:04:05Z stderr F \n2026-01-02T03:04:05.120000003Z stdout F b c\n",
			`{"log":"a\n","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n" +
				`{"log":"\n","stream":"stderr","time":"2026-01-02T03:04:05Z"}` + "\n" +
				`{"log":"b c\n","stream":"stdout","time":"2026-01-02T03:04:05.120000003Z"}` + "\n",
		},
		{
			"exactly a part", []write{{Stdout, x(PartSize), true, 0}},
			"2026-01-02T03:04:05.12Z stdout F {16384 x}\n",
			`{"log":"{16384 x}","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n" +
				`{"log":"\n","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n",
		},
		{
			"two parts and a rest", []write{{Stdout, x(2*PartSize) + "yz", true, 0}},
			"2026-01-02T03:04:05.12Z stdout P {16384 x}\n2026-01-02T03:04:05.12Z stdout P {16384 x}\n2026-01-02T03:04:05.12Z stdout F yz\n",
			`{"log":"{16384 x}","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n" +
				`{"log":"{16384 x}","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n" +
				`{"log":"yz\n","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n",
		},
		{
			"pieces of both streams", []write{
				{Stdout, "aaa", false, 0}, {Stderr, "bb", false, 1}, {Stdout, x(PartSize), false, 2}, {Stderr, "B", true, 3}, {Stdout, "c", true, 4}},
			"2026-01-02T03:04:05.120000002Z stdout P aaa{16381 x}\n2026-01-02T03:04:05.120000003Z stderr F bbB\n2026-01-02T03:04:05.120000004Z stdout F xxxc\n",
			`{"log":"aaa{16381 x}","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n" +
				`{"log":"bbB\n","stream":"stderr","time":"2026-01-02T03:04:05.120000001Z"}` + "\n" +
				`{"log":"xxxc\n","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n",
		},
		{
			"bytes that JSON cannot hold", []write{{Stdout, "\"\\\t<é\xff\u2028\x00>&\r", true, 0}},
			"2026-01-02T03:04:05.12Z stdout F \"\\\t<é\xff\u2028\x00>&\n",
			`{"log":"\"\\\u0009\u003cé\ufffd\u2028\u0000\u003e\u0026\r\n","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}` + "\n",
		},
	}
	for _, tt := range tests {
		for format, want := range map[Format]string{CRI: tt.cri, Docker: tt.docker} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, format), func(t *testing.T) {
				n, _ := newNode(t)
				c := startIn(t, n, Spec{Format: format})
				for _, w := range tt.writes {
					if w.end {
						must(t, c.Write(w.stream, []byte(w.text), start.Add(w.after)))
					} else {
						must(t, c.WritePart(w.stream, []byte(w.text), start.Add(w.after)))
					}
				}
				if got := fold(text(t, c.Path())); got != want {
					t.Errorf("got:\n%s\nwant:\n%s", got, want)
				}
			})
		}
	}
}

func TestModesAndNames(t *testing.T) {
	n, _ := newNode(t)
	c := startIn(t, n, Spec{})
	if got, want := c.Key(), "shop_web-0_"+c.Spec().UID+"/nginx"; got != want || len(c.Spec().UID) != 36 {
		t.Errorf("key %q, want %q", got, want)
	}
	if got, want := c.Path(), filepath.Join(n.Root, c.Key(), "0.log"); got != want {
		t.Errorf("path %q, want %q", got, want)
	}
	for path, want := range map[string]fs.FileMode{c.Path(): 0o640, filepath.Dir(c.Path()): 0o750 | fs.ModeDir} {
		if st, err := os.Stat(path); err != nil || st.Mode() != want {
			t.Errorf("%s: mode %v, want %v (%v)", path, st.Mode(), want, err)
		}
	}
}

// Each moment of two rotations, as the kubelet and containerd make them.
func TestRotationStepByStep(t *testing.T) {
	n, now := newNode(t)
	var events []string
	n.OnEvent = func(e Event) { events = append(events, fmt.Sprint(e.Kind, " ", e.File, " ", e.Late)) }
	c := startIn(t, n, Spec{MaxFiles: 3})
	dir := filepath.Dir(c.Path())
	write := func(s string) { must(t, c.Write(Stdout, []byte(s), start)) }
	expect := func(when, want string) {
		t.Helper()
		if got := strings.ReplaceAll(listing(t, dir), "2026-01-02T03:04:05.12Z stdout ", ""); got != want {
			t.Errorf("%s: got:\n%s\nwant:\n%s", when, got, want)
		}
	}
	name := func(s int) string {
		return start.Add(time.Duration(s) * time.Second).Local().Format("0.log.20060102-150405")
	}

	write("one")
	must(t, c.WritePart(Stdout, []byte("half "), start))
	r, err := c.StartRotation()
	must(t, err)
	expect("renamed", "-- "+name(0)+"\nF one\n")
	if _, err := c.StartRotation(); !errors.Is(err, ErrRotating) {
		t.Errorf("a second rotation: %v", err)
	}
	must(t, c.Write(Stderr, []byte("late"), start))
	must(t, r.Create())
	expect("created", "-- 0.log\n-- "+name(0)+"\nF one\n2026-01-02T03:04:05.12Z stderr F late\n")
	must(t, r.Finish())
	must(t, r.Finish()) // does nothing
	write("line")
	expect("reopened", "-- 0.log\nF line\n-- "+name(0)+"\nF one\n2026-01-02T03:04:05.12Z stderr F late\nP half \n")

	must(t, c.Rotate()) // within the same second
	write("two")
	expect("again", "-- 0.log\nF two\n-- "+name(0)+"-001\nF line\n-- "+name(0)+".gz\nF one\n2026-01-02T03:04:05.12Z stderr F late\nP half \n")

	must(t, c.Rotate()) // the file that was called name(0) is gone, but its name stays taken
	expect("the third", "-- 0.log\n-- "+name(0)+"-001.gz\nF line\n-- "+name(0)+"-002\nF two\n")

	*now = start.Add(time.Second)
	write("three")
	must(t, c.Rotate())
	expect("the fourth", "-- 0.log\n-- "+name(0)+"-002.gz\nF two\n-- "+name(1)+"\nF three\n")

	want := []string{
		fmt.Sprint(Started, " 0.log 0"), fmt.Sprint(Rotated, " ", name(0), " 0"), fmt.Sprint(Reopened, " 0.log 2"),
		fmt.Sprint(Gzipped, " ", name(0), ".gz 0"), fmt.Sprint(Rotated, " ", name(0), "-001 0"), fmt.Sprint(Reopened, " 0.log 0"),
		fmt.Sprint(Removed, " ", name(0), ".gz 0"), fmt.Sprint(Gzipped, " ", name(0), "-001.gz 0"),
		fmt.Sprint(Rotated, " ", name(0), "-002 0"), fmt.Sprint(Reopened, " 0.log 0"),
		fmt.Sprint(Removed, " ", name(0), "-001.gz 0"), fmt.Sprint(Gzipped, " ", name(0), "-002.gz 0"),
		fmt.Sprint(Rotated, " ", name(1), " 0"), fmt.Sprint(Reopened, " 0.log 0"),
	}
	if !slices.Equal(events, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(events, "\n"), strings.Join(want, "\n"))
	}
	if got, want := c.Written(), (Written{Lines: 5, Bytes: 3 + 4 + 9 + 3 + 5}); got != want {
		t.Errorf("written %+v, want %+v", got, want)
	}
}

// MaxSize rotates by itself; of the Late lines half come before the new file, half after.
func TestAutomaticRotation(t *testing.T) {
	n, _ := newNode(t)
	var late []int
	n.OnEvent = func(e Event) {
		if e.Kind == Reopened {
			late = append(late, e.Late)
		}
	}
	c := startIn(t, n, Spec{MaxSize: 60, Late: 4})
	there := func() bool { _, err := os.Stat(c.Path()); return err == nil }
	var seen []bool
	for i := range 8 { // records of 36 bytes
		must(t, c.Write(Stdout, fmt.Append(nil, i), start))
		seen = append(seen, there())
	}
	if want := []bool{true, true, false, false, true, true, true, true}; !slices.Equal(seen, want) {
		t.Errorf("0.log there: %v, want %v", seen, want)
	}
	if !slices.Equal(late, []int{4}) {
		t.Errorf("late lines %v", late)
	}
	if got := strings.Count(text(t, c.Path()), "\n"); got != 2 {
		t.Errorf("%d lines in the new file", got)
	}
}

func TestDockerRotation(t *testing.T) {
	n, _ := newNode(t)
	c := startIn(t, n, Spec{Format: Docker, MaxSize: 100, MaxFiles: 3})
	link, err := os.Readlink(c.Path())
	must(t, err)
	for i := range 7 { // two records of 64 bytes a file
		must(t, c.Write(Stdout, fmt.Append(nil, i), start))
	}
	base := filepath.Base(link)
	got := strings.NewReplacer(base, "LOG", `","stream":"stdout","time":"2026-01-02T03:04:05.12Z"}`, "", `{"log":"`, "").
		Replace(listing(t, filepath.Dir(link)))
	if want := "-- LOG\n6\\n\n-- LOG.1\n4\\n\n5\\n\n-- LOG.2\n2\\n\n3\\n\n"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	must(t, c.Restart())
	must(t, c.Restart())
	if _, err := os.Stat(filepath.Dir(link)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("docker's folder of restart 0 is still there: %v", err)
	}
	must(t, c.Delete())
	for _, root := range []string{n.Root, n.Root + "-docker"} {
		if e, err := os.ReadDir(root); err != nil || len(e) != 0 {
			t.Errorf("%s is not empty after Delete: %v %v", root, e, err)
		}
	}
}

// With one file Docker truncates it in place.
func TestDockerTruncates(t *testing.T) {
	n, _ := newNode(t)
	c := startIn(t, n, Spec{Format: Docker, MaxSize: 100, MaxFiles: 1})
	for i := range 3 {
		must(t, c.Write(Stdout, fmt.Append(nil, i), start))
	}
	if got := text(t, c.Path()); !strings.HasPrefix(got, `{"log":"2\n"`) || strings.Count(got, "log") != 1 {
		t.Errorf("after the truncation: %s", got)
	}
}

func TestLife(t *testing.T) {
	n, _ := newNode(t)
	c := startIn(t, n, Spec{})
	dir := filepath.Dir(c.Path())
	must(t, c.Write(Stdout, []byte("one"), start))
	must(t, c.WritePart(Stderr, []byte("panic: "), start))
	must(t, c.Exit())
	if err := c.Write(Stdout, []byte("x"), start); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a write after the exit: %v", err)
	}
	if err := c.Exit(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a second exit: %v", err)
	}
	if got, want := listing(t, dir), "-- 0.log\n2026-01-02T03:04:05.12Z stdout F one\n2026-01-02T03:04:05.12Z stderr P panic: \n"; got != want {
		t.Errorf("after the exit:\n%s", got)
	}
	if got, want := c.Written(), (Written{Lines: 2, Bytes: 10, Unfinished: 1}); got != want {
		t.Errorf("written %+v, want %+v", got, want)
	}
	must(t, c.Restart())
	must(t, c.Write(Stderr, []byte("two"), start)) // not the rest of the line that the exit ended
	must(t, c.Rotate())
	must(t, c.Restart()) // ends restart 1: the files of 0 go, those of 1 stay
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"1.log", start.Local().Format("1.log.20060102-150405"), "2.log"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	if c.Restarts() != 2 || c.Written().Lines != 3 {
		t.Errorf("restart %d, written %+v", c.Restarts(), c.Written())
	}
	must(t, c.Delete())
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the pod's folder is still there: %v", err)
	}
	if err := c.Restart(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a restart after Delete: %v", err)
	}
}

func TestRefused(t *testing.T) {
	n, _ := newNode(t)
	for _, spec := range []Spec{{Namespace: "a", Pod: "b"}, {Namespace: "a", Pod: "b", Name: "c", MaxFiles: 1}} {
		if _, err := n.Start(spec); err == nil {
			t.Errorf("%+v was started", spec)
		}
	}
	c := startIn(t, n, Spec{})
	if err := c.Write(Stdout, []byte("a\nb"), start); err == nil {
		t.Error("a message with a newline was written")
	}
	if c.Written() != (Written{}) || text(t, c.Path()) != "" {
		t.Error("a refused message left something")
	}
}
