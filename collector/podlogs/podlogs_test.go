package podlogs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

func TestFoundAtStart(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{
		"0.log", "0.log.20260102-030405", "0.log.20260101-030405.gz", "0.log.20260102-030405.gz",
		"0.log.20260103-000000.tmp", "1.log", "10.log", "2.log",
	} {
		write(t, filepath.Join(root, "shop_cart-0_3f1c/web", name), "x\n")
	}
	write(t, filepath.Join(root, "kube-system_etcd_node_1_8d5e/etcd", "0.log"), "x\n")
	must(t, os.MkdirAll(filepath.Join(root, "shop_cart-0_3f1c/empty"), 0o755))
	write(t, filepath.Join(root, "shop_cart-0_3f1c/noisy/0.log"), "x\n")
	labels := []pipeline.Label{{Name: "cluster", Value: "prod"}}
	var asked []string
	r, text := start(t, Options{Root: root, Node: "n1", Labels: labels, Include: func(ns, pod, c string) bool {
		asked = append(asked, ns+"/"+pod+"/"+c)
		return c != "noisy"
	}})
	r.untilState(t,
		"kube-system_etcd_node_1_8d5e/etcd: 0 0.log",
		"shop_cart-0_3f1c/empty: ",
		"shop_cart-0_3f1c/web: 0 0.log.20260101-030405.gz, 0 0.log.20260102-030405.gz, 0 0.log.20260102-030405, 0 0.log, 1 1.log, 2 2.log, 10 10.log")
	got := *r.target("kube-system_etcd_node_1_8d5e/etcd")
	want := pipeline.Target{Key: "kube-system_etcd_node_1_8d5e/etcd", Namespace: "kube-system", Pod: "etcd_node_1", UID: "8d5e", Container: "etcd", Node: "n1"}
	if fmt.Sprint(got.Labels) != "[{cluster prod}]" {
		t.Error(got.Labels)
	}
	if got.Labels = nil; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if slices.Sort(asked); strings.Join(slices.Compact(asked), " ") != "kube-system/etcd_node_1/etcd shop/cart-0/empty shop/cart-0/noisy shop/cart-0/web" {
		t.Error(asked)
	}
	if text.String() != "" {
		t.Error("complaints about good folders:\n", text)
	}
	for _, f := range r.told("shop_cart-0_3f1c/web") {
		if f.Gzip != strings.HasSuffix(f.Name, ".gz") || f.Path != filepath.Join(root, "shop_cart-0_3f1c/web", f.Name) {
			t.Errorf("%+v", f)
		}
	}
}

func TestStorm(t *testing.T) {
	const pods, makers = 500, 5
	root := filepath.Join(t.TempDir(), "var/log/pods") // comes later
	r, _ := start(t, Options{Root: root})
	var all sync.WaitGroup
	for m := range makers {
		all.Go(func() {
			for i := m; i < pods; i += makers {
				dir := filepath.Join(root, fmt.Sprintf("ns_pod-%03d_%d", i, i))
				write(t, dir+"/app/0.log", "x\n")
				write(t, dir+"/side/0.log", "x\n")
				must(t, os.Rename(dir+"/app/0.log", dir+"/app/0.log.20260102-030405"))
				write(t, dir+"/app/0.log", "x\n")
			}
		})
	}
	all.Wait()
	var want []string
	for i := range pods {
		key := fmt.Sprintf("ns_pod-%03d_%d/", i, i)
		want = append(want, key+"app: 0 0.log.20260102-030405, 0 0.log", key+"side: 0 0.log")
	}
	r.untilState(t, want...)
	if n := r.ended(); n > 0 {
		t.Errorf("%d targets gone that were never deleted", n)
	}
	for i := range makers {
		all.Go(func() {
			for p := i; p < pods; p += makers {
				must(t, os.RemoveAll(filepath.Join(root, fmt.Sprintf("ns_pod-%03d_%d", p, p))))
			}
		})
	}
	all.Wait()
	r.untilState(t, "")
	if n := r.ended(); n != 2*pods {
		t.Errorf("%d targets gone, want %d", n, 2*pods)
	}
}

