package sinktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// ndjson reads objects of one level, one a line, the last line with its newline.
func (d *decoder) ndjson(body []byte) error {
	for len(body) > 0 {
		end := bytes.IndexByte(body, '\n')
		if end < 0 {
			return fmt.Errorf("ndjson: the last line has no end: %.200q", body)
		}
		if err := d.object(body[:end]); err != nil {
			return fmt.Errorf("ndjson: %w: %.200q", err, body[:end])
		}
		body = body[end+1:]
	}
	return nil
}

// The members that say where a line is from, in the order in which they make a source's key.
var sourceMembers = [...]string{"k8s.namespace.name", "k8s.pod.name", "k8s.container.name", "log.iostream", "log.file.path"}

// object reads one line. What is the same in all lines of a source stands behind the text as its encoder wrote it, but
// that is not relied upon.
func (d *decoder) object(line []byte) error {
	var at int64
	var text []byte
	var from [len(sourceMembers)][]byte
	seenTime, seenText := false, false
	err := members(line, func(key, token []byte) (err error) {
		switch string(key) {
		case "time":
			seenTime = true
			at, err = unixNano(token)
			return err
		case "msg":
			seenText = true
			text, err = unquote(token)
			return err
		}
		for i, name := range sourceMembers {
			if string(key) == name {
				from[i] = token
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case !seenTime || !seenText:
		return fmt.Errorf("no time or no msg")
	}

	d.key = d.key[:0]
	for _, token := range from {
		d.key = append(append(d.key, token...), 0)
	}
	source := d.known[string(d.key)]
	if source == nil {
		var names [len(sourceMembers)]string
		for i, token := range from {
			if token == nil {
				continue
			}
			name, err := unquote(token)
			if err != nil {
				return err
			}
			names[i] = string(name)
		}
		source = d.source(names[0], names[1], names[2], names[3], names[4])
		d.known[string(d.key)] = source
	}
	d.see(source, at, text)
	return nil
}

// members walks an object's members; token is a value as it stands there.
func members(b []byte, see func(key, token []byte) error) error {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return fmt.Errorf("no object")
	}
	b = b[1 : len(b)-1]
	for {
		n := stringEnd(b)
		if n < 0 || n >= len(b) || b[n] != ':' {
			return fmt.Errorf("no member at %.40q", b)
		}
		key := b[1 : n-1]
		b = b[n+1:]
		n = stringEnd(b)
		if n < 0 { // a number or a word
			if n = bytes.IndexByte(b, ','); n < 0 {
				n = len(b)
			}
			if !json.Valid(b[:n]) {
				return fmt.Errorf("no value at %.40q", b)
			}
		}
		if err := see(key, b[:n]); err != nil {
			return err
		}
		if n == len(b) {
			return nil
		}
		if b[n] != ',' {
			return fmt.Errorf("no comma at %.40q", b[n:])
		}
		b = b[n+1:]
	}
}

// stringEnd is the length of the JSON string that b begins with, quotes included; -1 if it begins with none.
func stringEnd(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return -1
	}
	for i := 1; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		slashes := 0
		for b[i-1-slashes] == '\\' {
			slashes++
		}
		i++
		if slashes%2 == 0 {
			return i
		}
	}
}

// unquote is the text of a JSON string; without escapes, that is the bytes as they stand there.
func unquote(token []byte) ([]byte, error) {
	if len(token) < 2 || token[0] != '"' {
		return nil, fmt.Errorf("no string: %.40q", token)
	}
	inner := token[1 : len(token)-1]
	plain := utf8.Valid(inner)
	for _, c := range inner {
		if c < ' ' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		return inner, nil
	}
	if !utf8.Valid(inner) { // encoding/json would mend it without a word
		return nil, fmt.Errorf("no valid UTF-8: %.40q", inner)
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return nil, err
	}
	return []byte(s), nil
}

func unixNano(token []byte) (int64, error) {
	if len(token) < 2 {
		return 0, fmt.Errorf("no time: %q", token)
	}
	t, err := time.Parse(time.RFC3339Nano, string(token[1:len(token)-1]))
	return t.UnixNano(), err
}
