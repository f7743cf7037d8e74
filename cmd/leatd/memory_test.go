package main

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/leatd/leat/cmd/leatd/config"
)

const (
	unified  = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	version1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n" +
		"33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
		"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)

// TestCgroupLimit lays out what the kernel shows on a host and in containers.
func TestCgroupLimit(t *testing.T) {
	for name, c := range map[string]struct {
		groups, mounts string
		files          map[string]string
		limit          int64
		file           string
	}{
		"v2 on a host": {
			"0::/system.slice/leatd.service\n", unified,
			map[string]string{"/sys/fs/cgroup/system.slice/leatd.service/memory.max": "50331648\n", "/sys/fs/cgroup/system.slice/memory.max": "max\n"},
			48 << 20, "/sys/fs/cgroup/system.slice/leatd.service/memory.max",
		},
		"v2, the pod has less than the container": {
			"0::/kubepods/pod1/c\n", unified,
			map[string]string{"/sys/fs/cgroup/kubepods/pod1/c/memory.max": "max\n", "/sys/fs/cgroup/kubepods/pod1/memory.max": "67108864\n", "/sys/fs/cgroup/kubepods/memory.max": "99999999999\n"},
			64 << 20, "/sys/fs/cgroup/kubepods/pod1/memory.max",
		},
		"v2 in a container with a namespace of its own": {
			"0::/\n", unified, map[string]string{"/sys/fs/cgroup/memory.max": "67108864\n"}, 64 << 20, "/sys/fs/cgroup/memory.max",
		},
		"v2 in a container, the path seen from outside": {
			"0::/../../kubepods/pod1/c\n", unified, map[string]string{"/sys/fs/cgroup/memory.max": "67108864\n"}, 64 << 20, "/sys/fs/cgroup/memory.max",
		},
		"v2 without a limit": {"0::/a\n", unified, map[string]string{"/sys/fs/cgroup/a/memory.max": "max\n"}, 0, ""},
		"v1 on a host": {
			"9:name=systemd:/\n4:memory:/a/b\n1:cpu:/a\n0::/\n", version1,
			map[string]string{"/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n", "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "41943040\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
			40 << 20, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
		},
		"v1 in a container": {
			"4:cpu,memory:/kubepods/burstable/pod1/c\n", "35 31 0:32 /kubepods/burstable/pod1/c /sys/fs/cgroup/memory ro - cgroup cgroup rw,cpu,memory\n",
			map[string]string{"/sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n"}, 64 << 20, "/sys/fs/cgroup/memory/memory.limit_in_bytes",
		},
		"a mount point with a blank": {
			"0::/a\n", `30 24 0:26 / /sys/fs/c\040group rw - cgroup2 cgroup2 rw` + "\n", map[string]string{"/sys/fs/c group/a/memory.max": "1048576"}, 1 << 20, "/sys/fs/c group/a/memory.max",
		},
		"no such folder": {"0::/gone\n", unified, nil, 0, ""},
		"garbage":        {"\n0:\n::\nx\n0::relative\n", " - \n- cgroup2\n1 2 3 4 - cgroup2 a b\n", nil, 0, ""},
		"nothing":        {"", "", nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := cgroupTree(t, c.groups, c.mounts, c.files)
			if limit, file := cgroupLimit(root); limit != c.limit || file != c.file {
				t.Errorf("%d in %q, want %d in %q", limit, file, c.limit, c.file)
			}
		})
	}
	if limit, file := cgroupLimit(t.TempDir()); limit != 0 || file != "" {
		t.Errorf("without a /proc: %d in %q", limit, file)
	}
}

func cgroupTree(t testing.TB, groups, mounts string, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	all := map[string]string{"/proc/self/cgroup": groups, "/proc/self/mountinfo": mounts}
	for path, text := range files {
		all[path] = text
	}
	for path, text := range all {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestMemoryLimit: the owner's word goes first; without it leatd takes what the cgroup leaves it, within bounds.
func TestMemoryLimit(t *testing.T) {
	const file = "(/sys/fs/cgroup/memory.max)"
	for name, c := range map[string]struct {
		config, env, max string
		limit            int64
		why              string
	}{
		"nothing said":          {"", "", "max", 64 << 20, "the default"},
		"room for the default":  {"", "", "83886080", 64 << 20, "the default"},
		"less":                  {"", "", "83886079", 64<<20 - 1, "the cgroup gives 80.0 MiB " + file},
		"a small pod":           {"", "", "67108864", 48 << 20, "the cgroup gives 64.0 MiB " + file},
		"hardly any":            {"", "", "33554432", 32 << 20, "the cgroup gives 32.0 MiB " + file + ", which may not be enough: give it 48.0 MiB"},
		"the owner's":           {"memory_limit: 100MiB", "33554433", "33554432", 100 << 20, "memory_limit"},
		"the owner's default":   {"memory_limit: 64MiB", "", "33554432", 64 << 20, "memory_limit"},
		"an empty one":          {"memory_limit:", "", "67108864", 48 << 20, "the cgroup gives 64.0 MiB " + file},
		"of the environment":    {"", "set", "67108864", 40 << 20, "GOMEMLIMIT"},
		"too little of that":    {"", "little", "max", 32 << 20, "GOMEMLIMIT"},
		"switched off by that ": {"", "off", "67108864", 48 << 20, "the cgroup gives 64.0 MiB " + file},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", c.env)
			set, ok := map[string]int64{"set": 40 << 20, "little": 1 << 20}[c.env]
			if !ok {
				set = math.MaxInt64
			}
			before := debug.SetMemoryLimit(set) // as the runtime does it at the start
			t.Cleanup(func() { debug.SetMemoryLimit(before) })
			cfg, err := config.Load("leat.yaml", []byte(c.config), os.LookupEnv)
			if err != nil {
				t.Fatal(err)
			}
			root := cgroupTree(t, "0::/\n", unified, map[string]string{"/sys/fs/cgroup/memory.max": c.max})
			if limit, why := memoryLimit(cfg, root); limit != c.limit || why != c.why {
				t.Errorf("%d because of %s, want %d because of %s", limit, why, c.limit, c.why)
			}
		})
	}
}

// FuzzCgroupLimit: whatever stands in /proc, the limit is that of a file or none.
func FuzzCgroupLimit(f *testing.F) {
	f.Add("0::/a/b\n", unified)
	f.Add("4:memory:/a\n0::/../..\n", version1)
	f.Add("::\n4:memory\n", "a b c d e f - cgroup x memory\n - \n")
	f.Fuzz(func(t *testing.T, groups, mounts string) {
		for _, kind := range []string{"cgroup", "cgroup2"} {
			if point, below := mountOf(mounts, kind, groups); point != "" && !strings.HasPrefix(below, "/") {
				t.Errorf("%q lies at %q below %q", groups, below, point)
			}
		}
		root := cgroupTree(t, groups, mounts, nil)
		if limit, file := cgroupLimit(root); file != "" || limit != 0 {
			t.Errorf("there is no limit, and it says %d in %q", limit, file)
		}
	})
}
