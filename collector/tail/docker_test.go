package tail

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	dockerTime  = `"2026-01-02T03:04:05.123456789Z"`
	dockerTime2 = `"2026-01-02T03:04:05Z"`
)

var dockerLines = []struct {
	in   string
	want parsed
}{
	{`{"log":"hello\n","stream":"stdout","time":` + dockerTime + `}`, parsed{"2026-01-02T03:04:05.123456789Z", "hello", false, false}},
	{`{"log":"hello\n","stream":"stderr","time":` + dockerTime + `}`, parsed{"2026-01-02T03:04:05.123456789Z", "hello", true, false}},
	{`{"log":"hel","stream":"stdout","time":` + dockerTime + `}`, parsed{"2026-01-02T03:04:05.123456789Z", "hel", false, true}},
	{`{"log":"\n","stream":"stdout","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "", false, false}},
	{`{"log":"","stream":"stdout","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "", false, true}},
	{`{"log":"n","stream":"stdout","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "n", false, true}},
	{`{"log":"two\n\n","stream":"stdout","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "two\n", false, false}},
	{`{"log":"no newline \\n","stream":"stdout","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", `no newline \n`, false, true}},
	{`{"log":"spelled\u000a","stream":"stdout","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "spelled", false, false}},
	{`{"log":"dos\r\n","stream":"stdout","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "dos\r", false, false}},
	{`{"log":"{\"level\":\"info\",\"msg\":\"a \\\"quoted\\\" word\",\"path\":\"C:\\\\x\"}\n","stream":"stdout","time":` + dockerTime2 + `}`,
		parsed{"2026-01-02T03:04:05Z", `{"level":"info","msg":"a \"quoted\" word","path":"C:\\x"}`, false, false}},
	{`{"log":"\b\f\n\r\t\/\\\"\u0000\u001b[0m\u00e9\u20ac\ud83d\ude00\n","stream":"stdout","time":` + dockerTime2 + `}`,
		parsed{"2026-01-02T03:04:05Z", "\b\f\n\r\t/\\\"\x00\x1b[0mé€😀", false, false}},
	{`{"log":"\ud83d \ude00 \ud83d\ud83d\ude00 \ud83d\u0041 \ud83d\n \ude00\ud83d","stream":"stdout","time":` + dockerTime2 + `}`,
		parsed{"2026-01-02T03:04:05Z", "\ufffd \ufffd \ufffd😀 \ufffdA \ufffd\n \ufffd\ufffd", false, true}},
	{`{"log":"\uD83D\uDE00\uABcd","stream":"stdout","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "😀\uabcd", false, true}},
	{"{\"log\":\"no utf-8 \xff\xc3( \x00 and \t tab\\n\",\"stream\":\"stdout\",\"time\":" + dockerTime2 + "}",
		parsed{"2026-01-02T03:04:05Z", "no utf-8 \xff\xc3( \x00 and \t tab", false, false}},
	{"{\"log\":\"no utf-8 \xff\xc3( and \\t tab\\n\",\"stream\":\"stdout\",\"time\":" + dockerTime2 + "}",
		parsed{"2026-01-02T03:04:05Z", "no utf-8 \xff\xc3( and \t tab", false, false}},

	{`{"log":"attrs\n","stream":"stderr","attrs":{"tag":"a\"b","n":"{}"},"time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "attrs", true, false}},
	{`{"time":"2026-01-02T03:04:05.5+02:00","stream":"stderr","log":"order\n"}`, parsed{"2026-01-02T01:04:05.5Z", "order", true, false}},
	{`{"stream":"stderr","log":"order\n","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "order", true, false}},
	{`{"log":"offset\n","stream":"stdout","time":"2026-01-02T03:04:05-01:30"}`, parsed{"2026-01-02T04:34:05Z", "offset", false, false}},
	{`{"log":"tail\n","stream":"stdout","time":` + dockerTime2 + `,"x":1}`, parsed{"2026-01-02T03:04:05Z", "tail", false, false}},
	{`{"log":"spaced\n" , "stream" : "stderr" , "time" : ` + dockerTime2 + ` } ` + "\r", parsed{"2026-01-02T03:04:05Z", "spaced", true, false}},
	{"\t{ \"log\":\"spaced\\n\",\"time\":" + dockerTime2 + "}", parsed{"2026-01-02T03:04:05Z", "spaced", false, false}},
	{`{"x":[1,-0.5e+7,{"a":[[]],"b":{}},true,false,null,"]}\"\u00e9"],"log":"nested\n","":{},"time":` + dockerTime2 + `}`,
		parsed{"2026-01-02T03:04:05Z", "nested", false, false}},
	{`{"l\u006fg":"keys\n","\u0073tream":"std\u0065rr","tim\u0065":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "keys", true, false}},
	{`{"log":"no stream\n","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "no stream", false, false}},
	{`{"log":"another stream\n","stream":"stdlog","time":` + dockerTime2 + `}`, parsed{"2026-01-02T03:04:05Z", "another stream", false, false}},
	{`{"log":"one\n","log":"two","stream":"stderr","stream":"stdout","time":"1999-01-02T03:04:05Z","time":` + dockerTime2 + `}`,
		parsed{"2026-01-02T03:04:05Z", "two", false, true}},
	{`{"log":"kept\n","log":null,"stream":"stderr","stream":null,"time":` + dockerTime2 + `,"time":null}`,
		parsed{"2026-01-02T03:04:05Z", "kept", true, false}},
	{`{"log":"deep\n","x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `,"time":` + dockerTime2 + `}`,
		parsed{"2026-01-02T03:04:05Z", "deep", false, false}},
}

var notDocker = []string{
	"", "{", "{}", "hello", `"log"`, `[{"log":"a\n","time":` + dockerTime2 + `}]`,
	"2026-01-02T03:04:05Z stdout F hello",
	`{"level":"info","msg":"an application's own","time":` + dockerTime2 + `}`,
	`{"log":"no time\n","stream":"stdout"}`, `{"log":"no time\n","stream":"stdout","time":null}`, `{"log":null,"time":` + dockerTime2 + `}`,
	`{"LOG":"a\n","Stream":"stdout","TIME":` + dockerTime2 + `}`,
	`{"log":7,"stream":"stdout","time":` + dockerTime2 + `}`, `{"log":["a\n"],"time":` + dockerTime2 + `}`, `{"log":"a\n","stream":7,"time":` + dockerTime2 + `}`,
	`{"log":"a\n","stream":"stdout","time":1767323045}`, `{"log":"a\n","stream":"stdout","time":"yesterday"}`, `{"log":"a\n","stream":"stdout","time":"2026-01-02T03:04:05Z "}`,
	`{"log":"a\n","stream":"stdout","time":"2026-02-30T03:04:05Z"}`, `{"log":"a\n","stream":"stdout","time":"2026\u002d01-02T03:04:05Z"}`,
	`{"log":"bad \q escape\n","stream":"stdout","time":` + dockerTime2 + `}`, `{"log":"bad \u12g4\n","stream":"stdout","time":` + dockerTime2 + `}`,
	`{"log":"bad \u12","stream":"stdout","time":` + dockerTime2 + `}`, `{"log":"good \" then bad \x41\n","stream":"stdout","time":` + dockerTime2 + `}`,
	`{"log":"a\n","stream":"std\qout","time":` + dockerTime2 + `}`, `{"log":"a\n","\q":"","time":` + dockerTime2 + `}`,
	`{"log":"a\n","stream":"stdout","time":` + dockerTime2 + `}}`, `{"log":"a\n","stream":"stdout","time":` + dockerTime2 + `} x`,
	`{"log":"a\n","stream":"stdout","time":` + dockerTime2 + `,}`, `{"log":"a\n",,"time":` + dockerTime2 + `}`, `{,"log":"a\n","time":` + dockerTime2 + `}`,
	`{"log":"a\n""time":` + dockerTime2 + `}`, `{"log" "a\n","time":` + dockerTime2 + `}`, `{"log":"a\n",time:` + dockerTime2 + `}`, `{"log":"a\n";"time":` + dockerTime2 + `}`,
	`{"log":"a\n","x":,"time":` + dockerTime2 + `}`, `{"log":"a\n","x":nul,"time":` + dockerTime2 + `}`, `{"log":nul,"time":` + dockerTime2 + `}`,
	`{"log":"a\n","x":[1,],"time":` + dockerTime2 + `}`, `{"log":"a\n","x":[1},"time":` + dockerTime2 + `}`, `{"log":"a\n","x":{"a"},"time":` + dockerTime2 + `}`,
	`{"log":"a\n","x":` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `,"time":` + dockerTime2 + `}`,
}

// Values that are passed over are held to JSON all the same.
func TestDockerSkips(t *testing.T) {
	for _, value := range []string{
		"0", "-0", "10", "10.25E-3", "1e5", "-0.5e+7", "true", "false", "null", `""`, `"\u00e9"`, "{}", "[]", "[ 1 , [ ] ]", `{ "a" : { } , "" : 0 }`,
		"", "01", "-", "-a", "1.", "1.a", ".5", "+1", "1e", "1e+", "0x1", "tru", "True", "nul", "NaN", "'a'", `"`, `"\q"`, "{", "[", "[1", "[1,", "[,1]", "[1,]", "[1 2]",
		`{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `{"a":1 "b":2}`, `{"a":1]`, "[1}", "{1}",
	} {
		in := `{"log":"a\n","x":` + value + `,"time":` + dockerTime2 + `}`
		var c clock
		var l line
		if ok := c.docker([]byte(in), &l); ok != json.Valid([]byte(value)) {
			t.Errorf("%s: got %v", in, ok)
		}
	}
}

func TestDocker(t *testing.T) {
	var c clock
	for _, test := range dockerLines {
		in := []byte(test.in)
		var l line
		if !c.docker(in, &l) {
			t.Errorf("%s: not parsed", test.in)
		} else if got := l.parsed(); got != test.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", test.in, got, test.want)
		}
	}
	for _, text := range notDocker {
		l := line{time: 7, part: true}
		if in := []byte(text); c.docker(in, &l) || l.time != 7 || !l.part || string(in) != text {
			t.Errorf("%s: should be refused and nothing changed, got %+v in %q", text, l, in)
		}
	}
}

// A crash cuts a line anywhere: nothing but the whole line is one, and the bytes of what is left stay.
func TestDockerCut(t *testing.T) {
	for _, test := range dockerLines {
		whole := strings.TrimRight(test.in, " \r")
		for n := range len(whole) {
			in := []byte(whole[:n])
			var c clock
			var l line
			if c.docker(in, &l) || string(in) != whole[:n] {
				t.Fatalf("%s: taken, or changed to %s", whole[:n], in)
			}
		}
	}
}

// The escapes lie at every distance from each other and from the eight-byte steps in which they are sought.
func TestDockerEscapes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pieces := []string{`\"`, `\"`, `\"`, `\\`, `\n`, `\u00e9`, `\ud83d\ude00`, `\udead`, "a", "bc", "defg", "hijklmno", "pqrstuvwxyz0123456789", "é", "'"}
	var c clock
	for range 100_000 {
		var text strings.Builder
		for range r.IntN(24) {
			text.WriteString(pieces[r.IntN(len(pieces))])
		}
		in := `{"log":"` + text.String() + `","stream":"stdout","time":` + dockerTime2 + `}`
		var want string
		if err := json.Unmarshal([]byte(`"`+text.String()+`"`), &want); err != nil {
			t.Fatalf("the test is wrong: %v", err)
		}
		want, ended := strings.CutSuffix(want, "\n")
		var l line
		if !c.docker([]byte(in), &l) || string(l.body) != want || l.part == ended {
			t.Fatalf("%s:\ngot  %q, part %v\nwant %q", in, l.body, l.part, want)
		}
	}
}

// text and stamp tell a member that was given from one that was not, as encoding/json reads it.
type text struct {
	value string
	given bool
}

func (s *text) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	s.given = true
	return json.Unmarshal(b, &s.value)
}

type stamp struct {
	ns    int64
	given bool
}

func (s *stamp) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	s.given = true
	var at time.Time
	if err := at.UnmarshalJSON(b); err != nil {
		return err
	}
	s.ns = nanoseconds(at)
	return nil
}

func FuzzDocker(f *testing.F) {
	for _, test := range dockerLines {
		f.Add([]byte(test.in))
	}
	for _, in := range notDocker {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		var c clock
		var l line
		ok := c.docker(in, &l)
		if !ok && !bytes.Equal(in, before) {
			t.Fatalf("%q: refused, but changed to %q", before, in)
		}
		if detected := detect(before) == formatDocker; detected != ok {
			t.Fatalf("%q: detect says %v, docker says %v", before, detected, ok)
		}

		var want struct {
			Log    text   `json:"log"`
			Stream string `json:"stream"`
			Time   stamp  `json:"time"`
		}
		err := json.Unmarshal(before, &want)
		if leaves(before) {
			return
		}
		if good := err == nil && want.Log.given && want.Time.given; good != ok {
			t.Fatalf("%q: got %v, encoding/json says %v (%v)", before, ok, good, err)
		}
		if !ok {
			return
		}
		body, ended := strings.CutSuffix(want.Log.value, "\n")
		// encoding/json replaces each byte that is no UTF-8, we leave that to the sinks.
		if got := string([]rune(string(l.body))); got != body || l.part == ended {
			t.Errorf("%q:\ngot  %q, part %v\nwant %q", before, got, l.part, body)
		}
		if l.time != want.Time.ns || l.stderr != (want.Stream == "stderr") {
			t.Errorf("%q: got %+v, want %+v", before, l, want)
		}
	})
}

// leaves says whether a line is one on which we differ from encoding/json on purpose: control characters, capitals in
// the keys, deep nesting, and times that time.Parse and RFC 3339 don't agree about.
func leaves(b []byte) bool {
	depth := 0
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' {
			return true
		}
		if c == '[' || c == '{' {
			depth++
		}
	}
	if depth > maxDepth || bytes.ContainsAny(b, "\t\r\n") && !json.Valid(b) {
		return true
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(b, &members) != nil {
		return false
	}
	for key := range members {
		for _, known := range []string{"log", "stream", "time"} {
			if key != known && strings.EqualFold(key, known) {
				return true
			}
		}
	}
	// Of equal keys only the last is in the map, so any text that looks like an odd time will do.
	return bytes.Contains(b, []byte(":60")) || oddTime.Match(b)
}

// oddTime is what time.Parse takes beyond RFC 3339: one digit for the hour, a comma, an offset of 24 hours or 60 minutes.
var oddTime = regexp.MustCompile(`T\d:|:\d\d,\d|[+-](2[4-9]|[3-9]\d):|[+-]\d\d:[6-9]\d`)
