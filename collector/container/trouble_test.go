package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/sys/unix"
)

const (
	pod1   = "sys/fs/cgroup/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/"
	pod2   = "sys/fs/cgroup/kubepods/burstable/pod22222222-2222-3333-4444-555555555555/"
	common = "-- sys/fs/cgroup/cgroup.controllers --\n-- proc/1/net/dev --\n-- proc/stat --\nbtime 10\n"
	web    = "-- var/log/containers/web-0_shop_app-{a}.log -> /x --\n"
)

var id = func(c string) string { return strings.Repeat(c, 64) }

// TestTrouble: what cannot be read costs its own figures, sets container_scrape_error, and nothing more.
func TestTrouble(t *testing.T) {
	good := pod1 + "{a}/pids.current --\n3\n"
	for _, c := range []struct{ name, files, want string }{
		{"nothing at all", "", "container_scrape_error 1"},
		{"no cgroups", "-- sys/ --\n", "container_scrape_error 1"},
		{"a file for a folder", "-- sys/fs --\n", "container_scrape_error 1"},
		{"no controller of v1", "-- sys/fs/cgroup/net_cls/ --\n", "container_scrape_error 1"},
		{"no container", common, "container_scrape_error 0"},
		{"an unreadable file", common + web + "-- " + pod1 + "{a}/memory.current/ --\n-- " + good,
			"container_scrape_error 1\ncontainer_threads{container=\"app\",namespace=\"shop\",pod=\"web-0\"} 3"},
		{"a file without an end", common + web + "-- " + pod1 + "{a}/memory.stat --\n" + strings.Repeat("anon 1\n", maxFile/7+1) + "-- " + good,
			"container_scrape_error 1\ncontainer_threads{container=\"app\",namespace=\"shop\",pod=\"web-0\"} 3"},
		{"nonsense", common + web + "-- " + pod1 + "{a}/memory.current --\n-7\n-- " + pod1 + "{a}/memory.max --\n99999999999999999999999\n-- " + good,
			"container_scrape_error 0\ncontainer_threads{container=\"app\",namespace=\"shop\",pod=\"web-0\"} 3"},
		{"processes of another namespace", common + web + "-- " + pod1 + "{a}/cgroup.procs --\n0\n0\n-- " + good,
			"container_processes{container=\"app\",namespace=\"shop\",pod=\"web-0\"} 2\ncontainer_scrape_error 1\ncontainer_threads{container=\"app\",namespace=\"shop\",pod=\"web-0\"} 3"},
		{"names that nobody can list", common + "-- var/log/containers --\n-- var/log/pods/ --\n-- " + good, "container_scrape_error 0"},
		{"no host process", strings.Replace(common, "1/net/dev", "2/net/dev", 1) + web + "-- " + good,
			"container_scrape_error 1\ncontainer_threads{container=\"app\",namespace=\"shop\",pod=\"web-0\"} 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			collector := New(in(tree(t, c.files)))
			for range 2 {
				equal(t, figures(gather(t, collector), "container_threads", "container_memory_rss", "container_processes", "container_scrape_error"), c.want)
			}
		})
	}
}

// TestHang: a file that never answers costs one scrape its time, and the next ones none.
func TestHang(t *testing.T) {
	root := tree(t, common+web+"-- "+pod1+"{a}/pids.current --\n3\n")
	pipe := filepath.Join(root, pod1, id("a"), "memory.current")
	must(t, unix.Mkfifo(pipe, 0o600))
	o := in(root)
	o.Timeout = 20 * time.Millisecond
	c := New(o)
	for range 3 {
		equal(t, figures(gather(t, c)), "container_scrape_error 1")
	}
	w, err := os.OpenFile(pipe, os.O_RDWR, 0) // lets the reader's open return
	must(t, err)
	must(t, os.Remove(pipe))
	must(t, w.Close())
	for deadline := time.Now().Add(10 * time.Second); ; {
		got := figures(gather(t, c), "container_threads", "container_scrape_error")
		if strings.Contains(got, "container_scrape_error 0") && strings.Contains(got, "container_threads{") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not recover:", got)
		}
	}
}

