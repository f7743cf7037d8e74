package tail

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// This file is as much of JSON (RFC 8259) as docker lines need: to find where a value ends, and to decode a string. Each
// function takes text that begins with what it reads, and gives back what follows.

// maxDepth is how deep values may be nested within a line's own object. Docker itself nests attrs one deep.
const maxDepth = 64

// at says whether c is next.
func at(b []byte, c byte) bool { return len(b) > 0 && b[0] == c }

// space passes over white space.
func space(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// quoted reads a string: text is what stands between its quotes, escape where in it the first backslash is, or its
// length if there is none.
func quoted(b []byte) (text []byte, escape int, rest []byte, ok bool) {
	if !at(b, '"') {
		return nil, 0, nil, false
	}
	b = b[1:]
	end, escape := stringEnd(b)
	if end < 0 {
		return nil, 0, nil, false
	}
	return b[:end], escape, b[end+1:], true
}

// stringEnd finds the quote that ends the string of which b is the inside, and the first backslash before it; escape is
// end if there is none. end is -1 if there is no such quote, or an escape that JSON doesn't have comes first.
//
// JSON within JSON has an escaped quote every few bytes, at no regular distance, and a branch at each would be guessed
// wrong at each. So eight bytes are taken at once, with all their escaped quotes.
func stringEnd(b []byte) (end, escape int) {
	escape = len(b)
	i := 0
	for i < len(b) {
		var open uint64 // the byte before i was a backslash; in the place of a lane's bit
		for ; i+8 <= len(b); i += 8 {
			w := binary.LittleEndian.Uint64(b[i:])
			slashes, quotes := lanes(w, '\\'), lanes(w, '"')
			escaped := slashes<<8 | open
			if escaped&^quotes != 0 {
				break
			}
			if slashes != 0 && escape == len(b) {
				escape = i + bits.TrailingZeros64(slashes)/8
			}
			if quotes != escaped {
				end = i + bits.TrailingZeros64(quotes&^escaped)/8
				return end, min(escape, end)
			}
			open = slashes >> 56
		}
		// Either less than eight bytes are left, or there is another escape among the next: one step is made by hand.
		i -= int(open >> 7)
		switch n := bytes.IndexAny(b[i:min(i+8, len(b))], `"\`); {
		case n < 0:
			return -1, 0
		case b[i+n] == '"':
			return i + n, min(escape, i+n)
		default:
			i += n
			escape = min(escape, i)
		}
		n := escapeLen(b[i:])
		if n == 0 {
			return -1, 0
		}
		i += n
	}
	return -1, 0
}

// lanes sets the high bit of each byte of w that is c.
func lanes(w uint64, c byte) uint64 {
	const low = 0x7f7f7f7f7f7f7f7f
	w ^= uint64(c) * 0x0101010101010101
	return ^(w&low + low | w | low)
}

// escapeLen is the length of the escape that b begins with; 0 if JSON has none like it.
func escapeLen(b []byte) int {
	if len(b) < 2 || escapes[b[1]] == 0 {
		return 0
	}
	if b[1] != 'u' {
		return 2
	}
	if _, ok := hex4(b[2:]); !ok {
		return 0
	}
	return 6
}

// escapes has, by the letter after the backslash, the byte that it stands for; for u anything but 0, which marks a
// letter that JSON doesn't have.
var escapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'u': 'u',
}

// hex4 reads the four digits of a \u escape.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// unescape decodes the inside of a string that stringEnd has found good, over itself, and returns its new length.
// first is where its first backslash is. Like stringEnd it takes eight bytes at once where it can.
func unescape(b []byte, first int) int {
	r, w := first, first
	for r < len(b) {
		var open uint64
		for ; r+8 <= len(b); r += 8 {
			word := binary.LittleEndian.Uint64(b[r:])
			slashes, quotes := lanes(word, '\\'), lanes(word, '"')
			if (slashes<<8|open)&^quotes != 0 {
				break
			}
			// What is written ends at r+8 at the latest, and all of that has been read. Bytes before r may be spoiled.
			binary.LittleEndian.PutUint64(b[w:], squeeze(word, slashes))
			w += 8 - bits.OnesCount64(slashes)
			open = slashes >> 56
		}
		// Either less than eight bytes are left, or there is another escape among the next. One step is made by hand.
		if open == 0 {
			for ; r < len(b) && b[r] != '\\'; r, w = r+1, w+1 {
				b[w] = b[r]
			}
			if r == len(b) {
				break
			}
			r++
		}
		c, n := unicodeEscape(b[r:])
		if n == 0 {
			b[w] = escapes[b[r]]
			r, w = r+1, w+1
			continue
		}
		r += n
		w += utf8.EncodeRune(b[w:], c)
	}
	return w
}

// squeeze takes the bytes that slashes marks out of word; the others close up. Two are taken out without asking whether
// there are so many, because a wrong guess costs more.
func squeeze(word, slashes uint64) uint64 {
	for n := 0; n < 2 || slashes != 0; n++ {
		before := slashes&-slashes>>7 - 1 // the bytes before the first; all of them if there is none
		word = word&before | word>>8&^before
		slashes = slashes & (slashes - 1) >> 8
	}
	return word
}

// unicodeEscape decodes the \u escape, or the two of a surrogate pair, of which b is what follows the first backslash;
// half a pair is U+FFFD. n is 0 for any other escape.
func unicodeEscape(b []byte) (c rune, n int) {
	if b[0] != 'u' {
		return 0, 0
	}
	c, _ = hex4(b[1:])
	if !utf16.IsSurrogate(c) {
		return c, 5
	}
	if len(b) >= 11 && b[5] == '\\' && b[6] == 'u' {
		low, _ := hex4(b[7:])
		if c := utf16.DecodeRune(c, low); c != utf8.RuneError {
			return c, 11
		}
	}
	return utf8.RuneError, 5
}

// same says whether the inside of a string, decoded, is name, which has at most six letters.
func same(text []byte, escape int, name string) bool {
	if escape == len(text) {
		return string(text) == name
	}
	var room [6 * 6]byte
	if len(text) > len(room) {
		return false
	}
	n := copy(room[:], text)
	return string(room[:unescape(room[:n], escape)]) == name
}

// skip passes over a value of any kind that is nested at most depth deep.
func skip(b []byte, depth int) (rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, false
	}
	switch b[0] {
	case '"':
		_, _, rest, ok = quoted(b)
		return rest, ok
	case '{', '[':
		return skipMembers(b, depth-1)
	case 't':
		return bytes.CutPrefix(b, []byte("true"))
	case 'f':
		return bytes.CutPrefix(b, []byte("false"))
	case 'n':
		return bytes.CutPrefix(b, []byte("null"))
	}
	return skipNumber(b)
}

// skipMembers passes over an object or an array, whose own values are nested at most depth deep.
func skipMembers(b []byte, depth int) (rest []byte, ok bool) {
	if depth < 0 {
		return nil, false
	}
	object, end := b[0] == '{', b[0]+2 // '}' and ']' follow their opening two later
	if b = space(b[1:]); at(b, end) {
		return b[1:], true
	}
	for {
		if object {
			if _, _, b, ok = quoted(b); !ok {
				return nil, false
			}
			if b = space(b); !at(b, ':') {
				return nil, false
			}
			b = space(b[1:])
		}
		if b, ok = skip(b, depth); !ok {
			return nil, false
		}
		if b = space(b); at(b, end) {
			return b[1:], true
		}
		if !at(b, ',') {
			return nil, false
		}
		b = space(b[1:])
	}
}

// skipNumber passes over a number: digits without a zero in front, then perhaps a fraction, then perhaps an exponent.
func skipNumber(b []byte) (rest []byte, ok bool) {
	if at(b, '-') {
		b = b[1:]
	}
	if at(b, '0') {
		b = b[1:]
	} else if b, ok = skipDigits(b); !ok {
		return nil, false
	}
	if at(b, '.') {
		if b, ok = skipDigits(b[1:]); !ok {
			return nil, false
		}
	}
	if at(b, 'e') || at(b, 'E') {
		b = b[1:]
		if at(b, '+') || at(b, '-') {
			b = b[1:]
		}
		return skipDigits(b)
	}
	return b, true
}

// skipDigits passes over at least one digit.
func skipDigits(b []byte) (rest []byte, ok bool) {
	for ; len(b) > 0 && b[0]-'0' <= 9; b = b[1:] {
		ok = true
	}
	return b, ok
}
