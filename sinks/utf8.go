package sinks

import "unicode/utf8"

// replacement stands for each byte that is part of no UTF-8 sequence.
const replacement = "\uFFFD"

// validLen is the length of p once it is valid UTF-8: len(p) if it is that already.
func validLen(p []byte) int {
	if utf8.Valid(p) {
		return len(p)
	}
	n := 0
	for i := 0; i < len(p); {
		r, size := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && size == 1 {
			n += len(replacement)
		} else {
			n += size
		}
		i += size
	}
	return n
}

// writeValid appends p with every invalid byte replaced: validLen(p) bytes.
func (p *pieces) writeValid(dst, src []byte) []byte {
	for len(src) > 0 {
		n := validPrefix(src)
		dst = p.write(dst, src[:n])
		if src = src[n:]; len(src) > 0 {
			dst = append(p.room(dst, len(replacement)), replacement...)
			src = src[1:]
		}
	}
	return dst
}

// validPrefix is the number of bytes before the first invalid one.
func validPrefix(p []byte) int {
	for i := 0; i < len(p); {
		if p[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(p)
}
