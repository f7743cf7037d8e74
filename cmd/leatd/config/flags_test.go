package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/leatd/leat/collector/node/flags"
)

func defaultFlags(change func(f *Flags)) *Flags {
	f := &Flags{
		Command: "run", ListenAddresses: []string{":9110"}, LogLevel: "info", LogFormat: "logfmt",
		ProcFS: "/proc", SysFS: "/sys", RootFS: "/", UdevData: "/run/udev/data", ShutdownTimeout: 25 * time.Second,
	}
	if change != nil {
		change(f)
	}
	return f
}

func TestParseFlags(t *testing.T) {
	for _, tt := range []struct {
		args string
		env  map[string]string
		want func(f *Flags)
	}{
		{"", nil, nil},
		{"run", nil, nil},
		{"check --config.file=a.yaml --state b", nil, func(f *Flags) { f.Command, f.ConfigFile, f.State = "check", "a.yaml", "b" }},
		{"--config.file=a.yaml check", nil, func(f *Flags) { f.Command, f.ConfigFile = "check", "a.yaml" }},
		{"version", nil, func(f *Flags) { f.Command = "version" }},
		{"--version", nil, func(f *Flags) { f.Command = "version" }},
		{"--web.listen-address=:1 --web.listen-address=[::1]:2 --web.listen-address=vsock://:99999", map[string]string{"LEAT_WEB_LISTEN_ADDRESS": ":3"},
			func(f *Flags) { f.ListenAddresses = []string{":1", "[::1]:2", "vsock://:99999"} }},
		{"--log.level=warn --log.format=json --path.procfs=/host/proc --path.rootfs=/host --web.config.file=w --pprof --shutdown.timeout=1m", nil, func(f *Flags) {
			f.LogLevel, f.LogFormat, f.ProcFS, f.RootFS, f.WebConfigFile, f.Pprof, f.ShutdownTimeout = "warn", "json", "/host/proc", "/host", "w", true, time.Minute
		}},
		{"--path.sysfs=/host/sys --path.udev.data=/host/udev", nil, func(f *Flags) { f.SysFS, f.UdevData = "/host/sys", "/host/udev" }},
		{"check --no-collector.zfs --collector.ntp --collector.ntp.server-port=124 --collector.textfile.directory=/a --collector.textfile.directory=/b,c --collector.filesystem.mount-timeout=90s",
			map[string]string{"LEAT_COLLECTOR_ZFS": "true", "LEAT_COLLECTOR_TEXTFILE_DIRECTORY": "/c", "LEAT_COLLECTOR_PERF_CPUS": ""}, func(f *Flags) {
				f.Command = "check"
				f.Collectors = flags.Values{"collector.zfs": {"false"}, "collector.ntp": {"true"}, "collector.ntp.server-port": {"124"},
					"collector.textfile.directory": {"/a", "/b,c"}, "collector.filesystem.mount-timeout": {"90s"}}
			}},
		{"", map[string]string{"LEAT_COLLECTOR_DISABLE_DEFAULTS": "TRUE", "LEAT_COLLECTOR_CPU": "true", "LEAT_COLLECTOR_TEXTFILE_DIRECTORY": "/a,/b*", "LEAT_COLLECTOR_VMSTAT_FIELDS": "^a,b"}, func(f *Flags) {
			f.Collectors = flags.Values{"collector.disable-defaults": {"true"}, "collector.cpu": {"true"}, "collector.textfile.directory": {"/a", "/b*"}, "collector.vmstat.fields": {"^a,b"}}
		}},
		{"demo --dir=d --duration=30s --rate=500", nil, func(f *Flags) {
			f.Command, f.DemoDir, f.DemoDuration, f.DemoRate = "demo", "d", 30*time.Second, 500
		}},
		{"--no-pprof --log.level=debug", map[string]string{
			"LEAT_PPROF": "true", "LEAT_LOG_LEVEL": "error", "LEAT_LOG_FORMAT": "json", "LEAT_CONFIG_FILE": "c", "LEAT_STATE": "s", "LEAT_WEB_LISTEN_ADDRESS": ":1,:2",
			"LEAT_WEB_CONFIG_FILE": "w", "LEAT_PATH_PROCFS": "/p", "LEAT_PATH_ROOTFS": "/r", "LEAT_PATH_SYSFS": "/s", "LEAT_PATH_UDEV_DATA": "/u", "LEAT_SHUTDOWN_TIMEOUT": "5s",
			"LEAT_DEMO_DIR": "d", "LEAT_DEMO_DURATION": "1m", "LEAT_DEMO_RATE": "7",
		}, func(f *Flags) {
			*f = Flags{Command: "run", ConfigFile: "c", State: "s", ListenAddresses: []string{":1", ":2"}, WebConfigFile: "w", LogLevel: "debug", LogFormat: "json",
				ProcFS: "/p", SysFS: "/s", RootFS: "/r", UdevData: "/u", ShutdownTimeout: 5 * time.Second, DemoDir: "d", DemoDuration: time.Minute, DemoRate: 7}
		}},
		{"", map[string]string{"LEAT_PPROF": "true", "LEAT_STATE": ""}, func(f *Flags) { f.Pprof = true }},
	} {
		got, err := ParseFlags(strings.Fields(tt.args), environment(tt.env), io.Discard)
		if want := defaultFlags(tt.want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q %v: %v\n got %+v\nwant %+v", tt.args, tt.env, err, got, want)
		}
	}
}

