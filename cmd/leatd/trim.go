package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settledAfter is when the start is over: discovery has seen the node, what it allocated on the way is garbage.
	settledAfter = 10 * time.Second
	// paceEvery is how often the collector's pace follows the heap.
	paceEvery = time.Minute
	// heapRoom is how far the heap may grow between two collections where it is large. It holds little garbage: a line
	// allocates nothing, a scrape a megabyte or two.
	heapRoom = 3 << 20
	// paceLeast is the least GOGC, in percent.
	paceLeast = 10
)

// trim gives back what only the start needed, and from then on holds the heap of a node with many files to heapRoom of
// garbage, where Go would let it double. The environment's GOGC goes first.
func (a *agent) trim(done <-chan struct{}) {
	timer := time.NewTimer(settledAfter)
	defer timer.Stop()
	for first := true; ; first = false {
		select {
		case <-timer.C:
		case <-done:
			return
		}
		if first {
			debug.FreeOSMemory()
			if err := dropText("/proc/self/maps", "/proc/self/exe"); err != nil {
				a.log.Debug("memory: the program's pages stay resident", "error", err)
			}
		}
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(pace(liveHeap()))
		}
		timer.Reset(paceEvery)
	}
}

// pace is the GOGC that leaves so many live bytes heapRoom to grow, and never more than Go's default.
func pace(live uint64) int {
	return int(min(100, max(paceLeast, heapRoom*100/max(live, 1))))
}

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// dropText tells the kernel that the program's code and constants may leave this process: what runs on comes back from
// the page cache a page at a time, and the many collectors' set-up code does not. Only mappings that cannot be
// written to are meant (madvise(2), MADV_DONTNEED on a file's pages).
func dropText(maps, exe string) error {
	program, err := os.Readlink(exe)
	if err != nil {
		return err
	}
	f, err := os.Open(maps)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// FROM-TO PERMISSIONS OFFSET DEVICE INODE PATH, proc_pid_maps(5)
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 || fields[5] != program || strings.ContainsRune(fields[1], 'w') {
			continue
		}
		var from, to uintptr
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &from, &to); err != nil {
			return fmt.Errorf("%s: %w", maps, err)
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return lines.Err()
}