// TestGone: a container that ends while it is read is left out without a word, wherever that happens.
func TestGone(t *testing.T) {
	const container = "/kubepods/podaaaaaaaa/"
	v1 := "-- proc/1/net/dev --\n" + web
	for _, h := range []string{"memory", "cpu", "cpuacct", "pids", "blkio", "unified"} {
		v1 += "-- sys/fs/cgroup/" + h + container + "{a}/pids.current --\n3\n"
	}
	for _, h := range []string{"memory", "cpu", "cpuacct", "pids", "blkio", "unified"} {
		t.Run(h, func(t *testing.T) {
			root := tree(t, v1)
			c := New(in(root))
			if got := gather(t, c); !strings.Contains(got, "container_threads{") {
				t.Fatal(got)
			}
			must(t, os.RemoveAll(filepath.Join(root, "sys/fs/cgroup", h, container)))
			equal(t, figures(gather(t, c)), "container_scrape_error 0")
		})
	}
	t.Run("between finding and reading", func(t *testing.T) {
		root := tree(t, v1)
		s := newSource(in(root))
		s.hierarchy, _ = findHierarchies(s.sysfs)
		s.find("", "", 0)
		s.identify(time.Now())
		must(t, os.RemoveAll(filepath.Join(root, "sys/fs/cgroup/memory/kubepods")))
		s.read(s.cgroups[0], time.Now())
		s.leave()
		s.readNetworks()
		if s.failed != nil || len(s.samples) != 0 {
			t.Error(s.failed, s.samples)
		}
		if err := s.Update(make(chan prometheus.Metric, 10)); err != nil || len(s.known) != 0 {
			t.Error("what is gone is not forgotten:", err, len(s.known))
		}
	})
}

// TestCountersAreTheKernels: one that wraps goes back, and one that is as large as can be does no harm.
func TestCountersAreTheKernels(t *testing.T) {
	root := tree(t, common+web+"-- "+pod1+"{a}/cpu.stat --\nusage_usec 4294967295\nuser_usec 18446744073709551615\n")
	c := New(in(root))
	labels := `{container="app",namespace="shop",pod="web-0"} `
	usage := `container_cpu_usage_seconds_total{container="app",cpu="total",namespace="shop",pod="web-0"} `
	names := []string{"container_cpu_usage_seconds_total", "container_cpu_user_seconds_total", "container_scrape_error"}
	user := "\ncontainer_cpu_user_seconds_total" + labels
	equal(t, figures(gather(t, c), names...), usage+"4294.967295"+user+"1.844674407370955e+13\ncontainer_scrape_error 0")
	must(t, os.WriteFile(filepath.Join(root, pod1, id("a"), "cpu.stat"), []byte("usage_usec 5\nuser_usec 18446744073709551616\n"), 0o644))
	equal(t, figures(gather(t, c), names...), usage+"5e-06\ncontainer_scrape_error 0")
}

// TestTwins: while a container or a pod is replaced by one of the same name, there is one of each: the younger one.
func TestTwins(t *testing.T) {
	root := tree(t, common+web+
		"-- var/log/containers/web-0_shop_app-{b}.log -> /x --\n-- var/log/containers/web-0_shop_other-{c}.log -> /x --\n"+
		"-- "+pod1+"{a}/pids.current --\n1\n-- "+pod1+"{a}/cgroup.procs --\n11\n-- "+pod2+"{b}/pids.current --\n2\n-- "+pod2+"{b}/cgroup.procs --\n12\n"+
		"-- "+pod1+"{c}/pids.current --\n3\n-- "+pod1+"{c}/cgroup.procs --\n11\n"+
		"-- proc/11/net/dev --\neth0: 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n-- proc/12/net/dev --\neth0: 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n")
	names := []string{"container_threads", "container_network_receive_bytes_total", "container_scrape_error"}
	for _, young := range []string{"2", "1"} {
		later := made.Add(time.Minute)
		for _, x := range []struct{ path, value string }{{pod1 + id("a"), "1"}, {pod2 + id("b"), "2"}} {
			at := made
			if x.value == young {
				at = later
			}
			must(t, os.Chtimes(filepath.Join(root, x.path), at, at))
		}
		equal(t, figures(gather(t, New(in(root))), names...),
			`container_network_receive_bytes_total{interface="eth0",namespace="shop",pod="web-0"} `+young+"\ncontainer_scrape_error 0\n"+
				`container_threads{container="app",namespace="shop",pod="web-0"} `+young+"\n"+
				`container_threads{container="other",namespace="shop",pod="web-0"} 3`)
	}
	o := in(root)
	o.ID = true
	if got := figures(gather(t, New(o)), "container_threads"); strings.Count(got, "\n") != 2 {
		t.Error("with ids both have series of their own:\n", got)
	}
}