// A pod that lives for a moment: it is deleted as soon as its file was told of.
func TestMoment(t *testing.T) {
	root := t.TempDir()
	r := newRecord()
	seen := make(chan string, 1)
	r.onSync = func(_ *pipeline.Target, files []pipeline.LogFile) {
		for _, f := range files {
			if _, err := os.Stat(f.Path); err == nil { // the consumer would open it here
				select {
				case seen <- f.Path:
				default:
				}
			}
		}
	}
	start(t, Options{Root: root, Files: r})
	var slowest time.Duration
	for i := range 100 {
		dir := filepath.Join(root, fmt.Sprintf("ns_job_%d", i))
		begin := time.Now()
		write(t, dir+"/app/0.log", "x\n")
		select {
		case path := <-seen:
			if path != dir+"/app/0.log" {
				t.Fatal(path)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a file was there for 10 s and was not told of")
		}
		slowest = max(slowest, time.Since(begin))
		must(t, os.RemoveAll(dir))
		r.until(t, "gone", func() bool { return r.state() == "" })
		select {
		case <-seen:
		default:
		}
	}
	t.Logf("from mkdir to Sync, slowest of 100: %v", slowest)
}

// The kubelet's rotation, step by step, each step told of.
func TestRotation(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "ns_pod_u/app")
	old, plain := dir+"/0.log.20260101-000000.gz", dir+"/0.log.20260102-000000"
	write(t, old, "x")
	write(t, plain, "x")
	write(t, dir+"/0.log", "x")
	r, text := start(t, Options{Root: root})
	const key = "ns_pod_u/app: "
	r.untilState(t, key+"0 0.log.20260101-000000.gz, 0 0.log.20260102-000000, 0 0.log")
	must(t, os.Remove(old))
	r.untilState(t, key+"0 0.log.20260102-000000, 0 0.log")
	write(t, plain+".tmp", "z")
	must(t, os.Rename(plain+".tmp", plain+".gz"))
	r.untilState(t, key+"0 0.log.20260102-000000.gz, 0 0.log.20260102-000000, 0 0.log")
	must(t, os.Remove(plain))
	r.untilState(t, key+"0 0.log.20260102-000000.gz, 0 0.log")
	must(t, os.Rename(dir+"/0.log", dir+"/0.log.20260103-000000"))
	r.untilState(t, key+"0 0.log.20260102-000000.gz, 0 0.log.20260103-000000")
	write(t, dir+"/0.log", "y")
	r.untilState(t, key+"0 0.log.20260102-000000.gz, 0 0.log.20260103-000000, 0 0.log")

	// A file renamed over 0.log leaves the names as they were; it is told all the same, with another slice.
	before := r.told("ns_pod_u/app")
	write(t, dir+"/new.tmp", "z")
	must(t, os.Rename(dir+"/new.tmp", dir+"/0.log"))
	r.until(t, "another slice", func() bool { return &r.told("ns_pod_u/app")[0] != &before[0] })

	write(t, dir+"/1.log", "z") // a restart
	r.untilState(t, key+"0 0.log.20260102-000000.gz, 0 0.log.20260103-000000, 0 0.log, 1 1.log")
	if text.String() != "" {
		t.Error(text)
	}
}

// Writing to a file is no event.
func TestWritesAreNotSeen(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "ns_pod_u/app/0.log")
	write(t, path, "x\n")
	r, _ := start(t, Options{Root: root})
	r.untilState(t, "ns_pod_u/app: 0 0.log")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	for range 1000 {
		_, err = f.WriteString("a line\n")
		must(t, err)
	}
	must(t, f.Close())
	write(t, filepath.Join(root, "ns_pod_u/last/0.log"), "x\n") // after this one, the events of the writes would be there
	r.untilState(t, "ns_pod_u/app: 0 0.log", "ns_pod_u/last: 0 0.log")
	r.mu.Lock()
	defer r.mu.Unlock()
	synced := 0
	for _, c := range r.calls {
		if strings.HasPrefix(c, "sync ns_pod_u/app") {
			synced++
		}
	}
	if synced != 1 {
		t.Errorf("%d calls for a file that was only written to:\n%s", synced, strings.Join(r.calls, "\n"))
	}
}

// A folder that is deleted and made again is gone and then another target, whether it was seen missing or not.
func TestFolderComesBack(t *testing.T) {
	root := t.TempDir()
	pod := filepath.Join(root, "kube-system_etcd-n1_0f3a")
	write(t, pod+"/etcd/0.log", "x\n")
	r, _ := start(t, Options{Root: root})
	const key = "kube-system_etcd-n1_0f3a/etcd"
	for i := range 20 {
		old := r.target(key)
		victim := pod
		if i%2 == 1 {
			victim += "/etcd" // the container's folder alone
		}
		must(t, os.RemoveAll(victim))
		write(t, pod+"/etcd/0.log", "x\n")
		r.until(t, "a new target", func() bool {
			now := r.target(key)
			return now != nil && now != old && r.state() == key+": 0 0.log"
		})
		r.mu.Lock()
		if !slices.Contains(r.gone, old) {
			t.Error("the old target was not called gone")
		}
		r.mu.Unlock()
	}
	away := filepath.Join(t.TempDir(), "away")
	must(t, os.Rename(pod, away))
	r.untilState(t, "")
	must(t, os.Rename(away, pod))
	r.untilState(t, key+": 0 0.log")
}

