package tail

import (
	"bytes"
	"encoding/binary"
)

// docker reads one line as Docker's json-file logging driver writes it, without its newline:
//
//	{"log":"the message\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-01-02T03:04:05.123456789Z"}
//
// It takes what RFC 8259 calls an object, with any keys in any order and any values, as long as "log" is a string and
// "time" a time (clock.time); the last of equal keys counts, and a null counts as not given. Stream "stderr" is standard
// error, any other or none is standard output. Values of other keys may be nested maxDepth deep.
//
// Messages are decoded as encoding/json does it: half a surrogate pair becomes U+FFFD, an escape that JSON does not
// have makes the line no JSON. In two things it is kinder, since nothing must be lost: bytes that are no UTF-8, and
// control characters that should have been escaped, stay as they are.
//
// Docker ends a message that is complete with a newline, which is taken off, and cuts messages longer than 16 KiB into
// parts, which have none.
//
// The message is decoded in place, over the line's own bytes: no escape is shorter than what it stands for. That is
// done only when the whole line was found good: where docker is false, b and l are unchanged.
func (c *clock) docker(b []byte, l *line) bool {
	var m message
	if !c.scan(b, &m) {
		return false
	}
	body := m.log
	if m.escape < len(body) {
		body = body[:unescape(body, m.escape)]
	}
	part := !m.newline
	if n := len(body) - 1; part && n >= 0 && body[n] == '\n' {
		body, part = body[:n], false
	}
	l.time, l.body, l.stderr, l.part = m.time, body, m.stderr, part
	return true
}

// A message is where the pieces of a docker line lie, before anything is decoded.
type message struct {
	log     []byte // between the quotes, as written
	escape  int    // where the first backslash of log is; len(log) if there is none
	newline bool   // the \n at the end was seen already and is not in log
	time    int64
	stderr  bool

	seenLog, seenTime bool
}

const (
	logHead    = '{' | '"'<<8 | 'l'<<16 | 'o'<<24 | 'g'<<32 | '"'<<40 | ':'<<48 | '"'<<56
	stdoutTail = `,"stream":"stdout","time":"`
	stderrTail = `,"stream":"stderr","time":"`
)

// scan finds the pieces of a docker line, and finds the whole of it good or not. b is not changed.
//
// A line nearly always is, byte for byte, what Docker writes: the message first, then, unless there are attributes, one
// of two tails and the time. That is tried first; what it does not fit goes on by the rules of JSON from there.
func (c *clock) scan(b []byte, m *message) bool {
	if len(b) < 8 || binary.LittleEndian.Uint64(b) != logHead {
		if b = space(b); !at(b, '{') {
			return false
		}
		return c.members(b[1:], m)
	}
	text := b[len(`{"log":"`):]
	end := m.message(text)
	if end < 0 {
		return false
	}
	rest := text[end+1:]
	const n = len(stdoutTail)
	if len(rest) > n && (string(rest[:n]) == stdoutTail || string(rest[:n]) == stderrTail) {
		t, end := c.time(rest[n:])
		if end > 0 && string(rest[n+end:]) == `"}` {
			m.time, m.stderr = t, rest[len(`,"stream":"std`)] == 'e'
			return true
		}
	}
	rest = space(rest)
	return at(rest, ',') && c.members(rest[1:], m)
}

// message reads the inside of the "log" string that text begins with, and returns where it ends; -1 if it doesn't.
// Most have no escape but the newline at the end: those are found without a look at each byte.
func (m *message) message(text []byte) (end int) {
	m.seenLog = true
	if end = bytes.IndexByte(text, '"'); end < 0 {
		return -1
	}
	switch m.escape = bytes.IndexByte(text[:end], '\\'); {
	case m.escape < 0:
		m.escape = end
	case m.escape == end-2 && text[end-1] == 'n':
		m.log, m.newline = text[:end-2], true
		return end
	default:
		n, _ := stringEnd(text[m.escape:])
		if n < 0 {
			return -1
		}
		end = m.escape + n
	}
	m.log = text[:end]
	return end
}

// members reads the members of a docker line's object that are left, and its end, by the rules of JSON.
func (c *clock) members(b []byte, m *message) bool {
	for {
		key, escape, rest, ok := quoted(space(b))
		if !ok {
			return false
		}
		if rest = space(rest); !at(rest, ':') {
			return false
		}
		if b, ok = c.member(key, escape, space(rest[1:]), m); !ok {
			return false
		}
		if b = space(b); !at(b, ',') {
			break
		}
		b = b[1:]
	}
	return at(b, '}') && len(space(b[1:])) == 0 && m.seenLog && m.seenTime
}

// member reads the value of one member.
func (c *clock) member(key []byte, escape int, b []byte, m *message) (rest []byte, ok bool) {
	switch null := at(b, 'n'); {
	case !null && same(key, escape, "log"):
		m.log, m.escape, rest, ok = quoted(b)
		m.newline, m.seenLog = false, true
		return rest, ok
	case !null && same(key, escape, "stream"):
		var name []byte
		name, escape, rest, ok = quoted(b)
		m.stderr = same(name, escape, "stderr")
		return rest, ok
	case !null && same(key, escape, "time"):
		if !at(b, '"') {
			return nil, false
		}
		t, n := c.time(b[1:])
		m.time, m.seenTime = t, true
		rest = b[1+n:]
		if n == 0 || !at(rest, '"') {
			return nil, false
		}
		return rest[1:], true
	}
	return skip(b, maxDepth)
}
