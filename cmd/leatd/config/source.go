package config

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A source is the text of a configuration file as errors show it: line by line, without what could be a secret.
type source struct {
	lines  []string
	nodes  []*yaml.Node       // in the order of the text
	after  map[*yaml.Node]int // the place in nodes of the first behind
	hidden []*yaml.Node

	// noYAML is set where there are no nodes to tell secrets by.
	noYAML bool
}

const hiddenText = "<hidden>"

// breaks are the line breaks that YAML counts.
var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

func newSource(data []byte) *source {
	text := strings.TrimPrefix(strings.ToValidUTF8(string(data), "\uFFFD"), "\uFEFF")
	return &source{lines: strings.Split(breaks.Replace(text), "\n"), after: make(map[*yaml.Node]int)}
}

// index learns where each node ends: where the next one begins that is not inside it.
func (s *source) index(n *yaml.Node) {
	s.nodes = append(s.nodes, n)
	for _, child := range n.Content {
		s.index(child)
	}
	s.after[n] = len(s.nodes)
}

// end is the first node behind n, nil if there is none.
func (s *source) end(n *yaml.Node) *yaml.Node {
	if i, known := s.after[n]; known && i < len(s.nodes) {
		return s.nodes[i]
	}
	return nil
}

// hide keeps the text of a node out of every line that will be shown.
func (s *source) hide(n *yaml.Node) { s.hidden = append(s.hidden, n) }

// A span is a range of a line, in runes.
type span struct{ from, to int }

// A secret's name, or a part of it, in a file that cannot be parsed.
var (
	secretWord = regexp.MustCompile(`(?i)pass|secret|token|cred|key|header|auth|claim|param|value|@`)
	bareKey    = regexp.MustCompile(`^[ ]*(- +)?[A-Za-z_][A-Za-z0-9_.-]*:( |$)`)
	comment    = regexp.MustCompile(`[ \t]#.*$`) // a password that begins with # looks like one
	userInfo   = regexp.MustCompile(`://.*@`)
)

// spans are what is to be left out of a line, in order and apart.
func (s *source) spans(line int) []span {
	runes := []rune(s.lines[line-1])
	indent := 0
	for indent < len(runes) && (runes[indent] == ' ' || runes[indent] == '\t') {
		indent++
	}
	var all []span
	if s.noYAML {
		all = s.guess(line, indent, len(runes))
	}
	for _, n := range s.hidden {
		from, to := indent, len(runes)
		if n.Line == line {
			from = n.Column - 1
		}
		end := s.end(n)
		if end != nil && end.Line == line {
			to = end.Column - 1
			for to > from && strings.ContainsRune(" ,]}", runes[min(to, len(runes))-1]) {
				to-- // the separator before the next node is no secret
			}
		}
		if n.Line <= line && (end == nil || line <= end.Line) && from < to {
			all = append(all, span{from, min(to, len(runes))})
		}
	}
	text := s.lines[line-1]
	if m := userInfo.FindStringIndex(text); m != nil {
		all = append(all, span{utf8.RuneCountInString(text[:m[0]]) + 3, utf8.RuneCountInString(text[:m[1]]) - 1})
	}
	if m := comment.FindStringIndex(text); m != nil {
		all = append(all, span{utf8.RuneCountInString(text[:m[0]]) + 1, len(runes)})
	}
	slices.SortFunc(all, func(a, b span) int { return a.from - b.from })
	var apart []span
	for _, sp := range all {
		if n := len(apart); n > 0 && sp.from <= apart[n-1].to {
			apart[n-1].to = max(apart[n-1].to, sp.to)
		} else {
			apart = append(apart, sp)
		}
	}
	return apart
}

// guess hides what may be a secret in a file that is not YAML. If no line so far speaks of one, nothing; else all of the
// line but the key it begins with, for the mistake may be what ends a secret too late.
func (s *source) guess(line, indent, end int) []span {
	if !slices.ContainsFunc(s.lines[:line], secretWord.MatchString) {
		return nil
	}
	if key := bareKey.FindString(s.lines[line-1]); key != "" {
		indent = len(key) // of ASCII only
	}
	return []span{{indent, end}}
}

// width is how much of a long line is shown, in runes.
const width = 120

// show returns the line without its hidden parts, and a second one with a caret under the column.
func (s *source) show(line, column int) string {
	runes := []rune(s.lines[line-1])
	at := max(0, min(column-1, len(runes)))
	var text []rune
	caret, done := -1, 0
	keep := func(to int) {
		if caret < 0 && at <= to {
			caret = len(text) + max(0, at-done)
		}
		text = append(text, runes[done:to]...)
		done = to
	}
	for _, sp := range s.spans(line) {
		keep(sp.from)
		if caret < 0 && at < sp.to {
			caret = len(text)
		}
		text = append(text, []rune(hiddenText)...)
		done = sp.to
	}
	keep(len(runes))
	if caret < 0 {
		caret = len(text)
	}
	for i, c := range text {
		if c < ' ' || 0x7f <= c && c < 0xa0 {
			text[i] = ' ' // a tab would move the caret, an escape the terminal
		}
	}
	if first := max(0, caret-width/2); len(text) > width {
		last := min(len(text), first+width)
		text, caret = text[first:last], caret-first
	}
	return "    " + strings.TrimRight(string(text), " ") + "\n    " + strings.Repeat(" ", caret) + "^"
}
