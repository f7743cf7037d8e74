package flags

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kingpin/v2"
)

// setting is node_exporter's present value of a flag.
func setting(t *testing.T, name string) string {
	t.Helper()
	f := kingpin.CommandLine.GetFlag(name)
	if f == nil {
		t.Fatalf("there is no --%s", name)
	}
	return f.Model().Value.String()
}

// settings are all of them.
func settings() map[string]string {
	all := map[string]string{}
	for _, f := range kingpin.CommandLine.Model().Flags {
		all[f.Name] = f.Value.String()
	}
	return all
}

// TestApply: values arrive in node_exporter, and each Apply begins from the defaults.
func TestApply(t *testing.T) {
	if err := Apply(nil); err != nil {
		t.Fatal(err)
	}
	defaults := settings()
	for name, want := range map[string]string{
		"collector.cpu": "true", "collector.ntp": "false", "collector.ntp.server-port": "123", "collector.textfile.directory": "",
		"collector.ntp.max-distance": "3.46608s", "collector.vmstat.fields": "^(oom_kill|pgpg|pswp|pg.*fault).*", "path.sysfs": "/sys",
	} {
		if defaults[name] != want {
			t.Errorf("the default of --%s is %q, want %q", name, defaults[name], want)
		}
	}
	for _, values := range []Values{
		{"collector.cpu": {"false"}, "collector.ntp": {"true"}, "collector.ntp.server-port": {"124"}},
		{"collector.textfile.directory": {"/a", "/b c,d"}, "collector.sysctl.include": {"vm.swappiness"}},
		{"collector.textfile.directory": {"/e"}, "collector.cpu.info.flags-include": {"=,'$x"}},
		{"collector.ntp.max-distance": {"1m30s"}, "path.sysfs": {"/host/sys"}, "collector.cpu.guest": {"false"}},
		{"collector.qdisc.device-exclude": {"--x"}, "collector.qdisc.device-include": {"@y"}, "collector.vmstat.fields": {""}},
	} {
		for range 2 { // the second changes nothing
			if err := Apply(values); err != nil {
				t.Fatal(err)
			}
		}
		want := maps.Clone(defaults)
		for name, texts := range values {
			want[name] = strings.Join(texts, ",")
		}
		for name, got := range settings() {
			if got != want[name] {
				t.Errorf("%v: --%s is %q, want %q", values, name, got, want[name])
			}
		}
	}
	if err := Apply(Values{"collector.nosuch": {"x"}}); err == nil || err.Error() != "node_exporter's flags: there is no --collector.nosuch" {
		t.Error(err)
	}
	if err := Apply(Values{}); err != nil || !maps.Equal(settings(), defaults) {
		t.Errorf("%v, or not the defaults again", err)
	}
}

// TestEnabled: which collectors are on.
func TestEnabled(t *testing.T) {
	apply := func(values Values) []string {
		t.Helper()
		if err := Apply(values); err != nil {
			t.Fatal(err)
		}
		return Enabled()
	}
	defaults := apply(nil)
	if len(defaults) < 40 || !slices.Contains(defaults, "cpu") || slices.Contains(defaults, "ntp") || !slices.IsSorted(defaults) {
		t.Errorf("by default these are on: %q", defaults)
	}
	if got := apply(Values{DisableDefaults: {"true"}}); len(got) != 0 {
		t.Errorf("without defaults these are on: %q", got)
	}
	got := apply(Values{DisableDefaults: {"true"}, "collector.cpu": {"true"}, "collector.ntp": {"true"}, "collector.zfs": {"false"}, "collector.cpu.info": {"true"}})
	if !slices.Equal(got, []string{"cpu", "ntp"}) {
		t.Errorf("these are on: %q", got)
	}
	if got := apply(Values{DisableDefaults: {"false"}}); !slices.Equal(got, defaults) {
		t.Errorf("these are on again: %q", got)
	}
}

// TestAll: the flags are node_exporter's collectors' and nobody else's, each with a check of its own kind.
func TestAll(t *testing.T) {
	all := map[string]Flag{}
	for _, f := range All() {
		if all[f.Name] = f; !strings.HasPrefix(f.Name, "collector.") || f.Help == "" {
			t.Errorf("%+v", f)
		}
		if f.Name != DisableDefaults && setting(t, f.Name) != f.Default && f.Default != "" {
			t.Errorf("the default of --%s is %q, and %q is in force", f.Name, f.Default, setting(t, f.Name))
		}
		if err := f.Check(f.Default); err != nil && f.Default != "" {
			t.Errorf("the default of --%s: %v", f.Name, err)
		}
	}
	for _, tt := range []struct{ name, text, err string }{
		{"collector.cpu", "true", ""},
		{"collector.cpu", "yes", "must be true or false"},
		{"collector.ntp.server-port", "-1", ""},
		{"collector.ntp.server-port", "1x", "must be a whole number"},
		{"collector.ntp.server-port", "", "must be a whole number"},
		{"collector.filesystem.mount-timeout", "1m30.5s", ""},
		{"collector.filesystem.mount-timeout", "5", "not a duration: write it like 500ms, 5s or 1m30s"},
		{"collector.textfile.directory", "", ""},
		{DisableDefaults, "x", "must be true or false"},
	} {
		f := all[tt.name]
		if err := f.Check(tt.text); (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("--%s=%s: %v, want %q", tt.name, tt.text, err, tt.err)
		}
	}
	if !all["collector.textfile.directory"].Many || all["collector.cpu"].Many || !all["collector.netdev.device-whitelist"].Hidden {
		t.Error("kinds of flags are mixed up")
	}
}

// FuzzCheck: what passes Check is taken by node_exporter.
func FuzzCheck(f *testing.F) {
	all := All()
	for i, text := range []string{"true", "1", "5s", "1h2", "", "1e3s", "９"} {
		f.Add(i, text)
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		flag := all[int(uint(i)%uint(len(all)))]
		if flag.Check(text) != nil {
			return
		}
		if err := Apply(Values{flag.Name: {text}}); err != nil {
			t.Errorf("--%s=%q: %v", flag.Name, text, err)
		}
	})
}
