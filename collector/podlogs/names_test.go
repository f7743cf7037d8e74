package podlogs

import (
	"strconv"
	"strings"
	"testing"
)

func TestParsePod(t *testing.T) {
	for _, c := range []struct {
		name, ns, pod, uid string
		ok                 bool
	}{
		{"default_web-0_3f1c-22", "default", "web-0", "3f1c-22", true},
		{"a_b_c_d", "a", "b_c", "d", true},
		{"a_b", "", "", "", false}, {"", "", "", "", false}, {"a__b", "", "", "", false}, {"_a_b", "", "", "", false},
		{"a_b_", "", "", "", false}, {"a_b\n_c", "", "", "", false}, {"a_\xff_c", "", "", "", false},
	} {
		ns, pod, uid, ok := parsePod(c.name)
		if ok != c.ok || ok && (ns != c.ns || pod != c.pod || uid != c.uid) {
			t.Errorf("%q: %q %q %q %v", c.name, ns, pod, uid, ok)
		}
	}
}

func TestParseLog(t *testing.T) {
	for _, c := range []struct {
		name    string
		restart int
		suffix  string
		ok      bool
	}{
		{"0.log", 0, "", true}, {"12.log", 12, "", true}, {"0.log.20260102-030405.gz", 0, ".20260102-030405.gz", true},
		{"3.log.1", 3, ".1", true}, {"3.logs", 3, "s", true},
		{"log", 0, "", false}, {".log", 0, "", false}, {"00.log", 0, "", false}, {"+1.log", 0, "", false},
		{"-1.log", 0, "", false}, {"1_0.log", 0, "", false}, {"0.log\n", 0, "", false}, {"92233720368547758070.log", 0, "", false},
	} {
		restart, suffix, ok := parseLog(c.name)
		if ok != c.ok || ok && (restart != c.restart || suffix != c.suffix) {
			t.Errorf("%q: %d %q %v", c.name, restart, suffix, ok)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"ns_pod_uid", "0.log", "0.log.20260102-030405.gz", "a__b", "\xff_\n_"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if ns, pod, uid, ok := parsePod(name); ok {
			if ns+"_"+pod+"_"+uid != name || strings.Contains(ns, "_") || strings.Contains(uid, "_") {
				t.Errorf("%q: %q %q %q", name, ns, pod, uid)
			}
		}
		if restart, suffix, ok := parseLog(name); ok && strconv.Itoa(restart)+".log"+suffix != name {
			t.Errorf("%q: %d %q", name, restart, suffix)
		}
	})
}
