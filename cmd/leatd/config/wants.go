package config

import (
	"errors"
	"path"
	"strings"
)

// Wants says whether the logs of a container are read: some pattern of Include matches, or there is none, and no pattern
// of Exclude does. A pattern is NAMESPACE/POD/CONTAINER, each part with the wildcards of path.Match; one with
// fewer parts matches whatever comes after, so "kube-system" is a whole namespace.
func (l Logs) Wants(namespace, pod, container string) bool {
	match := func(patterns []string) bool {
		for _, p := range patterns {
			if matchContainer(p, namespace, pod, container) {
				return true
			}
		}
		return false
	}
	return (len(l.Include) == 0 || match(l.Include)) && !match(l.Exclude)
}

func matchContainer(pattern string, names ...string) bool {
	rest, more := pattern, true
	for _, name := range names {
		if !more {
			return true
		}
		var part string
		part, rest, more = strings.Cut(rest, "/")
		if ok, err := path.Match(part, name); !ok || err != nil {
			return false
		}
	}
	return !more
}

// checkPattern says what is wrong with a pattern of containers.
func checkPattern(pattern string) error {
	parts := strings.Split(pattern, "/")
	if len(parts) > 3 {
		return errors.New("a pattern has at most three parts, NAMESPACE/POD/CONTAINER")
	}
	for _, part := range parts {
		if part == "" {
			return errors.New("a part of the pattern is empty: write * for any name")
		}
		if _, err := path.Match(part, ""); err != nil {
			return errors.New("not a pattern: a [ without its ], or a \\ at the end")
		}
	}
	return nil
}
