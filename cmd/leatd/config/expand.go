package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// expand replaces ${NAME} by the variable's value and $$ by $; any other $ stays. It returns the names it met, and
// everything that is wrong. The result may hold a secret; the complaints never do.
func expand(text string, env func(string) (string, bool)) (result string, names, wrong []string) {
	if !strings.Contains(text, "$") {
		return text, nil, nil
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String(), names, wrong
		}
		text = after
		switch {
		case strings.HasPrefix(text, "$"):
			b.WriteByte('$')
			text = text[1:]
		case strings.HasPrefix(text, "{"):
			name, rest, closed := strings.Cut(text[1:], "}")
			if !closed || !isVariable(name) {
				wrong = append(wrong, "${ without a name of letters, digits and _ and a }: write ${NAME}, or $${ for a plain ${")
				return "", names, wrong
			}
			text = rest
			names = append(names, name)
			value, ok := env(name)
			switch {
			case !ok:
				wrong = append(wrong, fmt.Sprintf("the environment variable %s is not set: set it, or write $${%s} for the text itself", name, name))
			case !utf8.ValidString(value):
				wrong = append(wrong, fmt.Sprintf("the environment variable %s is not UTF-8 text", name))
			}
			b.WriteString(value)
		default:
			b.WriteByte('$')
		}
	}
}

func isVariable(name string) bool {
	for i, c := range name {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
