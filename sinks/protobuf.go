package sinks

import "math/bits"

// The protobuf wire format, as far as the encoders need it: a field is a tag (its number and wire type, one byte for
// all fields here), then a varint, eight bytes, or a length and as many bytes. Lengths of nested messages are computed
// before anything is written, since by the time a message ends its beginning is compressed already.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
)

// uvarintLen is the number of bytes of v as a varint.
func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// putUvarint writes v to the beginning of p and returns its length.
func putUvarint(p []byte, v uint64) int {
	i := 0
	for v >= 0x80 {
		p[i] = byte(v) | 0x80
		v >>= 7
		i++
	}
	p[i] = byte(v)
	return i + 1
}

func appendUvarint(dst []byte, v uint64) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

// fieldLen is the length of a field of n bytes: tag, length, content.
func fieldLen(n int) int { return 1 + uvarintLen(uint64(n)) + n }

// appendHead begins a field of n bytes.
func appendHead(dst []byte, number byte, n int) []byte {
	return appendUvarint(append(dst, number<<3|wireBytes), uint64(n))
}

// appendField appends a field of bytes, or of a message already encoded.
func appendField[T []byte | string](dst []byte, number byte, content T) []byte {
	return append(appendHead(dst, number, len(content)), content...)
}

// appendPair appends a field that is a message of two strings, its fields 1 and 2.
func appendPair(dst []byte, number byte, name, value string) []byte {
	dst = appendHead(dst, number, fieldLen(len(name))+fieldLen(len(value)))
	return appendField(appendField(dst, 1, name), 2, value)
}
