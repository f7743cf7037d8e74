package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// writeHeader says when, where and with what the figures were made.
func writeHeader(w io.Writer, b *bench, began time.Time) {
	fmt.Fprintf(w, "date      %s, %s\n", began.UTC().Format(time.RFC3339), plural(b.repeat, "run of each agent", "runs of each agent, median (least to greatest)"))
	fmt.Fprintf(w, "machine   %s\n", machine())
	fmt.Fprintf(w, "go        %s\n", runtime.Version())
	for _, c := range b.contenders {
		fmt.Fprintf(w, "agent     %s %s\n", c.Name, c.version)
	}
	for _, r := range b.remarks {
		fmt.Fprintf(w, "missing   %s\n", r)
	}
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", more)
}

// machine describes the computer: processor, memory, kernel, and how busy it was before.
func machine() string {
	find := func(path, pattern string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			return "unknown"
		}
		if m := regexp.MustCompile(pattern).FindSubmatch(text); m != nil {
			return string(m[1])
		}
		return "unknown"
	}
	var memory unix.Sysinfo_t
	if err := unix.Sysinfo(&memory); err != nil {
		memory.Unit = 0
	}
	return fmt.Sprintf("%d x %s, %.1f GiB, Linux %s %s, load average %s",
		runtime.NumCPU(), find("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`), gib(int64(memory.Totalram)*int64(memory.Unit)),
		find("/proc/sys/kernel/osrelease", `(\S+)`), runtime.GOARCH, find("/proc/loadavg", `^(\S+)`))
}
