package container

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// pretend is how the test's program is asked to be a container's process.
const pretend = "LEAT_TEST_CONTAINER"

// hog waits to be put into its cgroup, uses that many MiB of memory and some CPU, says so, and waits for its end.
func hog() {
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		os.Exit(1)
	}
	mib, _ := strconv.Atoi(os.Getenv(pretend))
	memory, err := unix.Mmap(-1, 0, mib<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // the race detector does not look there
	if err != nil {
		os.Exit(1)
	}
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
	}
	fmt.Println("ready")
	_, _ = in.ReadString('\n')
	os.Exit(int(memory[0]) - 1)
}

// A kernelCgroup is a container's cgroup in the kernel's own hierarchies.
type kernelCgroup struct {
	t       *testing.T
	h       hierarchies
	base    string // the folder that is made for the test
	path    string
	options Options
}

// newKernelCgroup makes it, in folders of its own beside all others.
func newKernelCgroup(t *testing.T) *kernelCgroup {
	t.Helper()
	h, err := findHierarchies("/sys")
	if err != nil || os.Getuid() != 0 {
		t.Skipf("SKIPPED: needs root and cgroups: %v", err)
	}
	k := &kernelCgroup{t: t, h: h, base: fmt.Sprintf("/leat-test-%d-%d", os.Getpid(), time.Now().UnixNano())}
	id := fmt.Sprintf("%08x%056x", os.Getpid(), time.Now().UnixNano()) // other runs of this test are seen, too: they have no link here
	k.path = k.base + "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/" + id
	k.make(k.path)
	root := tree(t, "-- var/log/containers/web-0_shop_app-"+id+".log -> /x --\n")
	k.options = in(root)
	k.options.ProcFS, k.options.SysFS = "/proc", "/sys"
	return k
}

// make makes a cgroup in all hierarchies; it is removed with all above it when the test is over.
func (k *kernelCgroup) make(path string) {
	for _, root := range k.h.roots {
		if root == "" {
			continue
		}
		if err := os.MkdirAll(root+path, 0o755); errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			k.t.Skipf("SKIPPED: no cgroup can be made: %v", err)
		} else {
			must(k.t, err)
		}
		k.t.Cleanup(func() {
			for p := path; p != "/"; p = filepath.Dir(p) {
				for deadline := time.Now().Add(5 * time.Second); ; { // a process that was waited for may still be in it
					err := unix.Rmdir(root + p)
					if err != unix.EBUSY || p == k.base {
						break
					}
					if time.Now().After(deadline) {
						k.t.Error("rmdir", root+p, err)
						break
					}
				}
			}
		})
		if k.h.v2 {
			for p := filepath.Dir(path); p != "/"; p = filepath.Dir(p) {
				_ = os.WriteFile(root+p+"/cgroup.subtree_control", []byte("+cpu +memory +io +pids"), 0)
			}
		}
	}
}

