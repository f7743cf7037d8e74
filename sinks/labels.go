package sinks

import (
	"slices"
	"strings"
	"unicode/utf8"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/leatd/leat/pipeline"
)

// The names that OTLP and NDJSON use beside those of the semantic conventions.
const (
	attrTruncated  = "leat.truncated"  // only the first max_line bytes were kept
	attrUnfinished = "leat.unfinished" // the file or the container ended before the line did
)

// attributes says whose lines a target's are, by the names of OpenTelemetry's semantic conventions, with the owner's
// labels behind. What is not known is left out. No name occurs twice, and none of taken occurs: an owner's label never
// replaces what tells targets apart.
func attributes(t *pipeline.Target, taken ...string) []pipeline.Label {
	var all []pipeline.Label
	add := func(name, value string) {
		same := func(l pipeline.Label) bool { return l.Name == name }
		if name != "" && !slices.Contains(taken, name) && !slices.ContainsFunc(all, same) {
			all = append(all, pipeline.Label{Name: name, Value: strings.ToValidUTF8(value, replacement)})
		}
	}
	for _, l := range []pipeline.Label{
		{Name: string(semconv.K8SNamespaceNameKey), Value: t.Namespace},
		{Name: string(semconv.K8SPodNameKey), Value: t.Pod},
		{Name: string(semconv.K8SPodUIDKey), Value: t.UID},
		{Name: string(semconv.K8SContainerNameKey), Value: t.Container},
		{Name: string(semconv.K8SNodeNameKey), Value: t.Node},
		{Name: string(semconv.LogFilePathKey), Value: t.Path},
	} {
		if l.Value != "" {
			add(l.Name, l.Value)
		}
	}
	for _, l := range t.Labels {
		add(strings.ToValidUTF8(l.Name, replacement), l.Value)
	}
	return all
}

// maxLabelValue is the longest label value in bytes that Loki takes with its default limits.
const maxLabelValue = 2048

// labelName is name as Prometheus and Loki allow it, [a-zA-Z_][a-zA-Z0-9_]*: one bad name and Loki refuses a whole
// request.
func labelName(name string) string {
	b := []byte(name)
	for i, c := range b {
		letter := c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && !('0' <= c && c <= '9') {
			b[i] = '_'
		}
	}
	if len(b) == 0 || '0' <= b[0] && b[0] <= '9' {
		return "_" + string(b)
	}
	return string(b)
}

// labelValue is value in valid UTF-8 and no longer than Loki takes.
func labelValue(value string) string {
	value = strings.ToValidUTF8(value, replacement)
	if len(value) <= maxLabelValue {
		return value
	}
	end := maxLabelValue
	for !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end]
}