func TestParseFlagsErrors(t *testing.T) {
	const durations = "not a duration: write whole numbers with the units ms, s, m, h or d, such as 200ms, 5m or 1h30m"
	for _, tt := range []struct {
		args string
		env  map[string]string
		want string
	}{
		{"--nosuch", nil, "flags: unknown long flag '--nosuch': leatd --help lists all"},
		{"nosuch", nil, "flags: expected command but got \"nosuch\": leatd --help lists all"},
		{"--help-man", nil, "flags: unknown long flag '--help-man': leatd --help lists all"},
		{"--state=a --state=b", nil, "flags: flag 'state' cannot be repeated: leatd --help lists all"},
		{"demo --rate", nil, "flags: expected argument for flag '--rate': leatd --help lists all"},
		{"check more", nil, "flags: unexpected more: leatd --help lists all"},
		{"--state", nil, "flags: expected argument for flag '--state': leatd --help lists all"},
		{"--dir=x", nil, "flags: unknown long flag '--dir': leatd --help lists all"},
		{"--log.level=wran", nil, "flags: --log.level: must be one of debug, info, warn, error: did you mean warn?"},
		{"", map[string]string{"LEAT_LOG_FORMAT": "xml"}, "flags: LEAT_LOG_FORMAT: must be one of logfmt, json"},
		{"", map[string]string{"LEAT_PPROF": "maybe"}, "flags: LEAT_PPROF: must be true or false"},
		{"--shutdown.timeout=5", nil, "flags: --shutdown.timeout: " + durations},
		{"--web.listen-address=9110", nil, "flags: --web.listen-address: must be HOST:PORT, :PORT or [IPv6]:PORT"},
		{"--web.listen-address=:99999", nil, "flags: --web.listen-address: must be HOST:PORT, :PORT or [IPv6]:PORT"},
		{"--path.rootfs=host", nil, "flags: --path.rootfs: must be a path that begins with /"},
		{"--path.sysfs=sys", nil, "flags: --path.sysfs: must be a path that begins with /"},
		{"--collector.nosuch", nil, "flags: unknown long flag '--collector.nosuch': leatd --help-collectors lists all of those"},
		{"--no-collector.ntp.server", nil, "flags: unknown long flag '--no-collector.ntp.server': leatd --help-collectors lists all of those"},
		{"--collector.cpu --no-collector.cpu", nil, "flags: flag 'collector.cpu' cannot be repeated: leatd --help-collectors lists all of those"},
		{"--collector.ntp.server-port=x", nil, "flags: --collector.ntp.server-port: must be a whole number"},
		{"--collector.ntp.max-distance=3", nil, "flags: --collector.ntp.max-distance: not a duration: write it like 500ms, 5s or 1m30s"},
		{"", map[string]string{"LEAT_COLLECTOR_CPU": "maybe"}, "flags: LEAT_COLLECTOR_CPU: must be true or false"},
		{"demo --rate=-1", nil, "flags: --rate: must be a whole number, 0 or more"},
		{"demo --duration=x", nil, "flags: --duration: " + durations},
	} {
		got, err := ParseFlags(strings.Fields(tt.args), environment(tt.env), io.Discard)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q %v: %+v, %v\nwant %s", tt.args, tt.env, got, err, tt.want)
		}
	}
}