// start runs a process in the cgroup that uses memory, and a network namespace of its own.
func (k *kernelCgroup) start(mib int) (cmd *exec.Cmd, ready bool) {
	k.t.Helper()
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = []string{pretend + "=" + strconv.Itoa(mib)}
	in, err := cmd.StdinPipe()
	must(k.t, err)
	out, err := cmd.StdoutPipe()
	must(k.t, err)
	must(k.t, cmd.Start())
	k.t.Cleanup(func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for _, root := range k.h.roots {
		if root != "" {
			must(k.t, os.WriteFile(root+k.path+"/cgroup.procs", []byte(strconv.Itoa(cmd.Process.Pid)), 0))
		}
	}
	// Of two, the kernel takes the larger one.
	must(k.t, os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", cmd.Process.Pid), []byte(strconv.Itoa(min(1000, 5*mib))), 0))
	_, err = in.Write([]byte("\n"))
	must(k.t, err)
	line, _ := bufio.NewReader(out).ReadString('\n')
	return cmd, line == "ready\n"
}

func (k *kernelCgroup) set(in controller, file, value string) {
	k.t.Helper()
	must(k.t, os.WriteFile(k.h.roots[in]+k.path+"/"+file, []byte(value), 0))
}

// kernel reads a number: a whole file, or the value of a key in it.
func (k *kernelCgroup) kernel(in controller, file, key string) float64 {
	k.t.Helper()
	text, err := os.ReadFile(k.h.roots[in] + k.path + "/" + file)
	must(k.t, err)
	for _, f := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(f, key); ok && (key == "" || value[0] == ' ') {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			must(k.t, err)
			return n
		}
	}
	k.t.Fatalf("%s has no %s", file, key)
	return 0
}

// shown is the figure of one family.
func shown(t *testing.T, text, family string) float64 {
	t.Helper()
	got := figures(text, family)
	n, err := strconv.ParseFloat(got[strings.LastIndexByte(got, ' ')+1:], 64)
	if err != nil || strings.Contains(got, "\n") {
		t.Fatalf("%s: %q", family, got)
	}
	return n
}

// TestKernelV1: the figures are those in the kernel's own files, before or after the scrape or between.
func TestKernelV1(t *testing.T) {
	k := newKernelCgroup(t)
	for _, c := range []controller{memoryV1, cpuV1, cpuacctV1, pidsV1} {
		if k.h.roots[c] == "" {
			t.Skip("SKIPPED: this kernel's controllers are not those of cgroup v1")
		}
	}
	k.set(memoryV1, "memory.limit_in_bytes", strconv.Itoa(96<<20))
	k.set(cpuV1, "cpu.cfs_quota_us", "20000")
	k.set(cpuV1, "cpu.shares", "512")
	k.set(pidsV1, "pids.max", "100")
	if _, ready := k.start(20); !ready {
		t.Fatal("the process does not start")
	}
	victim, ready := k.start(200)
	if ready {
		t.Fatal("the kernel killed nobody")
	}
	_ = victim.Wait() // until then it counts as a process
	c := New(k.options)
	for _, f := range []struct {
		family    string
		in        controller
		file, key string
		unit      float64
		least     float64
	}{
		{"container_cpu_usage_seconds_total", cpuacctV1, "cpuacct.usage", "", 1e9, 0.01},
		{"container_cpu_user_seconds_total", cpuacctV1, "cpuacct.stat", "user", 100, 0.01},
		{"container_cpu_system_seconds_total", cpuacctV1, "cpuacct.stat", "system", 100, 0},
		{"container_cpu_cfs_periods_total", cpuV1, "cpu.stat", "nr_periods", 1, 1},
		{"container_cpu_cfs_throttled_periods_total", cpuV1, "cpu.stat", "nr_throttled", 1, 1},
		{"container_cpu_cfs_throttled_seconds_total", cpuV1, "cpu.stat", "throttled_time", 1e9, 1e-9},
		{"container_memory_usage_bytes", memoryV1, "memory.usage_in_bytes", "", 1, 20 << 20},
		{"container_memory_rss", memoryV1, "memory.stat", "total_rss", 1, 20 << 20},
		{"container_memory_cache", memoryV1, "memory.stat", "total_cache", 1, 0},
		{"container_memory_mapped_file", memoryV1, "memory.stat", "total_mapped_file", 1, 0},
		{"container_memory_max_usage_bytes", memoryV1, "memory.max_usage_in_bytes", "", 1, 90 << 20},
		{"container_memory_failcnt", memoryV1, "memory.failcnt", "", 1, 1},
		{"container_memory_kernel_usage", memoryV1, "memory.kmem.usage_in_bytes", "", 1, 1},
		{"container_oom_events_total", memoryV1, "memory.oom_control", "oom_kill", 1, 1},
		{"container_threads", pidsV1, "pids.current", "", 1, 2},
		{"container_threads_max", pidsV1, "pids.max", "", 1, 100},
		{"container_spec_cpu_quota", cpuV1, "cpu.cfs_quota_us", "", 1, 20000},
		{"container_spec_cpu_period", cpuV1, "cpu.cfs_period_us", "", 1, 100000},
		{"container_spec_cpu_shares", cpuV1, "cpu.shares", "", 1, 512},
		{"container_spec_memory_limit_bytes", memoryV1, "memory.limit_in_bytes", "", 1, 96 << 20},
	} {
		for deadline := time.Now().Add(5 * time.Second); ; {
			before := k.kernel(f.in, f.file, f.key) / f.unit
			text := gather(t, c)
			got := shown(t, text, f.family)
			after := k.kernel(f.in, f.file, f.key) / f.unit
			if got >= min(before, after) && got <= max(before, after) && got >= f.least {
				break
			}
			if time.Now().After(deadline) { // gauges may move to and fro
				t.Errorf("%s: %g, the kernel has %g and then %g; at least %g", f.family, got, before, after, f.least)
				break
			}
		}
	}
	text := gather(t, c)
	if n := shown(t, text, "container_processes"); n != 1 {
		t.Error(n, "processes")
	}
	if set := shown(t, text, "container_memory_working_set_bytes"); set < 20<<20 || set > 96<<20 {
		t.Error("working set", set)
	}
	if limit := shown(t, text, "container_spec_memory_reservation_limit_bytes"); limit != 0 {
		t.Error("no limit is", limit)
	}
	if age := float64(time.Now().Unix()) - shown(t, text, "container_start_time_seconds"); age < -2 || age > 60 {
		t.Error("started", age, "seconds ago")
	}
	if net := figures(text, "container_network_receive_bytes_total"); net != "" {
		t.Error("the host's network is shown as the pod's:", net)
	}
	if k.h.roots[unified] != "" {
		some, _, ok, _ := pressure(read(t, k.h.roots[unified]+k.path+"/cpu.pressure"))
		if got := shown(t, text, "container_pressure_cpu_waiting_seconds_total"); ok && (got <= 0 || got > float64(some)/1e6) {
			t.Error("pressure", got, "the kernel has", some)
		}
	}
	equal(t, figures(text, "container_scrape_error"), "container_scrape_error 0")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return text
}

// TestKernelGone: the kernel answers ENODEV for files that were opened in time.
func TestKernelGone(t *testing.T) {
	k := newKernelCgroup(t)
	s := newSource(k.options)
	s.hierarchy = k.h
	s.find(k.base, "", 1)
	s.identify(time.Now())
	if len(s.cgroups) != 1 || !s.enter(s.cgroups[0], s.hierarchy.walk) {
		t.Fatal("not found:", s.cgroups)
	}
	fd, err := open(s.folder, "cgroup.procs", 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Rmdir(k.h.roots[k.h.walk]+k.path))
	if _, _, err := slurp(fd, nil); !errors.Is(err, unix.ENODEV) || !missing(err) {
		t.Error("a removed cgroup answers", err)
	}
	s.read(s.cgroups[0], time.Now())
	s.leave()
	if len(s.samples) != 0 || s.failed != nil {
		t.Error(len(s.samples), s.failed)
	}
}

// TestKernelStorm: containers come and go all the time, and no scrape has an error or half a container.
func TestKernelStorm(t *testing.T) {
	k := newKernelCgroup(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, root := range k.h.roots {
				if root != "" {
					_ = unix.Rmdir(root + k.path)
				}
			}
			for _, root := range k.h.roots {
				if root != "" {
					_ = unix.Mkdir(root+k.path, 0o755)
				}
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	c, whole := New(k.options), 0
	for n := 0; n < 200 || whole == 0 && n < 5000; n++ {
		text := gather(t, c)
		if got := figures(text, "container_scrape_error"); got != "container_scrape_error 0" {
			t.Fatal(got)
		}
		if strings.Contains(text, "container_threads{") {
			whole++
		}
	}
	if whole == 0 {
		t.Error("no container was ever seen")
	}
}

// cpu reports the CPU time of an operation: on a busy machine the time on the clock says nothing.
func cpu(b *testing.B) (report func()) {
	used := func() int64 {
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N)/1e6, "cpu-ms/op") }
}

// BenchmarkKernel: 100 containers in 50 pods of this kernel, against just opening, reading and closing the same files.
func BenchmarkKernel(b *testing.B) {
	h, err := findHierarchies("/sys")
	if err != nil || os.Getuid() != 0 {
		b.Skipf("SKIPPED: needs root and cgroups: %v", err)
	}
	base := fmt.Sprintf("/leat-bench-%d", os.Getpid())
	var all []string
	links := b.TempDir()
	dir := filepath.Join(links, "containers")
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for pod := range 50 {
		for n, name := range []string{"app", "sidecar", ""} {
			id := fmt.Sprintf("%064x", pod*10+n)
			all = append(all, fmt.Sprintf("%s/kubepods/pod11111111-2222-3333-4444-%012d/%s", base, pod, id))
			if name != "" {
				if err := os.Symlink("/x", fmt.Sprintf("%s/web-%d_shop_%s-%s.log", dir, pod, name, id)); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for _, root := range h.roots {
		if root == "" {
			continue
		}
		for _, path := range all {
			if err := os.MkdirAll(root+path, 0o755); err != nil {
				b.Skipf("SKIPPED: no cgroup can be made: %v", err)
			}
		}
		b.Cleanup(func() {
			for _, path := range all {
				_ = unix.Rmdir(root + path)
				_ = unix.Rmdir(root + filepath.Dir(path))
			}
			_ = unix.Rmdir(root + base + "/kubepods")
			_ = unix.Rmdir(root + base)
		})
	}
	o := in("/")
	o.Pods = filepath.Join(links, "pods")
	b.Run("update", func(b *testing.B) {
		s := newSource(o)
		ch := make(chan prometheus.Metric, 1<<16)
		b.ReportAllocs()
		defer cpu(b)()
		for b.Loop() {
			if err := s.Update(ch); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(ch)), "series")
			for len(ch) > 0 {
				<-ch
			}
		}
	})
	b.Run("find", func(b *testing.B) {
		s := newSource(o)
		s.hierarchy = h
		b.ReportAllocs()
		defer cpu(b)()
		for b.Loop() {
			s.cgroups = s.cgroups[:0]
			s.find("", "", 0)
		}
	})
	b.Run("bare", func(b *testing.B) {
		buf := make([]byte, 64<<10)
		b.ReportAllocs()
		defer cpu(b)()
		for b.Loop() {
			for i, path := range all {
				if i%3 == 2 {
					continue
				}
				for c, files := range map[controller][]string{
					memoryV1:  {"memory.usage_in_bytes", "memory.stat", "memory.max_usage_in_bytes", "memory.kmem.usage_in_bytes", "memory.failcnt", "memory.oom_control", "memory.limit_in_bytes", "memory.soft_limit_in_bytes", "cgroup.procs"},
					cpuacctV1: {"cpuacct.usage", "cpuacct.stat"}, cpuV1: {"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"},
					unified: {"cpu.pressure", "memory.pressure", "io.pressure"}, pidsV1: {"pids.current", "pids.max"},
					blkioV1: {"blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive"},
				} {
					for _, f := range files {
						if fd, err := unix.Open(h.roots[c]+path+"/"+f, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
							_, _ = unix.Read(fd, buf)
							unix.Close(fd)
						}
					}
				}
			}
		}
	})
	b.Run("gather", func(b *testing.B) {
		r := prometheus.NewRegistry()
		r.MustRegister(New(o))
		b.ReportAllocs()
		defer cpu(b)()
		for b.Loop() {
			if _, err := r.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
