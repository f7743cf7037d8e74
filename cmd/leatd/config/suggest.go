package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	promconfig "github.com/prometheus/common/config"
)

// nearest is the candidate that was probably meant, "" if none is near: a few letters wrong, or a part left out.
func nearest(name string, candidates []string) string {
	best, least := "", len(name)/3+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), c); d < least || d == least && best == "" && d <= 2 {
			best, least = c, d
		}
	}
	if best == "" && len(name) >= 4 {
		for _, c := range candidates {
			if strings.Contains(c, name) || len(c) >= 4 && strings.Contains(name, c) {
				return c
			}
		}
	}
	return best
}

// distance is the number of letters to insert, remove, change or swap with their neighbour to make b of a.
func distance(a, b string) int {
	prev, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], prev[j-2]+1)
			}
		}
		prev, row, next = row, next, prev
	}
	return row[len(b)]
}

// sections are the places where a key could have been meant to stand.
var sections = []struct {
	name string
	of   reflect.Type
}{
	{"at the top level", reflect.TypeFor[Config]()},
	{"under logs", reflect.TypeFor[Logs]()},
	{"under metrics", reflect.TypeFor[Metrics]()},
	{"under sinks.NAME", reflect.TypeFor[Sink]()},
	{"under sinks.NAME.basic_auth", reflect.TypeFor[promconfig.BasicAuth]()},
	{"under sinks.NAME.authorization", reflect.TypeFor[promconfig.Authorization]()},
	{"under sinks.NAME.oauth2", reflect.TypeFor[promconfig.OAuth2]()},
	{"under sinks.NAME.tls_config", reflect.TypeFor[promconfig.TLSConfig]()},
}

// plausible is what looks like a key.
var plausible = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,40}$`)

// unknownKey says what to do about a key that is none of those known here, and whether the key may be shown. One without
// a value, or that does not look like a key, can be a value that stands in the wrong place.
func unknownKey(name string, known []string, empty bool) (text string, shown bool) {
	if !plausible.MatchString(name) {
		return "not a key: keys are letters, digits and _, with a colon and a space behind", false
	}
	text = fmt.Sprintf("unknown key %q", name)
	for _, s := range sections {
		named, _ := fieldsOf(s.of)
		if slices.Contains(namesOf(named), name) {
			return fmt.Sprintf("%s: it belongs %s", text, s.name), true
		}
	}
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("%s: did you mean %s?", text, near), true
	}
	if empty {
		text = "unknown key without a value"
	}
	if len(known) <= 12 {
		return fmt.Sprintf("%s: the keys here are %s", text, strings.Join(known, ", ")), !empty
	}
	return text + ": remove it, or look for the right one in the example configuration", !empty
}
