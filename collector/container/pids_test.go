package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestPrivatePIDs: in a PID namespace of its own leatd leaves out what it can't know, under both versions of cgroups, and
// that is no error.
func TestPrivatePIDs(t *testing.T) {
	const pids = "container_processes{container=\"app\",namespace=\"shop\",pod=\"web-0\"} "
	const net = "-- proc/11/net/dev --\n eth0: 11 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
	v1 := "-- sys/fs/cgroup/memory/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/{a}/cgroup.procs --\n"
	v2 := "-- " + pod1 + "{a}/cgroup.procs --\n"
	base := "-- proc/1/net/dev --\n-- proc/stat --\nbtime 10\n" + web + net
	for _, c := range []struct{ name, files, self, want string }{
		{"v1", base + v1, "4711", ""},
		{"v2", common + web + net + v2 + "0\n0\n", "4711", pids + "2\n"},
		{"v1, the host's", base + v1 + "11\n", strconv.Itoa(os.Getpid()), "network\n" + pids + "1\n"},
		{"v2, the host's", common + web + net + v2 + "11\n", strconv.Itoa(os.Getpid()), "network\n" + pids + "1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.files+"-- proc/self -> "+c.self+" --\n")
			got := figures(gather(t, New(in(root))), "container_processes", "container_network_receive_bytes_total", "container_scrape_error")
			var b strings.Builder
			for l := range strings.Lines(got) {
				if strings.HasPrefix(l, "container_network") {
					l = "network\n"
				}
				b.WriteString(l)
			}
			want, lines := strings.Split(c.want+"container_scrape_error 0", "\n"), strings.Split(b.String(), "\n")
			slices.Sort(want)
			if slices.Sort(lines); !slices.Equal(lines, want) {
				t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
		})
	}
}

// TestPrivatePIDsOfTheKernel asks the real /proc, from this namespace and from one below.
func TestPrivatePIDsOfTheKernel(t *testing.T) {
	if os.Getenv("LEAT_TEST_PRIVATE_PIDS") != "" {
		if !PrivatePIDs("/proc") {
			t.Error("it does not see that it is in a namespace of its own")
		}
		return
	}
	if PrivatePIDs("/proc") || PrivatePIDs("") || PrivatePIDs(filepath.Join(t.TempDir(), "none")) {
		t.Error("it takes its own namespace for another one")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPrivatePIDsOfTheKernel$")
	cmd.Env = append(os.Environ(), "LEAT_TEST_PRIVATE_PIDS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: a namespace of processes needs root")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
