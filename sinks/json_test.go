package sinks

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	cases := map[string]string{
		"":                              ``,
		"plain":                         `plain`,
		"exactly8":                      `exactly8`,
		`quote"`:                        `quote\"`,
		`back\slash and "more" of it`:   `back\\slash and \"more\" of it`,
		"\x00\x01\b\t\n\v\f\r\x1f\x7f ": "\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\x7f ",
		"<a href='x'>&amp;</a>":         `<a href='x'>&amp;</a>`,
		"ä € 😀 \u2028":                  "ä € 😀 \u2028",
		"\ufffd stays":                  "\ufffd stays",
		"ä\xff":                         `ä\ufffd`,
		"\xe2\x82":                      `\ufffd\ufffd`,
		"0123456\xe2\x82\xac":           "0123456€",
		"\xed\xa0\x80 surrogate":        `\ufffd\ufffd\ufffd surrogate`,
	}
	for in, want := range cases {
		if have := string(appendQuoted(nil, in)); have != `"`+want+`"` {
			t.Errorf("%q: have %s, want %s", in, have, want)
		}
	}
}

// Every byte at every place of a word, and before and after every other.
func TestEscapePlaces(t *testing.T) {
	for at := range 20 {
		for c := range 256 {
			in := strings.Repeat("x", at) + string([]byte{byte(c)}) + strings.Repeat("y", 20-at)
			checkEscape(t, in)
			checkEscape(t, in[:at+1])
		}
	}
	for a := range 256 {
		for b := range 256 {
			checkEscape(t, string([]byte{'-', byte(a), byte(b), '-', '-', '-', '-', '-', '-'}))
		}
	}
}

func checkEscape(t *testing.T, in string) {
	t.Helper()
	have := appendQuoted(nil, in)
	var back string
	if err := json.Unmarshal(have, &back); err != nil || back != string([]rune(in)) {
		t.Fatalf("%.100q: encoding/json reads %.100q as %.100q, %v", in, have, back, err)
	}
	if !utf8.Valid(have) || strings.ContainsRune(string(have), '\n') {
		t.Fatalf("%.100q: have %.100q", in, have)
	}
}

func FuzzEscape(f *testing.F) {
	for _, l := range strangeLines {
		f.Add(l.text)
	}
	f.Add(strings.Repeat("\xff", escapeChunk+1))
	f.Add(strings.Repeat("\x00", 3*escapeChunk))
	f.Add(strings.Repeat("a", escapeChunk-1) + "😀\xff")
	f.Fuzz(checkEscape)
}

func FuzzValid(f *testing.F) {
	for _, l := range strangeLines {
		f.Add(l.text)
	}
	f.Add(strings.Repeat("\xff€", pieceSize/2))
	f.Fuzz(func(t *testing.T, in string) {
		want := string([]rune(in))
		if n := validLen([]byte(in)); n != len(want) {
			t.Errorf("length %d, want %d", n, len(want))
		}
		out := new(plain)
		p := newPieces(out, pieceSize)
		p.begin()
		p.keep(p.writeValid(p.open(len(in)), []byte(in)))
		if have := string(p.end()); have != want {
			t.Errorf("have %.100q, want %.100q", have, want)
		}
	})
}