// TestHelp compares the whole help with testdata/help.txt, and looks for each flag's variable.
func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	var all bytes.Buffer
	for _, args := range [][]string{{"--help"}, {"audit", "-h"}, {"handover", "-h"}, {"demo", "-h"}} {
		got, err := ParseFlags(args, environment(nil), &all)
		if !errors.Is(err, ErrHelp) || got != nil {
			t.Fatalf("%q: %v, %v", args, got, err)
		}
	}
	const golden = "testdata/help.txt"
	if *update {
		if err := os.WriteFile(golden, all.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(all.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", &all, want)
	}
	names := regexp.MustCompile(`(?m)^ +(?:-h, )?--(?:\[no-\])?[a-z.-]+`).FindAllString(all.String(), -1)
	variables := regexp.MustCompile(`\(\$LEAT_[A-Z_]+\)`).FindAllString(all.String(), -1)
	// --help, --help-collectors and --version have none, in all texts.
	if len(names) != 15+22+16+18 || len(variables) != len(names)-12 {
		t.Errorf("%d flags, %d variables", len(names), len(variables))
	}
}

// TestHelpNobodyReads: "leatd --help | head" ends like any other command there.
func TestHelpNobodyReads(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	if got, err := ParseFlags([]string{"--help"}, environment(nil), w); !errors.Is(err, ErrHelp) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// TestHelpCollectors: every flag of node_exporter's that it shows itself is there once, with a variable of its own, and not in
// the help of everything.
func TestHelpCollectors(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	var text, all bytes.Buffer
	for out, arg := range map[*bytes.Buffer]string{&text: "--help-collectors", &all: "--help"} {
		if got, err := ParseFlags([]string{arg}, environment(nil), out); !errors.Is(err, ErrHelp) || got != nil {
			t.Fatalf("%q: %v, %v", arg, got, err)
		}
	}
	shown := 0
	for _, f := range flags.All() {
		name := regexp.MustCompile(`(?m)^  --(\[no-\])?` + regexp.QuoteMeta(f.Name) + `[ =]`)
		variable := regexp.MustCompile(`\(\$LEAT_` + regexp.MustCompile(`[.-]`).ReplaceAllString(strings.ToUpper(f.Name), "_") + `\)`)
		want := 1
		if f.Hidden {
			want = 0
		}
		shown += want
		if n, v := len(name.FindAll(text.Bytes(), -1)), len(variable.FindAll(text.Bytes(), -1)); n != want || v != want {
			t.Errorf("%s is there %d times, its variable %d times, want %d", f.Name, n, v, want)
		}
		if name.Match(all.Bytes()) {
			t.Errorf("%s is in --help", f.Name)
		}
	}
	if shown < 150 {
		t.Errorf("%d flags", shown)
	}
	if t.Failed() {
		t.Logf("%s", &text)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "leat.yaml")
	none := filepath.Join(dir, "none.yaml")
	large := filepath.Join(dir, "large.yaml")
	for name, text := range map[string]string{file: "node: from-file\nstate: /a\n", large: strings.Repeat("#\n", maxFile/2+1)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, flag, fallback, state      string
		node, wantState, logs, from, err string
	}{
		{"named", file, none, "", "from-file", "/a", "/a/logs", file, ""},
		{"found", "", file, "", "from-file", "/a", "/a/logs", file, ""},
		{"none", "", none, "", "node-1", "/var/lib/leat", "/var/lib/leat/logs", "", ""},
		{"none, but a state", "", none, "/b", "node-1", "/b", "/b/logs", "", ""},
		{"named, and a state", file, none, "/b", "from-file", "/b", "/b/logs", file, ""},
		{"named and missing", none, file, "", "", "", "", none, "configuration: open " + none + ": no such file or directory: check --config.file, or leave it out to use the defaults"},
		{"a folder", dir, file, "", "", "", "", dir, "configuration: read " + dir + ": is a directory: check --config.file, or leave it out to use the defaults"},
		{"found, a folder", "", dir, "", "", "", "", dir, "configuration: read " + dir + ": is a directory: make it readable, or name another with --config.file"},
		{"too large", large, file, "", "", "", "", large, "configuration: " + large + " has more than 1 MiB, so it is no configuration: check --config.file, or leave it out to use the defaults"},
	} {
		f := &Flags{ConfigFile: tt.flag, State: tt.state}
		c, from, err := f.open(testEnv, tt.fallback)
		if from != tt.from {
			t.Errorf("%s: from %q, want %q", tt.name, from, tt.from)
		}
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.err)
			}
			continue
		}
		if err != nil || c.Node != tt.node || c.State != tt.wantState || c.Sinks[0].Path != tt.logs {
			t.Errorf("%s: %v, %v", tt.name, c, err)
		}
	}
}
