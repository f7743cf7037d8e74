package node

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOnce: a complaint is heard once an hour for each thing that it is about, ten of one message at the most, and what is
// below a warning never.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		h := newOnce(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		cpu, disk := slog.New(h).With("collector", "cpu"), slog.New(h).With("collector", "disk")
		lines := func(want int) {
			t.Helper()
			if got := strings.Count(out.String(), "\n"); got != want {
				t.Errorf("%d lines, want %d:\n%s", got, want, &out)
			}
			out.Reset()
		}
		for range 5 {
			cpu.Info("parsed a flag")
			cpu.Error("cannot read", "file", "a")
			cpu.Error("cannot read", "file", "b")
			disk.Warn("cannot read", "file", "a")
			disk.WithGroup("x").Warn("cannot read", "file", "a")
		}
		lines(4)
		for i := range 3 * mostAlike {
			cpu.Error("strange value", "value", i)
		}
		lines(mostAlike)
		time.Sleep(sayAgain - 1)
		cpu.Error("cannot read", "file", "a")
		lines(0)
		time.Sleep(time.Nanosecond)
		cpu.Error("cannot read", "file", "a")
		cpu.Error("cannot read", "file", "a")
		lines(1)
		cpu.Error("worse than that")
		if strings.Contains(out.String(), "ERROR") {
			t.Errorf("the log is %s", &out)
		}
		for i := range 3 * mostKinds {
			disk.Error(fmt.Sprint("message ", i))
		}
		if n := len(h.book.said); n > mostKinds {
			t.Errorf("%d messages are remembered", n)
		}
	})
}
