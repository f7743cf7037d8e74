package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"
)

// Load reads a configuration. path is the file's name, for errors and because paths of certificates and passwords
// count from its folder; data is what it holds; env looks up environment variables.
//
// An error lists everything that is wrong as FILE:LINE:COLUMN: WHAT, each with its line. An empty file is Default.
func Load(path string, data []byte, env func(name string) (value string, ok bool)) (*Config, error) {
	e := &invalid{file: path, source: newSource(data)}
	d := &decoder{invalid: e, env: env, places: make(map[string]place), bad: make(map[string]bool)}
	c := Default(env)
	c.Sinks = nil
	root := e.parse(data)
	if root != nil && len(e.problems) == 0 {
		e.source.index(root)
		d.value(root, reflect.ValueOf(c).Elem(), "", "")
		d.check(c)
	}
	if len(e.problems) > 0 {
		e.sort()
		return nil, e
	}
	for i := range c.Sinks {
		countFrom(filepath.Dir(path), &c.Sinks[i].HTTP)
	}
	countFrom(filepath.Dir(path), &c.Traces.HTTP)
	if limit, given := d.places["memory_limit"]; given {
		c.memoryGiven = !isNull(limit.value)
	}
	c.fill()
	return c, nil
}

// countFrom makes relative paths count from a folder.
func countFrom(dir string, http *promconfig.HTTPClientConfig) {
	http.SetDirectory(dir)
	if http.OAuth2 != nil && http.OAuth2.ClientCertificateKeyFile != "" && !filepath.IsAbs(http.OAuth2.ClientCertificateKeyFile) {
		http.OAuth2.ClientCertificateKeyFile = filepath.Join(dir, http.OAuth2.ClientCertificateKeyFile)
	}
}

// parse returns the one document of the file, nil if it is empty or on an error, which it adds.
func (e *invalid) parse(data []byte) *yaml.Node {
	if !e.isText(data) {
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	if err := decodeNode(decoder, &first); err != nil {
		if !errors.Is(err, io.EOF) {
			e.syntax(err)
		}
		return nil
	}
	switch err := decodeNode(decoder, &second); {
	case err == nil && len(second.Content) > 0:
		e.add(second.Line, second.Column, "a second document begins here: leatd reads one; remove the --- line, or what follows it")
		e.source.hide(second.Content[0])
	case err != nil && !errors.Is(err, io.EOF):
		e.syntax(err)
	}
	if len(first.Content) == 0 {
		return nil
	}
	return first.Content[0]
}

// decodeNode guards against the parser: on broken text it can panic where it should return an error.
func decodeNode(decoder *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("yaml: not readable as YAML")
		}
	}()
	return decoder.Decode(n)
}

// isText refuses what YAML does not allow to be in a file, with its place: the parser would not say where.
func (e *invalid) isText(data []byte) bool {
	line, column := 1, 1
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			e.add(line, column, "not UTF-8 text: save the file as UTF-8")
			e.source.noYAML = true
			return false
		case r == '\n', r == '\r' && !bytes.HasPrefix(data[i+1:], []byte("\n")), r == '\u0085', r == '\u2028', r == '\u2029':
			line, column = line+1, 0
		case unicode.IsControl(r) && r != '\t' && r != '\r' || r == '\uFEFF' || r == '\uFFFE' || r == '\uFFFF':
			e.add(line, column, fmt.Sprintf("the character %U cannot stand in YAML: remove it, or write it as an escape in double quotes", r))
			e.source.noYAML = true
			return false
		}
		i += size
		column++
	}
	return true
}

// hints say what to do about the parser's complaints; keys are parts of its texts.
var hints = []struct{ about, do string }{
	{"cannot start any token", "indent with spaces, not tabs, and put quotes around a text that begins with @, % or `"},
	{"mapping values are not allowed", "put quotes around a text with a colon and a space in it, or correct the indentation"},
	{"could not find expected ':'", "write a colon and a space behind every key"},
	{"unexpected end of stream", "close the quote or the bracket that is open"},
	{"did not find expected ',' or", "close quotes and brackets, and inside of { } and [ ] put quotes around ${NAME}"},
	{"begins an alias", "put quotes around a text that begins with *"},
	{"did not find expected", "correct the indentation, and close quotes and brackets"},
}

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	// afterLine is what yaml.v3 counts lines from 0 for.
	afterLine  = regexp.MustCompile(`^did not find expected (key|'-' indicator|',' or|node content|<document start>)`)
	yamlQuoted = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
)

// syntax adds an error of the YAML parser. It knows the line at best, or that where the block or bracket begins in which
// it stopped; the column is the line's first character.
func (e *invalid) syntax(err error) {
	e.source.noYAML = true
	line, text := 1, err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			if afterLine.MatchString(text) {
				n++
			}
			line = max(1, min(n, len(e.source.lines)))
		}
	}
	if m := yamlQuoted.FindStringSubmatch(text); m != nil {
		// The name may be what a password begins with.
		text = "* begins an alias, and there is no anchor of that name"
		for i, l := range e.source.lines {
			if strings.Contains(l, "*"+m[1]) {
				line = i + 1
				break
			}
		}
	}
	do := "correct it"
	for _, h := range hints {
		if strings.Contains(text, h.about) {
			do = h.do
			break
		}
	}
	shown := e.source.lines[line-1]
	column := utf8.RuneCountInString(shown) - utf8.RuneCountInString(strings.TrimLeft(shown, " \t")) + 1
	e.add(line, column, fmt.Sprintf("not YAML, near this line: %s: %s", text, do))
}
