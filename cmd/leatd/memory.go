package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/leatd/leat/cmd/leatd/config"
)

const (
	// memoryBeside is what a process has resident beside what Go's limit counts: its code, and pages not yet given back.
	memoryBeside = 16 << 20
	// memoryLeast is what leatd works with at the least, the same as the configuration asks for.
	memoryLeast = 32 << 20
)

// tune sets how much memory the Go runtime may use.
func (a *agent) tune() {
	limit, why := memoryLimit(a.cfg, "/")
	a.log.Info("memory", "limit", humanBytes(limit), "because_of", why)
	debug.SetMemoryLimit(limit)
	a.cfg.MemoryLimit = config.Size(limit)
}

// memoryLimit is what leatd's memory is held to, and why. The owner's word goes first: memory_limit, then GOMEMLIMIT.
// Without either it is the default, or less where the cgroup gives less; root is where /proc is.
func memoryLimit(cfg *config.Config, root string) (bytes int64, why string) {
	if cfg.MemoryGiven() {
		return int64(cfg.MemoryLimit), "memory_limit"
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		if set := debug.SetMemoryLimit(-1); set != math.MaxInt64 { // "off" is not set
			return max(set, memoryLeast), "GOMEMLIMIT"
		}
	}
	limit, file := cgroupLimit(root)
	if file == "" || limit-memoryBeside >= int64(cfg.MemoryLimit) {
		return int64(cfg.MemoryLimit), "the default"
	}
	why = fmt.Sprintf("the cgroup gives %s (%s)", humanBytes(limit), file)
	if limit < memoryLeast+memoryBeside {
		why += fmt.Sprintf(", which may not be enough: give it %s", humanBytes(memoryLeast+memoryBeside))
	}
	return max(limit-memoryBeside, memoryLeast), why
}

// cgroupLimit is the least limit of memory that this process's cgroup has, or one above it, in version 1 or 2; file says
// where it stands and is empty if there is none.
func cgroupLimit(root string) (least int64, file string) {
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0, ""
	}
	mounts, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return 0, ""
	}
	for line := range strings.Lines(string(groups)) { // HIERARCHY:CONTROLLERS:PATH
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) < 3 {
			continue
		}
		kind, name := "cgroup2", "memory.max"
		if f[0] != "0" {
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
			kind, name = "cgroup", "memory.limit_in_bytes"
		}
		point, below := mountOf(string(mounts), kind, f[2])
		if point == "" {
			continue
		}
		for dir := below; ; dir = filepath.Dir(dir) {
			path := filepath.Join(point, dir, name)
			text, err := os.ReadFile(filepath.Join(root, path))
			// "max" is no number; version 1 says a number beyond any machine instead.
			if n, errNumber := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && errNumber == nil && n > 0 && n < 1<<62 {
				if file == "" || n < least {
					least, file = n, path
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	return least, file
}

// mountOf finds where a hierarchy is mounted, and where in it the group lies. In a container what is mounted may be the
// container's own part of the hierarchy alone, and the group's path that of the host.
func mountOf(mounts, kind, group string) (point, below string) {
	for line := range strings.Lines(mounts) {
		// ID PARENT DEVICE ROOT POINT OPTIONS [FIELDS…] - TYPE SOURCE OPTIONS
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		if !ok || len(b) < 5 || len(a) < 3 || a[0] != kind {
			continue
		}
		if kind == "cgroup" && !strings.Contains(","+a[2]+",", ",memory,") {
			continue
		}
		mounted := unescape(b[3])
		rest, inside := strings.CutPrefix(group, strings.TrimSuffix(mounted, "/"))
		if !inside || rest != "" && rest[0] != '/' {
			rest = "" // a namespace of cgroups: what we see is our own
		}
		return unescape(b[4]), filepath.Clean("/" + rest)
	}
	return "", ""
}

// unescape undoes what mountinfo does to blanks.
var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func unescape(s string) string { return mountEscapes.Replace(s) }
