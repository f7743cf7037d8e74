package tail

import (
	"bytes"
	"regexp"
	"testing"
	"time"
)

// parsed is a line as tables write it.
type parsed struct {
	time         string
	body         string
	stderr, part bool
}

func (l *line) parsed() parsed {
	return parsed{time.Unix(0, l.time).UTC().Format(time.RFC3339Nano), string(l.body), l.stderr, l.part}
}

var criLines = []struct {
	in   string
	want parsed
}{
	{"2026-01-02T03:04:05.123456789Z stdout F hello", parsed{"2026-01-02T03:04:05.123456789Z", "hello", false, false}},
	{"2026-01-02T03:04:05.123456789Z stderr F hello", parsed{"2026-01-02T03:04:05.123456789Z", "hello", true, false}},
	{"2026-01-02T03:04:05.12Z stdout P hel", parsed{"2026-01-02T03:04:05.12Z", "hel", false, true}},
	{"2026-01-02T03:04:05Z stderr P hel", parsed{"2026-01-02T03:04:05Z", "hel", true, true}},
	{"2026-01-02T03:04:05.5+02:00 stdout F local", parsed{"2026-01-02T01:04:05.5Z", "local", false, false}},
	{"2026-01-02T03:04:05Z stdout F ", parsed{"2026-01-02T03:04:05Z", "", false, false}},
	{"2026-01-02T03:04:05Z stdout F", parsed{"2026-01-02T03:04:05Z", "", false, false}},
	{"2026-01-02T03:04:05Z stdout P", parsed{"2026-01-02T03:04:05Z", "", false, true}},
	{"2026-01-02T03:04:05Z stdout F  two spaces ", parsed{"2026-01-02T03:04:05Z", " two spaces ", false, false}},
	{"2026-01-02T03:04:05Z stdout F dos\r", parsed{"2026-01-02T03:04:05Z", "dos\r", false, false}},
	{"2026-01-02T03:04:05Z stdout F \r", parsed{"2026-01-02T03:04:05Z", "\r", false, false}},
	{"2026-01-02T03:04:05Z stdout F a\x00b\xff\xfe", parsed{"2026-01-02T03:04:05Z", "a\x00b\xff\xfe", false, false}},
	{"2026-01-02T03:04:05Z stdout F:X more tags", parsed{"2026-01-02T03:04:05Z", "more tags", false, false}},
	{"2026-01-02T03:04:05Z stderr P:X:F:key=value m", parsed{"2026-01-02T03:04:05Z", "m", true, true}},
	{"2026-01-02T03:04:05Z stdout F:X", parsed{"2026-01-02T03:04:05Z", "", false, false}},
	{"2026-01-02T03:04:05Z stdout F: ", parsed{"2026-01-02T03:04:05Z", "", false, false}},
	{"2016-12-31T23:59:60Z stdout F leap", parsed{"2017-01-01T00:00:00Z", "leap", false, false}},
	{"0001-01-01T00:00:00Z stdout F no clock", parsed{"1677-09-21T00:12:43.145224192Z", "no clock", false, false}},
}

var notCRI = []string{
	"", " ", "hello", "stdout F hello",
	"2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z ", "2026-01-02T03:04:05Z stdout", "2026-01-02T03:04:05Z stdout ",
	"2026-01-02T03:04:05Z stdin F hello", "2026-01-02T03:04:05Z stdoutF hello", "2026-01-02T03:04:05Z STDOUT F hello",
	"2026-01-02T03:04:05Z stdout X hello", "2026-01-02T03:04:05Z stdout f hello", "2026-01-02T03:04:05Z stdout FP hello",
	"2026-01-02T03:04:05Z stdout hello", "2026-01-02T03:04:05Z stdout F\thello", "2026-01-02T03:04:05Z stdout F\r",
	"2026-01-02T03:04:05Z  stdout F hello", "2026-01-02T03:04:05Z\tstdout F hello", "2026-01-02T03:04:05Zstdout F hello",
	"2026-02-30T03:04:05Z stdout F hello", "2026-01-02T03:04:05 stdout F hello", " 2026-01-02T03:04:05Z stdout F hello",
	`{"log":"hello\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}`,
}

func TestCRI(t *testing.T) {
	var c clock
	for _, test := range criLines {
		var l line
		in := []byte(test.in)
		if !c.cri(in, &l) {
			t.Errorf("%q: not parsed", test.in)
		} else if got := l.parsed(); got != test.want {
			t.Errorf("%q:\ngot  %+v\nwant %+v", test.in, got, test.want)
		}
		if string(in) != test.in {
			t.Errorf("%q: changed to %q", test.in, in)
		}
	}
	for _, text := range notCRI {
		l := line{time: 7, part: true}
		if in := []byte(text); c.cri(in, &l) || l.time != 7 || !l.part || string(in) != text {
			t.Errorf("%q: should be refused and nothing changed, got %+v", text, l)
		}
	}
}

// A crash cuts a line anywhere: what is left is a shorter line or none, and never the body of another.
func TestCRICut(t *testing.T) {
	const whole = "2026-01-02T03:04:05.123456789Z stdout F hello"
	const header = len("2026-01-02T03:04:05.123456789Z stdout F")
	for n := range len(whole) + 1 {
		var c clock
		var l line
		if ok := c.cri([]byte(whole[:n]), &l); ok != (n >= header) {
			t.Errorf("%q: %v", whole[:n], ok)
		} else if ok && string(l.body) != whole[min(header+1, n):n] {
			t.Errorf("%q: body %q", whole[:n], l.body)
		}
	}
}

// criLine is the format said as a regular expression; the time is parseTime's.
var criLine = regexp.MustCompile(`(?s)^ (stdout|stderr) ([FP])(?::[^ ]*)?(?: (.*))?$`)

func FuzzCRI(f *testing.F) {
	for _, test := range criLines {
		f.Add([]byte(test.in))
	}
	for _, in := range notCRI {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text := string(in)
		var c clock
		var l line
		ok := c.cri(in, &l)
		if string(in) != text {
			t.Errorf("%q: changed to %q", text, in)
		}
		ns, n := parseTime(in)
		found := criLine.FindSubmatch(in[n:])
		if want := n > 0 && found != nil; ok != want {
			t.Fatalf("%q: got %v, want %v", text, ok, want)
		}
		if !ok {
			return
		}
		if l.time != ns || l.stderr != (string(found[1]) == "stderr") || l.part != (string(found[2]) == "P") || !bytes.Equal(l.body, found[3]) {
			t.Errorf("%q: got %+v", text, l)
		}
	})
}
