package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	promconfig "github.com/prometheus/common/config"
)

// The rules that deploy/leat.yaml states: "# " begins an explanation, # and anything else an example.
var commented = regexp.MustCompile(`(?m)^( *)#(\S|  )`)

func readExample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../../deploy/leat.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestExampleIsTheDefaults(t *testing.T) {
	got, err := Load("leat.yaml", []byte(readExample(t)), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(testEnv); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
}

// TestExampleUncommented loads the example with all its examples, and holds the defaults that they show to those there are.
func TestExampleUncommented(t *testing.T) {
	text := commented.ReplaceAllString(readExample(t), "$1$2")
	env := environment(map[string]string{"REGION": "r", "PROXY_TOKEN": "p", "TEAM_TOKEN": "t"})
	got, err := Load("leat.yaml", []byte(text), env)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Labels) != 2 || len(got.Logs.Include) != 2 || len(got.Logs.Exclude) != 1 || len(got.Logs.Files) != 1 || len(got.Sinks) != 6 || got.Traces.URL.URL == nil {
		t.Fatalf("not all was uncommented: %+v", got)
	}
	for _, s := range got.Sinks {
		want := defaultSink(s.Type)
		if s.HTTP.FollowRedirects != want.HTTP.FollowRedirects || s.HTTP.EnableHTTP2 != want.HTTP.EnableHTTP2 {
			t.Errorf("%s: redirects and HTTP/2 are %v and %v, the defaults are others", s.Name, s.HTTP.FollowRedirects, s.HTTP.EnableHTTP2)
		}
		// The rest of these keys has no default.
		want.Name, want.URL, want.HTTP, want.Path = s.Name, s.URL, s.HTTP, s.Path
		want.Labels, want.StructuredMetadata = s.Labels, s.StructuredMetadata
		if !reflect.DeepEqual(s, want) {
			t.Errorf("%s:\n got %#v\nwant %#v", s.Name, s, want)
		}
	}
}

// TestExampleHasEveryKey looks for the keys of all structs, at any depth of comments.
func TestExampleHasEveryKey(t *testing.T) {
	text := readExample(t)
	seen := make(map[reflect.Type]bool)
	keys := 0
	var visit func(typ reflect.Type)
	visit = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(typ.Elem())
		case reflect.Struct:
			if seen[typ] || typ == reflect.TypeFor[promconfig.URL]() || !strings.Contains(typ.PkgPath(), "/config") {
				return
			}
			seen[typ] = true
			named, others := fieldsOf(typ)
			for _, f := range named {
				keys++
				if !regexp.MustCompile(`(?m)^[ #-]*` + f.name + `:`).MatchString(text) {
					t.Errorf("the key %s of %s is not in deploy/leat.yaml", f.name, typ)
				}
				visit(typ.FieldByIndex(f.index).Type)
			}
			if others != nil {
				visit(typ.FieldByIndex(others.index).Type)
			}
		}
	}
	visit(reflect.TypeFor[Config]())
	if keys < 70 {
		t.Errorf("only %d keys were found", keys)
	}
}
