package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// A stage is what the last stage of a Dockerfile says. It begins from scratch.
type stage struct {
	args       map[string]string
	labels     map[string]string
	copies     []copied // each is a layer
	user       string
	ports      []string // PORT/PROTOCOL
	entrypoint []string
}

// A copied file comes from an earlier stage; both paths are absolute, and to names the file itself.
type copied struct{ from, to string }

// parse reads the last stage of a Dockerfile; given are the values of arguments. It knows what ours has, and an
// instruction or a form beyond that is an error: left out, the two images would differ.
// See https://docs.docker.com/reference/dockerfile/.
func parse(text string, given map[string]string) (*stage, error) {
	var s *stage
	line := ""
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		if head, more := strings.CutSuffix(l, `\`); more {
			line += head + " "
			continue
		}
		instruction, rest, _ := strings.Cut(strings.TrimSpace(line+l), " ")
		line = ""
		rest = strings.TrimSpace(rest)
		if strings.EqualFold(instruction, "FROM") {
			s = nil
			if rest == "scratch" {
				s = &stage{args: map[string]string{}, labels: map[string]string{}}
			}
			continue
		}
		if s == nil {
			continue // of a stage that files are copied from
		}
		if err := s.add(strings.ToUpper(instruction), rest, given); err != nil {
			return nil, fmt.Errorf("%s %s: %w", instruction, rest, err)
		}
	}
	if s == nil || len(s.entrypoint) == 0 || len(s.copies) == 0 {
		return nil, fmt.Errorf("the last stage is not one from scratch with COPY and ENTRYPOINT")
	}
	return s, nil
}

func (s *stage) add(instruction, rest string, given map[string]string) error {
	switch instruction {
	case "ARG":
		key, value, _ := strings.Cut(rest, "=")
		if v, ok := given[key]; ok {
			value = v
		}
		s.args[key] = value
	case "LABEL":
		return s.label(rest)
	case "COPY":
		words := strings.Fields(rest)
		if len(words) != 3 || !strings.HasPrefix(words[0], "--from=") || words[1][0] != '/' || words[2][0] != '/' || strings.HasSuffix(words[2], "/") {
			return fmt.Errorf("not of the form COPY --from=STAGE /FILE /FILE")
		}
		s.copies = append(s.copies, copied{words[1], words[2]})
	case "USER":
		s.user = rest
	case "EXPOSE":
		for _, port := range strings.Fields(rest) {
			if !strings.Contains(port, "/") {
				port += "/tcp"
			}
			s.ports = append(s.ports, port)
		}
	case "ENTRYPOINT":
		if err := json.Unmarshal([]byte(rest), &s.entrypoint); err != nil {
			return fmt.Errorf("not a list of strings: %w", err)
		}
	default:
		return fmt.Errorf("an instruction that make image does not know: add it to deploy/image")
	}
	return nil
}

// label reads KEY="VALUE" KEY="VALUE".
func (s *stage) label(rest string) error {
	for rest != "" {
		key, after, ok := strings.Cut(rest, `="`)
		value, next, closed := strings.Cut(after, `"`)
		if !ok || !closed || strings.ContainsAny(key, ` "`) || strings.Contains(value, `\`) {
			return fmt.Errorf(`not of the form KEY="VALUE", with nothing escaped`)
		}
		s.labels[key] = os.Expand(value, func(name string) string { return s.args[name] })
		rest = strings.TrimSpace(next)
	}
	return nil
}