// The same without inotify: two passes see that a folder is not the one it was, though inode numbers come again.
func TestFolderComesBackUnseen(t *testing.T) {
	for _, name := range []string{"ns_pod_u", "ns_pod_u/app"} {
		root := t.TempDir()
		dir := filepath.Join(root, name)
		write(t, root+"/ns_pod_u/app/0.log", "x\n")
		r := newRecord()
		w := blind(Options{Root: root, Files: r})
		w.rescan()
		old, oldPod := r.target("ns_pod_u/app"), w.root.pods["ns_pod_u"]
		before, err := dirwatch.StampOf(dir)
		must(t, err)
		must(t, os.RemoveAll(dir))
		for deadline := time.Now().Add(5 * time.Second); ; { // the kernel's clock for birth times ticks every 4 ms
			must(t, os.Mkdir(dir, 0o755))
			if now, err := dirwatch.StampOf(dir); err != nil || !now.Same(before) || time.Now().After(deadline) {
				break
			}
			must(t, os.Remove(dir))
		}
		write(t, root+"/ns_pod_u/app/0.log", "x\n")
		w.rescan()
		if now := r.target("ns_pod_u/app"); now == nil || now == old || len(r.gone) != 1 {
			t.Errorf("%s: %p, before %p, gone %d", name, now, old, len(r.gone))
		}
		if same := w.root.pods["ns_pod_u"] == oldPod; same != (name != "ns_pod_u") {
			t.Errorf("%s: the same pod: %v", name, same)
		}
	}
}

func TestRootGoesAndComes(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "log/pods")
	r, text := start(t, Options{Root: root})
	for range 3 {
		write(t, root+"/ns_pod_u/app/0.log", "x\n")
		r.untilState(t, "ns_pod_u/app: 0 0.log")
		must(t, os.RemoveAll(filepath.Join(top, "log")))
		r.untilState(t, "")
	}
	must(t, os.MkdirAll(filepath.Join(top, "elsewhere"), 0o755)) // a link may come in its place
	write(t, top+"/elsewhere/pods/ns_pod_v/app/0.log", "x\n")
	must(t, os.Symlink("elsewhere", filepath.Join(top, "log")))
	r.untilState(t, "ns_pod_v/app: 0 0.log")
	if !strings.Contains(text.String(), "waiting for it") || !strings.Contains(text.String(), "is there and can be read") {
		t.Error(text)
	}
}

func TestRootIsNoFolder(t *testing.T) {
	top := t.TempDir()
	for _, c := range []struct{ name, want string }{
		{"file", "it is a file"}, {"file/pods", "file is a file"}, {"loop", "too many levels of symbolic links"},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, top+"/file", "")
			_ = os.Remove(top + "/loop")
			must(t, os.Symlink("loop", top+"/loop"))
			r := newRecord()
			ready := 0
			w := blind(Options{Root: filepath.Join(top, c.name), Files: r, Ready: func() { ready++ }})
			text := logOf(w)
			w.rescan()
			w.rescan()
			if n := strings.Count(text.String(), c.want); n != 1 || strings.Count(text.String(), "\n") != 1 {
				t.Errorf("%q said %d times in\n%s", c.want, n, text)
			}
			if c.name != "file/pods" && ready != 0 {
				t.Error("ready without a look at the root")
			}
			must(t, os.Remove(top+"/"+strings.TrimSuffix(c.name, "/pods")))
			write(t, filepath.Join(top, c.name)+"/ns_pod_u/app/0.log", "x\n")
			w.rescan()
			if r.state() != "ns_pod_u/app: 0 0.log" || ready != 1 {
				t.Errorf("not found at the next pass: %q, ready %d", r.state(), ready)
			}
			if !strings.Contains(text.String(), "can be read") {
				t.Errorf("recovery not said:\n%s", text)
			}
			must(t, os.RemoveAll(top+"/"+strings.TrimSuffix(c.name, "/pods")))
		})
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{Root: "var/log/pods", Files: newRecord()}, {Root: "/x"}, {Root: "/x", RootFS: "host", Files: newRecord()}} {
		if err := New(o).Run(context.Background()); err == nil {
			t.Errorf("%+v accepted", o)
		}
	}
}
