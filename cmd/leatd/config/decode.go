package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A decoder fills structs from nodes. It knows the `yaml` tags of its own structs and of prometheus/common's, and the
// tags `for` (types of sinks), `range` (least and greatest) and `oneof`. What is wrong it notes and goes on.
type decoder struct {
	*invalid
	env    func(string) (string, bool)
	places map[string]place
	bad    map[string]bool // paths with a problem
}

// A place is where a key stands, by its path: "sinks.central.url", "logs.files[0].path".
type place struct{ key, value *yaml.Node }

// errNoted says that what is wrong has been noted already.
var errNoted = errors.New("noted")

// problem notes what is wrong with a node.
func (d *decoder) problem(n *yaml.Node, path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
		d.bad[path] = true
	}
	d.add(n.Line, n.Column, text)
}

// hide keeps the text of a node out of every error.
func (d *decoder) hide(n *yaml.Node) { d.source.hide(n) }

// unmarshaler is what prometheus/common's types implement: they fill in what they have defaults for, call back with
// a type of the same fields, and check the result.
type unmarshaler interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

// value fills v from n. An empty value leaves v as it is: its default.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.hide(n)
		d.problem(n, path, "anchors and aliases (& and *) are not supported: write the value out, or put quotes around it")
		return
	case n.Style&yaml.TaggedStyle != 0 && !slices.Contains([]string{"!!str", "!!map", "!!seq"}, n.Tag):
		d.hide(n)
		d.problem(n, path, "tags (!) are not supported: put quotes around a text that begins with !")
		return
	case d.scalar(n, v, path, tag):
		return
	case isNull(n):
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if u, ok := v.Addr().Interface().(unmarshaler); ok {
		before := len(d.problems)
		err := u.UnmarshalYAML(func(into any) error {
			d.compound(n, reflect.ValueOf(into).Elem(), path)
			if len(d.problems) > before {
				return errNoted
			}
			return nil
		})
		if err != nil && err != errNoted {
			d.complain(path, err)
		}
		return
	}
	d.compound(n, v, path)
}

// compound fills what is made of other values.
func (d *decoder) compound(n *yaml.Node, v reflect.Value, path string) {
	switch {
	case v.Type() == reflect.TypeFor[Sinks]():
		d.sinks(n, path, v)
	case v.Kind() == reflect.Struct:
		d.structure(n, v, path, "")
	case v.Kind() == reflect.Map:
		if d.is(n, yaml.MappingNode, path) {
			d.mapping(n, path, func(key, value *yaml.Node) { d.element(key, value, v, path) })
		}
	case v.Kind() == reflect.Slice:
		if !d.is(n, yaml.SequenceNode, path) {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			path := fmt.Sprintf("%s[%d]", path, i)
			d.places[path] = place{item, item}
			if isEmpty(item) {
				d.problem(item, path, "has no value: remove it, or write \"\" for an empty one")
				continue
			}
			d.value(item, v.Index(i), path, "")
		}
	default:
		panic("config: no way to read a " + v.Type().String())
	}
}

// element fills one value of a map.
func (d *decoder) element(key, value *yaml.Node, m reflect.Value, path string) {
	at := join(path, key.Value)
	d.places[at] = place{key, value}
	if isEmpty(value) {
		if strings.HasPrefix(path, "sinks.") {
			d.hide(key) // in a mapping of secrets it can be one that lost its key
			at = path
		}
		path = at
		d.problem(key, path, "has no value: remove it, or write \"\" for an empty one")
		return
	}
	v := reflect.New(m.Type().Elem()).Elem()
	d.value(value, v, at, "")
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	m.SetMapIndex(reflect.ValueOf(key.Value), v)
}

// structure fills a struct; typ is the type of a sink, "" elsewhere.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, path, typ string) {
	if !d.is(n, yaml.MappingNode, path) {
		return
	}
	all, others := fieldsOf(v.Type())
	known := of(typ, all)
	d.mapping(n, path, func(key, value *yaml.Node) {
		same := func(f field) bool { return f.name == key.Value }
		if i := slices.IndexFunc(known, same); i >= 0 {
			f := known[i]
			at := join(path, f.name)
			d.places[at] = place{key, value}
			if secretKeys[f.name] {
				d.hide(value)
			}
			d.value(value, v.FieldByIndex(f.index), at, f.tag)
			return
		}
		if others != nil {
			d.element(key, value, v.FieldByIndex(others.index), path)
			return
		}
		// What stands under a key that is not known can be anything, and nobody needs to see it.
		d.hide(value)
		if i := slices.IndexFunc(all, same); i >= 0 {
			d.problem(key, path, "%s is a key of %s sinks, and this is of type %s: remove it", key.Value, list(all[i].types), typ)
			return
		}
		text, shown := unknownKey(key.Value, namesOf(known), isNull(value))
		if !shown {
			d.hide(key)
		}
		d.problem(key, path, "%s", text)
	})
}

// secretKeys are those whose values can be secrets although their types don't say so.
var secretKeys = map[string]bool{"values": true, "claims": true, "endpoint_params": true}

// mapping calls do for each key that is a plain text and given once.
func (d *decoder) mapping(n *yaml.Node, path string, do func(key, value *yaml.Node)) {
	first := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch before := first[key.Value]; {
		case key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0:
			d.hide(key)
			d.hide(value)
			d.problem(key, path, "not a key: keys are plain text, with a colon and a space behind")
		case before != nil:
			d.hide(value)
			name := "a key"
			if plausible.MatchString(key.Value) {
				name = key.Value
			}
			d.problem(key, path, "%s is given twice, first in line %d: remove one", name, before.Line)
		default:
			first[key.Value] = key
			do(key, value)
		}
	}
}

// is says whether n is a mapping or a list where one is wanted. What stands there instead is not shown.
func (d *decoder) is(n *yaml.Node, kind yaml.Kind, path string) bool {
	if n.Kind == kind {
		return true
	}
	d.hide(n)
	want := map[yaml.Kind]string{
		yaml.ScalarNode:   "a single value",
		yaml.MappingNode:  "a mapping, lines of KEY: VALUE",
		yaml.SequenceNode: "a list, as [A, B] or as lines that begin with a dash",
	}
	d.problem(n, path, "must be %s", want[kind])
	return false
}

// referTo is how prometheus/common speaks of the keys that fieldsOf leaves out.
var referTo = regexp.MustCompile(`(\w+), (\w+) & \w+_ref\b`)

// complain notes an error of prometheus/common about a mapping as a whole, at the key that it speaks of.
func (d *decoder) complain(path string, err error) {
	text := referTo.ReplaceAllString(err.Error(), "$1 & $2")
	at, length := d.where(path), 0
	if n := d.places[path].value; n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i]; len(key.Value) > length && strings.Contains(text, key.Value) {
				at, length = key, len(key.Value)
			}
		}
	}
	d.problem(at, path, "%s", text)
}

// where is the node to point at for a path: its value, else its key, else those of what it stands in.
func (d *decoder) where(path string) *yaml.Node {
	for {
		if p, ok := d.places[path]; ok {
			if p.value.Kind == yaml.ScalarNode && !isNull(p.value) {
				return p.value
			}
			return p.key
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return &yaml.Node{Line: 1, Column: 1}
		}
		path = path[:i]
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list writes names as in a sentence.
func list(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// isEmpty says whether there is nothing at all; what has an anchor or a tag is complained about for that.
func isEmpty(n *yaml.Node) bool {
	return isNull(n) && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
