package node

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatd/leat/collector/node/flags"
)

// TestDefaults: what every machine has is there, nothing is said in the log about what this one has not, and a gathering
// leaves nothing behind.
func TestDefaults(t *testing.T) {
	t.Parallel()
	c := start(t, setup{})
	first := c.gather(order{})
	var last gathered
	for range 5 {
		last = c.gather(order{})
	}
	for _, name := range []string{"node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "node_uname_info", "node_exporter_build_info", "node_boot_time_seconds"} {
		if first.families[name] == nil || last.families[name] == nil {
			t.Errorf("there is no %s", name)
		}
	}
	if n := len(first.byCollector("node_scrape_collector_success")); n < 30 {
		t.Errorf("%d collectors", n)
	}
	if first.Goroutines+last.Goroutines > 0 {
		t.Errorf("%d goroutines after the first gathering, %d after the sixth", first.Goroutines, last.Goroutines)
	}
	for line := range strings.Lines(c.said()) {
		if !strings.Contains(line, "/run/udev/data") { // it is not there in a container
			t.Errorf("the log says %s", line)
		}
	}
}

// TestHang: a collector that really hangs in a system call, in opening a pipe, costs the first gathering the timeout and the
// later ones nothing. All others show the same as before, and so does this one when it is back.
func TestHang(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "a.prom")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	const timeout = 3 * time.Second // a busy machine takes long, too
	c := start(t, setup{Options: Options{Timeout: timeout, Flags: map[string][]string{"collector.textfile.directory": {dir}}}})
	without := c.gather(order{Exclude: []string{"textfile"}})

	first := c.gather(order{Hang: 1})
	if first.Took < timeout {
		t.Errorf("the first took %s", first.Took)
	}
	var last gathered
	for range 10 {
		last = c.gather(order{Hang: 1})
		if last.Took >= timeout {
			t.Errorf("a later one took %s", last.Took)
		}
	}
	if first.Goroutines != 1 || last.Goroutines != 1 {
		t.Errorf("%d goroutines after the first gathering, %d after the last, want 1", first.Goroutines, last.Goroutines)
	}
	if d := first.byCollector("node_scrape_collector_duration_seconds")["textfile"]; d < timeout.Seconds() || d > 10 {
		t.Errorf("its duration is %v s", d)
	}
	wantFailed := append(without.failed(), "textfile")
	slices.Sort(wantFailed)
	for _, g := range []gathered{first, last} {
		if got := g.failed(); !slices.Equal(got, wantFailed) {
			t.Errorf("these failed: %q, want %q", got, wantFailed)
		}
		for name := range without.families {
			if g.families[name] == nil {
				t.Errorf("%s is missing", name)
			}
		}
	}
	if r := c.order(order{Collect: []string{"textfile"}, Hang: 1}); r.Err != "" || r.Took >= timeout || strings.Contains(r.Text, "node_textfile") {
		t.Errorf("collect[]=textfile: %+v", r)
	}
	if n := strings.Count(c.said(), "a collector hangs"); n != 1 {
		t.Errorf("it is said %d times", n)
	}

	f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = os.WriteFile(pipe+".new", []byte("mine 2\n"), 0o600)
	err = errors.Join(err, os.Rename(pipe+".new", pipe))
	_, writeErr := f.WriteString("mine 1\n")
	if err = errors.Join(err, writeErr, f.Close()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		g := c.gather(order{Hang: 1})
		if got := g.failed(); slices.Equal(got, without.failed()) {
			g.has(t, "mine 2")
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not recover")
		}
	}
	if said := c.said(); strings.Count(said, "a collector works again") != 1 || strings.Count(said, "a collector hangs") != 1 {
		t.Errorf("the log says %s", said)
	}
}

// TestPanic: a panic costs the others nothing.
func TestPanic(t *testing.T) {
	t.Parallel()
	c := start(t, setup{Options: Options{Flags: only("uname", "loadavg")}, Panics: "uname"})
	for range 3 {
		g := c.gather(order{})
		g.has(t, `node_scrape_collector_success{collector="uname"} 0`, `node_scrape_collector_success{collector="loadavg"} 1`)
		if g.families["node_load1"] == nil || g.families["node_uname_info"] != nil {
			t.Errorf("it shows\n%s", g.Text)
		}
	}
	if said := c.said(); strings.Count(said, "on purpose") != 1 || !strings.Contains(said, "panicking.Update") {
		t.Errorf("the log says %s", said)
	}
}

