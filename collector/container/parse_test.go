package container

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNumber(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0 true", " 42\n": "42 true", "18446744073709551615": "18446744073709551615 true", "18446744073709551616": "0 false",
		"99999999999999999999999999": "0 false", "": "0 false", "\n": "0 false", "-1": "0 false", "max": "0 false", "1 2": "0 false", "1.5": "0 false", "007": "7 true",
	} {
		n, ok := number([]byte(text))
		if got := fmt.Sprint(n, ok); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// The parsers' good cases are in the goldens.
func TestParseOddities(t *testing.T) {
	all := func(next func([]byte) (string, []byte)) func(string) string {
		return func(text string) string {
			var out []string
			for rest := []byte(text); ; {
				var got string
				if got, rest = next(rest); got == "" {
					return strings.Join(out, "; ")
				}
				out = append(out, got)
			}
		}
	}
	keys := all(func(b []byte) (string, []byte) {
		key, n, rest := keyed(b)
		if key == nil {
			return "", nil
		}
		return fmt.Sprintf("%s=%d", key, n), rest
	})
	ios := all(func(b []byte) (string, []byte) {
		io, rest, ok := ioStat(b)
		if !ok {
			return "", nil
		}
		return fmt.Sprint(io), rest
	})
	blkios := all(func(b []byte) (string, []byte) {
		l, rest, ok := blkio(b)
		if !ok {
			return "", nil
		}
		return fmt.Sprintf("%d:%d %s %d", l.device.major, l.device.minor, l.operation, l.value), rest
	})
	nets := all(func(b []byte) (string, []byte) {
		l, rest, ok := netDev(b)
		if !ok {
			return "", nil
		}
		return fmt.Sprintf("%s %v %v", l.name, l.received, l.sent), rest
	})
	psi := func(text string) string { return fmt.Sprint(pressure([]byte(text))) }
	for _, c := range []struct {
		name string
		f    func(string) string
		text string
		want string
	}{
		{"keyed", keys, "a 1\n\nb\n c x\nd -1\ne  5 \nf 6", "a=1; e=5; f=6"},
		{"io", ios, "8:0 \n8:0 rbytes=1\n7:0 7:1 rios=2 x=y rbytes=z =\nrbytes=9\n8 rbytes=1\n4294967296:0 rbytes=1", "{{8 0} 1 0 0 0}; {{7 1} 0 0 2 0}"},
		{"blkio", blkios, "8:0 Read 1\nTotal 5\n8:0 Read\n8:0  Write  2\nx:0 Read 1\n8:0 Sync -1", "8:0 Read 1; 8:0 Write 2"},
		{"net", nets, "a|b\n eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\neth1: 1 2 3\n: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\na:b:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
			"eth0 [1 2 3 4] [9 10 11 12]; a:b [1 2 3 4] [9 10 11 12]"},
		{"pressure", psi, "some avg10=0.00 total=5\n", "5 0 true false"},
		{"no pressure", psi, "some total=x\nfull total=\nelse total=7\n", "0 0 false false"},
	} {
		if got := c.f(c.text); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, text := range []string{
		"8:0 rbytes=1 wbytes=2 rios=3 wios=4\n", "8:0 Read 4096\nTotal 1\n", "some avg10=0.1 total=5\nfull total=6\n", "anon 1\nfile 2\n",
		"  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", "1\n2\n0\n", "7 (a) b) S 1 2 3\n", "max 100000\n", "\x00\xff: =\n\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		steps := 0
		step := func(rest []byte) []byte {
			if steps++; steps > 6*len(text)+60 || len(rest) > len(text) {
				t.Fatal("a parser does not come to an end")
			}
			return rest
		}
		for key, _, rest := keyed(text); key != nil; key, _, rest = keyed(step(rest)) {
		}
		for _, rest, ok := ioStat(text); ok; _, rest, ok = ioStat(step(rest)) {
		}
		for b, rest, ok := blkio(text); ok; b, rest, ok = blkio(step(rest)) {
			if len(b.operation) == 0 {
				t.Fatal("an operation without a name")
			}
		}
		for n, rest, ok := netDev(text); ok; n, rest, ok = netDev(step(rest)) {
			if len(n.name) == 0 {
				t.Fatal("an interface without a name")
			}
		}
		if count, some, _ := pids(text, make([]int, 0, 4)); count < len(some) || len(some) > 4 {
			t.Fatal(count, some)
		}
		number(text)
		pressure(text)
		startTicks(text)
	})
}

func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"cri-containerd-" + id("a") + ".scope", "kubepods-burstable-pod11111111_2222_3333_4444_555555555555.slice", "pod0123456789abcdef",
		"web-0_shop_app-" + id("a") + ".log", "shop_web-0_uid", "a:" + id("b"), "crio-conmon-" + id("c") + ".scope", "", "\xff_\n_x",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, text string) {
		clean := func(parts ...string) {
			for _, p := range parts {
				if p == "" || !utf8.ValidString(p) || strings.ContainsAny(p, "\n\x00\t") {
					t.Fatalf("%q gives %q", text, p)
				}
			}
		}
		if id, _, ok := containerID([]byte(text)); ok && (len(id) != 64 || strings.Trim(string(id), "0123456789abcdef") != "") {
			t.Fatalf("%q gives the id %q", text, id)
		}
		if uid, ok := podUID([]byte(text)); ok && (len(uid) < 8 || len(uid) > 64 || strings.ContainsAny(uid, "/._: ")) {
			t.Fatalf("%q gives the uid %q", text, uid)
		}
		if id, who, ok := parseLink(text); ok {
			clean(id, who.namespace, who.pod, who.container)
		}
		if uid, who, ok := parsePod(text); ok {
			clean(uid, who.namespace, who.pod)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-name":"web-0"}}`))
	f.Add([]byte(`{"Name":"/db","Config":{"Image":"nginx","Labels":{"a":"b"}}}`))
	f.Add([]byte(`{"Name":"/\u0000"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, _ := parseRecord(text)
		for _, s := range []string{r.namespace, r.pod, r.container, r.image} {
			if !printable(s) {
				t.Fatalf("%q", s)
			}
		}
	})
}

// TestParsersDoNotAllocate: they are run some thousand times in a scrape of a busy node.
func TestParsersDoNotAllocate(t *testing.T) {
	stat, io, v1 := []byte("anon 1\nfile 2\n"), []byte("8:0 rbytes=1 wios=2\n7:0 rios=4\n"), []byte("8:0 Read 1\n8:0 Write 2\nTotal 3\n")
	net, psi, procs := []byte(" eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"), []byte("some avg10=0 total=1\nfull avg10=0 total=2\n"), []byte("1\n2\n3\n")
	first := make([]int, 0, 2)
	if n := testing.AllocsPerRun(100, func() {
		for key, _, rest := keyed(stat); key != nil; key, _, rest = keyed(rest) {
		}
		for _, rest, ok := ioStat(io); ok; _, rest, ok = ioStat(rest) {
		}
		for _, rest, ok := blkio(v1); ok; _, rest, ok = blkio(rest) {
		}
		for _, rest, ok := netDev(net); ok; _, rest, ok = netDev(rest) {
		}
		pressure(psi)
		pids(procs, first)
	}); n != 0 {
		t.Error(n, "allocations")
	}
}
