package config

import (
	"reflect"
	"slices"
	"strings"
)

// A field is one key of a mapping and the struct's field that it fills.
type field struct {
	name  string
	index []int
	tag   reflect.StructTag
	types []string // the types of sinks that know the key; nil: all
}

// fieldsOf lists the keys of a struct, those of inlined structs too, and the inlined map that takes all other keys.
// The keys *_ref of prometheus/common are left out: they name secrets of a secret manager, and leatd has none.
func fieldsOf(t reflect.Type) (named []field, others *field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" || strings.HasSuffix(name, "_ref") {
			continue
		}
		one := field{name: name, index: f.Index, tag: f.Tag}
		if types := f.Tag.Get("for"); types != "" {
			one.types = strings.Split(types, ",")
		}
		switch {
		case !strings.Contains(options, "inline"):
			named = append(named, one)
		case f.Type.Kind() == reflect.Map:
			others = &one
		default:
			inner, rest := fieldsOf(f.Type)
			for _, in := range inner {
				in.index = slices.Concat(f.Index, in.index)
				if in.types == nil {
					in.types = one.types
				}
				named = append(named, in)
			}
			if rest != nil {
				rest.index = slices.Concat(f.Index, rest.index)
				others = rest
			}
		}
	}
	return named, others
}

// of keeps the fields that a type of sink knows; all if the type is "".
func of(typ string, fields []field) []field {
	return slices.DeleteFunc(slices.Clone(fields), func(f field) bool {
		return typ != "" && f.types != nil && !slices.Contains(f.types, typ)
	})
}

func namesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}
