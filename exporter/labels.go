package exporter

import (
	"cmp"
	"strings"

	"github.com/leatd/leat/pipeline"
)

// An identity says whose figures a series shows, beside its sink. A label that is empty is absent: that is what an
// empty label means to Prometheus. Host files are told apart by their path, which is empty for containers.
type identity struct{ namespace, pod, container, path string }

// identify names the series that a target's row belongs to. The names come from folders that anybody may make.
func identify(t *pipeline.Target, by LogsBy) identity {
	switch by {
	case ByNamespace:
		return identity{namespace: valid(t.Namespace)}
	case ByNone:
		return identity{}
	}
	return identity{valid(t.Namespace), valid(t.Pod), valid(t.Container), valid(t.Path)}
}

// others is the identity that stands for all that have the same labels as this one: each of them says "other".
func (a *identity) others() (o identity) {
	for _, l := range [...]struct {
		own   string
		other *string
	}{{a.namespace, &o.namespace}, {a.pod, &o.pod}, {a.container, &o.container}, {a.path, &o.path}} {
		if l.own != "" {
			*l.other = "other"
		}
	}
	return o
}

func (a *identity) compare(b *identity) int {
	return cmp.Or(
		cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.pod, b.pod),
		cmp.Compare(a.container, b.container), cmp.Compare(a.path, b.path))
}

// Labels are an identity with its text: the labels in order of their names, each followed by a comma. A metric's own
// label and the sink's come after them.
type labels struct {
	identity
	head []byte
}

func newLabels(id identity) *labels {
	l := &labels{identity: id}
	id.each(func(name, value string) { l.head = append(appendLabel(l.head, name, value), ',') })
	return l
}

// each gives the labels that are there, in order of their names.
func (a *identity) each(label func(name, value string)) {
	for _, l := range [...]struct{ name, value string }{
		{"container", a.container}, {"namespace", a.namespace}, {"path", a.path}, {"pod", a.pod},
	} {
		if l.value != "" {
			label(l.name, l.value)
		}
	}
}

// appendLabel writes name="value" as both text formats want it.
func appendLabel(b []byte, name, value string) []byte {
	b = append(append(b, name...), `="`...)
	for i := range len(value) {
		switch c := value[i]; c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// valid makes a label value of any bytes.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
