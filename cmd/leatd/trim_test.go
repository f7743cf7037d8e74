package main

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"
)

func TestPace(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 1 << 20: 100, 3 << 20: 100, 6 << 20: 50, 12 << 20: 25, 1 << 30: 10} {
		if got := pace(live); got != want {
			t.Errorf("pace(%d MiB) = %d, want %d", live>>20, got, want)
		}
	}
}

func TestLiveHeap(t *testing.T) {
	kept := make([]byte, 32<<20)
	runtime.GC()
	if n := liveHeap(); n < 32<<20 || n > 128<<20 {
		t.Errorf("%d bytes live, %d were made", n, len(kept))
	}
	runtime.KeepAlive(kept)
}

// TestDropText: fewer pages of the program are resident, and it runs on.
func TestDropText(t *testing.T) {
	before := residentFile(t)
	if err := dropText("/proc/self/maps", "/proc/self/exe"); err != nil {
		t.Fatal(err)
	}
	if after := residentFile(t); after > before*3/4 {
		t.Errorf("%d KiB of files are resident, before it were %d", after, before)
	}
}

// residentFile is RssFile of /proc/self/status, KiB.
func residentFile(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("RssFile:"))
	n, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
