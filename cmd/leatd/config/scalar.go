package config

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// scalar fills v from n if v is of a type that is written as one value, and says whether it is.
// Messages never repeat the value: it stands in the line below, or it is a secret.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) bool {
	var set func(text string) error
	switch into := v.Addr().Interface().(type) {
	case *promconfig.Secret:
		d.hide(n)
		if isNull(n) {
			d.problem(n, path, "has no value: put quotes around one that begins with # or ~, or is null; or remove the key")
			return true
		}
		set = func(text string) error { *into = promconfig.Secret(text); return nil }
	case *promconfig.URL:
		if !harmlessURL.MatchString(n.Value) {
			d.hide(n)
		}
		schemes := []string{"http", "https"}
		if strings.HasSuffix(path, ".proxy_url") {
			schemes = append(schemes, "socks5", "socks5h")
		}
		set = func(text string) (err error) { into.URL, err = parseURL(text, schemes...); return err }
	case *promconfig.TLSVersion:
		set = func(text string) error {
			version, ok := promconfig.TLSVersions[text]
			*into = version
			return oneOf(text, "TLS10,TLS11,TLS12,TLS13", ok)
		}
	case *time.Duration:
		set = func(text string) (err error) { *into, err = parseDuration(text); return err }
	case *Size:
		set = func(text string) (err error) { *into, err = ParseSize(text); return err }
	case *string:
		choices := tag.Get("oneof")
		set = func(text string) error {
			*into = text
			return oneOf(text, choices, choices == "" || slices.Contains(strings.Split(choices, ","), text))
		}
	case *bool:
		set = func(text string) error { return parseBool(text, into) }
	case *int:
		set = func(text string) (err error) {
			if *into, err = strconv.Atoi(text); err != nil {
				return errors.New("must be a whole number")
			}
			return nil
		}
	case *float64:
		set = func(text string) (err error) {
			if *into, err = strconv.ParseFloat(text, 64); err != nil {
				return errors.New("must be a number")
			}
			return nil
		}
	case *any:
		set = func(text string) error {
			plain := yaml.Node{Kind: yaml.ScalarNode, Value: text, Tag: n.Tag, Style: n.Style}
			if text != n.Value && n.Style == 0 {
				plain.Tag = "" // what came from the environment is typed anew
			}
			return plain.Decode(into)
		}
		if n.Kind != yaml.ScalarNode {
			*into = d.free(n, path)
			return true
		}
	default:
		return false
	}
	if isNull(n) {
		return true
	}
	if !d.is(n, yaml.ScalarNode, path) {
		return true
	}
	text, names, wrong := expand(n.Value, d.env)
	for _, w := range wrong {
		d.problem(n, path, "%s", w)
	}
	if wrong != nil {
		return true
	}
	if text == "" && n.Style == 0 && v.Kind() != reflect.String {
		return true // an empty variable is an empty value
	}
	err := set(text)
	if err == nil {
		err = inRange(v, tag.Get("range"))
	}
	if err != nil {
		from := ""
		if names != nil {
			from = fmt.Sprintf(" (the value comes from the environment variable %s)", list(names))
		}
		d.problem(n, path, "%s%s", err, from)
	}
	return true
}

// free reads a value of any form; only the claims of a token have it.
func (d *decoder) free(n *yaml.Node, path string) any {
	read := func(value *yaml.Node, path string) (result any) {
		d.value(value, reflect.ValueOf(&result).Elem(), path, "")
		return result
	}
	if n.Kind == yaml.SequenceNode {
		all := make([]any, len(n.Content))
		for i, item := range n.Content {
			all[i] = read(item, fmt.Sprintf("%s[%d]", path, i))
		}
		return all
	}
	all := make(map[string]any)
	d.mapping(n, path, func(key, value *yaml.Node) { all[key.Value] = read(value, join(path, key.Value)) })
	return all
}

// harmlessURL is a URL that may be shown: no user, no password, no query, and nothing that could be a broken one of those.
var harmlessURL = regexp.MustCompile(`^([a-z0-9+]+://)?[A-Za-z0-9._-]+(:[0-9]*)?(/[A-Za-z0-9/._-]*)?$`)

// parseURL never repeats the text, nor the parser's words, which do: it can hold a password.
func parseURL(text string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "" || u.Fragment != "" {
		return nil, errors.New("not a URL of a server: write it as http://HOST:PORT or https://HOST:PORT/PATH, and special characters as %XX")
	}
	return u, nil
}

func parseDuration(text string) (time.Duration, error) {
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, errors.New("not a duration: write whole numbers with the units ms, s, m, h or d, such as 200ms, 5m or 1h30m")
	}
	return time.Duration(d), nil
}

func parseBool(text string, into *bool) error {
	switch text {
	case "true", "True", "TRUE":
		*into = true
	case "false", "False", "FALSE":
		*into = false
	default:
		return errors.New("must be true or false")
	}
	return nil
}

// oneOf is the error for a text that is none of the choices. The text is not repeated.
func oneOf(text, choices string, ok bool) error {
	if ok {
		return nil
	}
	names := strings.Split(choices, ",")
	if near := nearest(text, names); near != "" {
		return fmt.Errorf("must be one of %s: did you mean %s?", strings.Join(names, ", "), near)
	}
	return fmt.Errorf("must be one of %s", strings.Join(names, ", "))
}

// inRange checks v against LEAST,GREATEST, written as the values themselves are.
func inRange(v reflect.Value, bounds string) error {
	low, high, ok := strings.Cut(bounds, ",")
	if !ok {
		return nil
	}
	if f, isFloat := v.Interface().(float64); isFloat {
		least, _ := strconv.ParseFloat(low, 64)
		most, _ := strconv.ParseFloat(high, 64)
		if !(f >= least && f <= most) { // nor is it NaN
			return fmt.Errorf("must be from %s to %s", low, high)
		}
		return nil
	}
	number := func(text string) int64 {
		switch v.Interface().(type) {
		case time.Duration:
			d, _ := parseDuration(text)
			return int64(d)
		default:
			s, _ := ParseSize(text)
			return int64(s)
		}
	}
	if n := v.Int(); n < number(low) || n > number(high) {
		return fmt.Errorf("must be from %s to %s", low, high)
	}
	return nil
}
