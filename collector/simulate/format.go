package simulate

import (
	"time"
	"unicode/utf8"
)

// A stamp writes RFC 3339 times in UTC with trailing zeros trimmed. It keeps the text of the current second, which is
// what makes a load of millions of lines a second possible.
type stamp struct {
	second int64
	text   []byte // "2006-01-02T15:04:05"
}

func (p *stamp) append(b []byte, t time.Time) []byte {
	if s := t.Unix(); s != p.second || p.text == nil {
		p.second, p.text = s, t.UTC().AppendFormat(p.text[:0], "2006-01-02T15:04:05")
	}
	b = append(b, p.text...)
	if ns := t.Nanosecond(); ns != 0 {
		b = append(b, '.')
		for unit := 100_000_000; ns > 0; unit /= 10 {
			b = append(b, '0'+byte(ns/unit))
			ns %= unit
		}
	}
	return append(b, 'Z')
}

// appendCRI adds a record "TIME STREAM TAG TEXT".
func (c *Container) appendCRI(b []byte, s Stream, text []byte, full bool, t time.Time) []byte {
	b = c.stamp.append(b, t)
	if s == Stderr {
		b = append(b, " stderr "...)
	} else {
		b = append(b, " stdout "...)
	}
	if full {
		b = append(b, "F "...)
	} else {
		b = append(b, "P "...)
	}
	b = append(b, text...)
	return append(b, '\n')
}

// appendDocker adds a record of Docker's json-file driver; a part's log lacks the newline.
func (c *Container) appendDocker(b []byte, s Stream, text []byte, full bool, t time.Time) []byte {
	b = append(b, `{"log":"`...)
	b = appendJSON(b, text)
	if full {
		b = append(b, `\n`...)
	}
	b = append(b, `","stream":"`...)
	b = append(b, s.String()...)
	b = append(b, `","time":"`...)
	b = c.stamp.append(b, t)
	return append(b, "\"}\n"...)
}

// appendJSON adds text as the inside of a JSON string the way Docker does: <, > and & by their number, control
// characters likewise but for \n and \r, and U+FFFD in the place of each byte that is no UTF-8.
func appendJSON(b, text []byte) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(text[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(append(b, text[start:i]...), `\ufffd`...)
				start = i + 1
			case r == '\u2028' || r == '\u2029':
				b = append(append(b, text[start:i]...), `\u202`...)
				b = append(b, hex[r&15])
				start = i + n
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' {
			i++
			continue
		}
		b = append(b, text[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(b, text[start:]...)
}