// TestNamesComeLater: a container is shown when its link is there, and stays when the link goes.
func TestNamesComeLater(t *testing.T) {
	root := tree(t, common+"-- var/log/containers/ --\n-- "+pod1+"{a}/pids.current --\n1\n")
	c := New(in(root))
	show := func() string { return figures(gather(t, c), "container_threads", "container_scrape_error") }
	want := "container_scrape_error 0\n" + `container_threads{container="app",namespace="shop",pod="web-0"} 1`
	equal(t, show(), "container_scrape_error 0")
	link := filepath.Join(root, "var/log/containers/web-0_shop_app-"+id("a")+".log")
	must(t, os.Symlink("/x", link))
	equal(t, show(), want)
	must(t, os.Remove(link))
	equal(t, show(), want)
	must(t, os.RemoveAll(filepath.Join(root, pod1)))
	equal(t, show(), "container_scrape_error 0")
}

// TestFreshFolder: a change within one tick of the file system's clock is not missed.
func TestFreshFolder(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		age  time.Duration
		want bool
	}{{0, true}, {time.Second, true}, {time.Hour, false}, {-time.Hour, false}} {
		dir := t.TempDir()
		at := now.Add(-c.age)
		must(t, os.Chtimes(dir, at, at))
		l := listing{path: dir}
		_, first, _ := l.list(now)
		_, again, err := l.list(now)
		if !first || again != c.want || err != nil {
			t.Errorf("%v old: %v %v %v", c.age, first, again, err)
		}
	}
}

// TestStart: the oldest that is known, and the same for good, whatever becomes of the clock or of the folder's time.
func TestStart(t *testing.T) {
	root := tree(t, strings.Replace(common, "btime 10", "btime 946000000", 1)+web+
		"-- "+pod1+"{a}/cgroup.procs --\n5\n6\n7\n-- proc/6/stat --\n6 (x) S 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 50000 1\n-- proc/7/stat --\n")
	c := New(in(root))
	show := func(c *Collector) string { return figures(gather(t, c), "container_start_time_seconds") }
	labels := `container_start_time_seconds{container="app",namespace="shop",pod="web-0"} `
	equal(t, show(c), labels+"9.460005e+08")
	folder := filepath.Join(root, pod1, id("a"))
	future := time.Now().Add(time.Hour)
	must(t, os.Chtimes(folder, future, future))
	must(t, os.Remove(filepath.Join(root, "proc/6/stat")))
	equal(t, show(c), labels+"9.460005e+08")
	must(t, os.Chtimes(folder, time.Unix(7, 0), time.Unix(7, 0)))
	equal(t, show(New(in(root))), labels+"9.46e+08") // not before the machine's
}

// TestCountedTwice: where two parts of the kernel count the same, one is shown.
func TestCountedTwice(t *testing.T) {
	const path = "/kubepods/podaaaaaaaa/{a}/"
	root := tree(t, "-- proc/1/net/dev --\n"+web+
		"-- sys/fs/cgroup/cpuacct"+path+"cpuacct.usage --\n5000000000\n-- sys/fs/cgroup/unified"+path+"cpu.stat --\nusage_usec 7000000\n"+
		"-- sys/fs/cgroup/blkio"+path+"blkio.bfq.io_service_bytes_recursive --\n8:0 Read 1\n"+
		"-- sys/fs/cgroup/blkio"+path+"blkio.throttle.io_service_bytes_recursive --\n8:0 Read 2\n")
	equal(t, figures(gather(t, New(in(root))), "container_cpu_usage_seconds_total", "container_fs_reads_bytes_total", "container_scrape_error"),
		`container_cpu_usage_seconds_total{container="app",cpu="total",namespace="shop",pod="web-0"} 5
container_fs_reads_bytes_total{container="app",device="8:0",namespace="shop",pod="web-0"} 1
container_scrape_error 0`)
}

func TestMerge(t *testing.T) {
	var got string
	for _, l := range merge([]*dto.LabelPair{pair("b", ""), pair("d", "")}, []*dto.LabelPair{pair("a", ""), pair("c", ""), pair("e", "")}) {
		got += l.GetName()
	}
	equal(t, got, "abcde")
}
