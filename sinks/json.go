package sinks

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// An escaper turns bytes into the inside of a JSON string (RFC 8259), a chunk at a time: quotes, backslashes and
// control characters are escaped, a byte that is not UTF-8 becomes \ufffd, all else stays. Nothing is escaped for HTML.
type escaper struct {
	src  []byte
	at   int
	text encoding // of src from the first byte on that is not ASCII
}

type encoding uint8

const (
	unknown encoding = iota
	isUTF8
	notUTF8
)

const (
	// escapeChunk is how many bytes of the source one call takes at least, if there are as many.
	escapeChunk = 1 << 10
	// escapeRoom is the most that a call appends: six bytes for one, and the word that is stored ahead.
	escapeRoom = 6*(escapeChunk+utf8.UTFMax) + 8
)

func (e *escaper) done() bool { return e.at >= len(e.src) }

const (
	everyByte = 0x0101010101010101
	everyHigh = 0x8080808080808080
)

// escape appends the next chunk to dst, which has escapeRoom bytes to spare.
func (e *escaper) escape(dst []byte) []byte {
	src, i := e.src, e.at
	end := min(len(src), i+escapeChunk)
	out := dst[len(dst) : len(dst)+escapeRoom]
	o := 0
	high := uint64(everyHigh)
	if e.text == isUTF8 {
		high = 0
	}
	for i < end {
		// Eight bytes are copied before they are looked at; those behind the first special one are overwritten.
		if i+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[i:])
			binary.LittleEndian.PutUint64(out[o:], w)
			if special := specialBytes(w, high); special == 0 {
				i, o = i+8, o+8
				continue
			} else {
				n := bits.TrailingZeros64(special) / 8
				i, o = i+n, o+n
			}
		}
		switch c := src[i]; {
		case c == '"' || c == '\\':
			out[o], out[o+1] = '\\', c
			i, o = i+1, o+2
		case c < ' ':
			o += escapeControl(out[o:], c)
			i++
		case c < utf8.RuneSelf:
			out[o] = c
			i, o = i+1, o+1
		default:
			if e.text == unknown {
				if e.text = notUTF8; utf8.Valid(src[i:]) {
					e.text, high = isUTF8, 0
				}
			}
			if e.text == isUTF8 {
				out[o] = c
				i, o = i+1, o+1
				break
			}
			r, size := utf8.DecodeRune(src[i:])
			if r == utf8.RuneError && size == 1 {
				o += copy(out[o:], `\ufffd`)
			} else {
				o += copy(out[o:], src[i:i+size])
			}
			i += size
		}
	}
	e.at = i
	return dst[:len(dst)+o]
}

// specialBytes has the high bit set of the first byte of w that is a quote, a backslash, below a space, or has a bit of
// high set. What it says of the bytes behind that one means nothing.
func specialBytes(w, high uint64) uint64 {
	quote := w ^ '"'*everyByte
	backslash := w ^ '\\'*everyByte
	below := (quote-everyByte)&^quote | (backslash-everyByte)&^backslash | (w-' '*everyByte)&^w
	return (below | w&high) & everyHigh
}

// escapeControl writes the escape of a control character and returns its length.
func escapeControl(out []byte, c byte) int {
	short := byte(0)
	switch c {
	case '\b':
		short = 'b'
	case '\t':
		short = 't'
	case '\n':
		short = 'n'
	case '\f':
		short = 'f'
	case '\r':
		short = 'r'
	default:
		return copy(out, []byte{'\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15]})
	}
	out[0], out[1] = '\\', short
	return 2
}
