package simulate

import (
	"bytes"
	"math"
)

var (
	seqWord = []byte("seq=")
	seqKey  = []byte(`"seq":`)
)

// AppendSeq adds " seq=000000123" to a line; nine digits at least.
func AppendSeq(line []byte, seq int64) []byte {
	line = append(line, " seq="...)
	width := 9
	for v := seq / 1_000_000_000; v > 0; v /= 10 {
		width++
	}
	return digits(line, int(seq), width)
}

// Seq finds the sequence number in a line: the last " seq=DIGITS" that stands alone, else the first "seq":DIGITS of a
// line of JSON. A line with none, or with a number beyond 63 bits, has no number.
func Seq(line []byte) (int64, bool) {
	if i := bytes.LastIndex(line, seqWord); i >= 0 && (i == 0 || line[i-1] == ' ') {
		return number(line[i+len(seqWord):], ' ')
	}
	if i := bytes.Index(line, seqKey); i >= 0 && line[0] == '{' {
		return number(line[i+len(seqKey):], ',')
	}
	return 0, false
}

// number reads digits up to the end of b, a stop, or the end of a JSON object.
func number(b []byte, stop byte) (int64, bool) {
	var n int64
	for i, c := range b {
		d := int64(c - '0')
		switch {
		case c >= '0' && c <= '9' && n <= (math.MaxInt64-d)/10:
			n = n*10 + d
		case (c == stop || c == '}') && i > 0:
			return n, true
		default:
			return 0, false
		}
	}
	return n, len(b) > 0
}
