package tail

import (
	"bytes"
	"encoding/binary"
)

// The stream and the tag of a CRI line as they lie in memory, eight bytes.
const (
	stdoutF = 's' | 't'<<8 | 'd'<<16 | 'o'<<24 | 'u'<<32 | 't'<<40 | ' '<<48 | 'F'<<56
	stderrF = 's' | 't'<<8 | 'd'<<16 | 'e'<<24 | 'r'<<32 | 'r'<<40 | ' '<<48 | 'F'<<56
	stdoutP = 's' | 't'<<8 | 'd'<<16 | 'o'<<24 | 'u'<<32 | 't'<<40 | ' '<<48 | 'P'<<56
	stderrP = 's' | 't'<<8 | 'd'<<16 | 'e'<<24 | 'r'<<32 | 'r'<<40 | ' '<<48 | 'P'<<56
)

// cri reads one line as containerd and CRI-O write it, without its newline:
//
//	2026-01-02T03:04:05.123456789Z stdout F the message
//
// The format is the one of the Kubernetes design "CRI: Log Path and Format" (kubelet-cri-logging): time, stream, tags,
// message, one space between them. Tags are separated by ':' and the first says whether the message ends here (F) or
// goes on in the next line of its stream (P); we know no other tags and pass over them. The message may be empty, and
// its space may then be missing. A '\r' before the newline belongs to the message. clock.time says what a time is.
//
// It is false for anything else, and l is then unchanged. b is never changed.
func (c *clock) cri(b []byte, l *line) bool {
	t, n := c.time(b)
	if n == 0 || len(b) < n+len(" stdout F") || b[n] != ' ' {
		return false
	}
	var stderr, part bool
	switch binary.LittleEndian.Uint64(b[n+1:]) {
	case stdoutF:
	case stderrF:
		stderr = true
	case stdoutP:
		part = true
	case stderrP:
		stderr, part = true, true
	default:
		return false
	}
	rest := b[n+len(" stdout F"):]
	if len(rest) > 0 && rest[0] == ':' {
		tags := bytes.IndexByte(rest, ' ')
		if tags < 0 {
			tags = len(rest)
		}
		rest = rest[tags:]
	}
	if len(rest) > 0 {
		if rest[0] != ' ' {
			return false
		}
		rest = rest[1:]
	}
	l.time, l.body, l.stderr, l.part = t, rest, stderr, part
	return true
}