// TestUnreadable: without a usable /sys or /proc the others show what they have, and gathering does not fail.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	empty, closed := t.TempDir(), filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0); err != nil {
		t.Fatal(err)
	}
	uid := 0
	if os.Getuid() == 0 {
		uid = 65534 // root reads everything
	}
	for name, s := range map[string]setup{
		"empty sys":  {Options: Options{SysFS: empty}},
		"closed sys": {Options: Options{SysFS: closed}, UID: uid},
		"no udev":    {Options: Options{UdevData: filepath.Join(empty, "none")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, s)
			first := c.gather(order{})
			first.has(t, `node_scrape_collector_success{collector="meminfo"} 1`, `node_scrape_collector_success{collector="stat"} 1`)
			if first.families["node_context_switches_total"] == nil || first.families["node_load1"] == nil {
				t.Error("what needs only /proc is missing")
			}
			said := c.said()
			if second := c.gather(order{}); !slices.Equal(second.failed(), first.failed()) {
				t.Errorf("these failed first: %q, then: %q", first.failed(), second.failed())
			}
			if c.said() != said {
				t.Errorf("the second gathering said %s", strings.TrimPrefix(c.said(), said))
			}
		})
	}
}

// TestMountedLater: a collector that cannot be made without /sys is made when /sys is there.
func TestMountedLater(t *testing.T) {
	t.Parallel()
	sys := filepath.Join(t.TempDir(), "sys")
	c := start(t, setup{Options: Options{SysFS: sys, Flags: only("dmi", "uname")}})
	c.gather(order{}).has(t, `node_scrape_collector_success{collector="dmi"} 0`, `node_scrape_collector_success{collector="uname"} 1`)
	dmi := filepath.Join(sys, "class/dmi/id")
	err := errors.Join(os.MkdirAll(dmi, 0o755), os.WriteFile(filepath.Join(dmi, "board_name"), []byte("mill\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	c.gather(order{}).has(t, `node_scrape_collector_success{collector="dmi"} 1`, `node_dmi_info{board_name="mill"} 1`)
}

// TestMistakes: a flag that a collector does not take stops leatd at its start, and says which.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		collector string
		given     flags.Values
		err       string
	}{
		{"netclass", flags.Values{"collector.netclass.ignored-devices": {"("}}, "node: collector netclass: regexp: Compile(`(`): error parsing regexp: missing closing ): `(`: " +
			"correct its flags, or turn it off with --no-collector.netclass"},
		{"diskstats", flags.Values{"collector.diskstats.device-exclude": {"a"}, "collector.diskstats.device-include": {"b"}},
			"node: collector diskstats: failed to parse device filter flags: device-exclude & device-include are mutually exclusive: correct its flags, or turn it off with --no-collector.diskstats"},
		{"uname", flags.Values{"collector.nosuch": {"true"}}, "node: node_exporter's flags: there is no --collector.nosuch"},
	} {
		v := only(tt.collector)
		maps.Copy(v, tt.given)
		_, err := New(Options{Flags: v, Timeout: time.Second, Log: slog.New(slog.DiscardHandler)})
		if err == nil || err.Error() != tt.err {
			t.Errorf("%v: %v\nwant %s", tt.given, err, tt.err)
		}
	}
}

// TestCountersThatGoBack: 32-bit counters of a driver wrap, and so do those of an interface that was made anew. They are
// passed on as they are; rate() knows what to do.
func TestCountersThatGoBack(t *testing.T) {
	t.Parallel()
	proc := t.TempDir()
	if err := os.MkdirAll(filepath.Join(proc, "net"), 0o755); err != nil {
		t.Fatal(err)
	}
	v := only("netdev")
	v["collector.netdev.netlink"] = []string{"false"}
	c := start(t, setup{Options: Options{ProcFS: proc, Flags: v}})
	for _, n := range []struct{ in, shown string }{{"4294967290", "4.29496729e+09"}, {"5", "5"}, {"18446744073709551615", "1.8446744073709552e+19"}, {"0", "0"}} {
		text := "Inter-|   Receive                                                |  Transmit\n" +
			" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n" +
			"  eth0: " + n.in + " 7 0 0 0 0 0 0 " + n.in + " 9 0 0 0 0 0 0\n"
		if err := os.WriteFile(filepath.Join(proc, "net", "dev"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.gather(order{}).has(t, `node_network_receive_bytes_total{device="eth0"} `+n.shown, `node_network_transmit_bytes_total{device="eth0"} `+n.shown,
			`node_scrape_collector_success{collector="netdev"} 1`)
	}
}

// TestFailsAndComplains: a collector that fails, and one that complains about a file, are heard once and not at each scrape.
func TestFailsAndComplains(t *testing.T) {
	t.Parallel()
	texts, proc := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(texts, "bad.prom"), []byte("no metric at all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := only("textfile", "loadavg", "nfs")
	v["collector.textfile.directory"] = []string{texts}
	c := start(t, setup{Options: Options{ProcFS: proc, Flags: v}})
	for range 4 {
		g := c.gather(order{})
		g.has(t, "node_textfile_scrape_error 1")
		if got := g.failed(); !slices.Equal(got, []string{"loadavg", "nfs"}) { // nfs has no data, which is not worth a word
			t.Errorf("these failed: %q", got)
		}
	}
	if err := os.WriteFile(filepath.Join(proc, "loadavg"), []byte("0.5 0.25 0.125 1/100 42\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.gather(order{}).has(t, "node_load1 0.5")
	}
	lines := strings.Split(strings.TrimSpace(c.said()), "\n")
	if len(lines) != 3 {
		t.Fatalf("the log says\n%s", c.said())
	}
	for _, part := range []string{`failed to collect textfile data`, `msg="a collector fails: what it shows may be missing in the metrics" collector=loadavg`,
		`level=INFO msg="a collector works again" collector=loadavg failed_calls=4`} {
		if !strings.Contains(c.said(), part) {
			t.Errorf("the log lacks %q:\n%s", part, c.said())
		}
	}
}

// TestOnly: collect[] and exclude[] choose as in node_exporter.
func TestOnly(t *testing.T) {
	t.Parallel()
	c := start(t, setup{Options: Options{Flags: only("uname", "loadavg", "time")}})
	for _, tt := range []struct {
		order
		want []string
		err  string
	}{
		{order{}, []string{"loadavg", "time", "uname"}, ""},
		{order{Collect: []string{"uname"}}, []string{"uname"}, ""},
		{order{Collect: []string{"uname", "time", "uname"}}, []string{"time", "uname"}, ""},
		{order{Exclude: []string{"uname", "nosuch"}}, []string{"loadavg", "time"}, ""},
		{order{Exclude: []string{"uname", "loadavg", "time"}}, nil, ""},
		{order{Collect: []string{"uname", "nosuch"}}, nil, `collect[]: there is no collector "nosuch", or it is turned off: these are on: loadavg, time, uname`},
		{order{Collect: []string{"cpu"}}, nil, `collect[]: there is no collector "cpu", or it is turned off: these are on: loadavg, time, uname`},
		{order{Collect: []string{"uname"}, Exclude: []string{"time"}}, nil, "collect[] and exclude[] cannot be combined: use one of them"},
	} {
		if tt.err != "" {
			if r := c.order(tt.order); r.Err != tt.err {
				t.Errorf("%v: %q, want %q", tt.order, r.Err, tt.err)
			}
			continue
		}
		g := c.gather(tt.order)
		var got []string
		for name := range g.byCollector("node_scrape_collector_success") {
			got = append(got, name)
		}
		if slices.Sort(got); !slices.Equal(got, tt.want) || g.families["node_exporter_build_info"] == nil {
			t.Errorf("%v: %q, want %q", tt.order, got, tt.want)
		}
		if shows := g.families["node_uname_info"] != nil; shows != slices.Contains(tt.want, "uname") {
			t.Errorf("%v: node_uname_info is there: %v", tt.order, shows)
		}
	}
}
