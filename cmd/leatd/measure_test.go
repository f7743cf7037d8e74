package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/benchmarks"
)

// loadFlags are what leatd is run with under load: its most talkative level.
var loadFlags = []string{"--log.level", "debug"}

var errNoPeak = errors.New("no VmHWM in the status of a process")

// peakMemory is the most memory that a process ever had resident.
func peakMemory(pid int) (bytes int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, errNoPeak
}

// bareLoopVar holds a pattern of files when this test binary is started to put them through benchmarks.BareLoop.
const bareLoopVar = "LEAT_TEST_BARE_LOOP"

// bareLoopProcess is that process. It prints how many lines there were.
func bareLoopProcess() int {
	files, err := filepath.Glob(os.Getenv(bareLoopVar))
	if err != nil || len(files) == 0 {
		fmt.Fprintln(os.Stderr, "no files", err)
		return 1
	}
	var total int64
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		info, err := f.Stat()
		if err == nil {
			var lines int64
			_, lines, err = benchmarks.BareLoop(f, info.Size())
			total += lines
		}
		if err = errors.Join(err, f.Close()); err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			return 1
		}
	}
	fmt.Println(total)
	return 0
}

// bareLoop is the CPU that the least possible work on the corpus costs a process of its own.
func (c *corpus) bareLoop(t *testing.T) time.Duration {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{bareLoopVar + "=" + filepath.Join(c.pods, "*", "*", "*.log")}
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(text)); got != fmt.Sprint(c.total) {
		t.Fatalf("the bare loop met %s lines, want %d", got, c.total)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
