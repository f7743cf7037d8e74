package sinks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/leatd/leat/pipeline"
)

// LokiMaxBody is how long a push request may be before compression: what Loki's distributor can hand on to an ingester in
// one gRPC message by default.
const LokiMaxBody = 4 << 20

// LokiFormat says how lines become Loki's push requests: protobuf (logproto.PushRequest) in the snappy block format.
// Its zero value is usable.
type LokiFormat struct {
	// Labels are the fields that become stream labels, of namespace, pod, container, node_name, stream, filename,
	// pod_uid and the owner's labels; nil means all but pod_uid. A target for which that leaves none gets the labels
	// that nil means, for Loki loses what has no label.
	Labels []string

	// Metadata are the fields that become structured metadata of every line; restart_count can be one of them, too.
	// They cost bytes on every line.
	Metadata []string

	// Own are the names of the owner's labels, which both lists may name.
	Own []string

	// RecordID adds the record's stable id to every line, as structured metadata log_record_uid.
	RecordID bool
}

// The fields of a line that Loki can be told.
const (
	lokiNamespace = "namespace"
	lokiPod       = "pod"
	lokiContainer = "container"
	lokiNode      = "node_name"
	lokiStream    = "stream"
	lokiFilename  = "filename"
	lokiPodUID    = "pod_uid"
	lokiRestart   = "restart_count"
)

// The structured metadata of single lines.
const (
	lokiTruncated  = "truncated"
	lokiUnfinished = "unfinished"
	lokiRecordID   = "log_record_uid"
)

func lokiDefaultLabels() []string {
	return []string{lokiNamespace, lokiPod, lokiContainer, lokiNode, lokiStream, lokiFilename}
}

// Validate refuses fields that there are not, and fields named twice.
func (f *LokiFormat) Validate() error {
	known := append(append(lokiDefaultLabels(), lokiPodUID, lokiRestart), f.Own...)
	seen := make(map[string]bool)
	check := func(list string, fields []string) error {
		for _, field := range fields {
			switch {
			case !slices.Contains(known, field):
				return fmt.Errorf("%s: no field is named %q: choose from %s", list, field, strings.Join(known, ", "))
			case list == "labels" && field == lokiRestart:
				return fmt.Errorf("labels: %s would begin a new stream at every restart: put it under metadata", field)
			case seen[field]:
				return fmt.Errorf("%s: %s is named twice", list, field)
			}
			seen[field] = true
		}
		return nil
	}
	if err := check("labels", f.Labels); err != nil {
		return err
	}
	return check("metadata", f.Metadata)
}

// Describe encodes what is the same in all lines of a target: the labels field of a stream, then the structured
// metadata fields of an entry. Stderr is empty where both streams are described alike.
func (f *LokiFormat) Describe(t *pipeline.Target) pipeline.Description {
	everything := lokiDefaultLabels()
	for _, l := range t.Labels {
		everything = append(everything, l.Name)
	}
	labels := f.Labels
	if labels == nil {
		labels = slices.DeleteFunc(slices.Clone(everything), func(l string) bool { return slices.Contains(f.Metadata, l) })
	}
	apart := !t.Raw && slices.Contains(labels, lokiStream)
	if !apart && lokiLabels(t, labels, "") == "{}" {
		// Loki drops a stream without labels and answers that all is well.
		labels = everything
		apart = !t.Raw
	}
	describe := func(stream string) []byte {
		b := appendField(nil, 1, lokiLabels(t, labels, stream))
		for _, field := range f.Metadata {
			if value := lokiField(t, field); value != "" {
				b = appendPair(b, 3, labelName(field), labelValue(value))
			}
		}
		return b
	}
	if !apart {
		return pipeline.Description{Stdout: describe("")}
	}
	return pipeline.Description{Stdout: describe("stdout"), Stderr: describe("stderr")}
}

// lokiLabels is a stream's label set as Loki parses it, sorted by name. Names that are the same once they are valid
// occur once, the target's own before the owner's: twice would make Loki refuse the stream, and an owner's label must
// not make one stream of two containers.
func lokiLabels(t *pipeline.Target, fields []string, stream string) string {
	var set []pipeline.Label
	add := func(name, value string) {
		same := func(l pipeline.Label) bool { return l.Name == name }
		if value != "" && !slices.ContainsFunc(set, same) { // to Loki an empty label is none
			set = append(set, pipeline.Label{Name: name, Value: labelValue(value)})
		}
	}
	for _, field := range fields {
		if field == lokiStream {
			add(field, stream)
		} else {
			add(labelName(field), lokiField(t, field))
		}
	}
	slices.SortFunc(set, func(a, b pipeline.Label) int { return strings.Compare(a.Name, b.Name) })
	b := []byte{'{'}
	for i, l := range set {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(append(b, l.Name...), '=')
		b = strconv.AppendQuote(b, l.Value)
	}
	return string(append(b, '}'))
}

// lokiField is a field's value where it is the same in all lines of a target, and else empty.
func lokiField(t *pipeline.Target, field string) string {
	switch field {
	case lokiNamespace:
		return t.Namespace
	case lokiPod:
		return t.Pod
	case lokiContainer:
		return t.Container
	case lokiNode:
		return t.Node
	case lokiFilename:
		return t.Path
	case lokiPodUID:
		return t.UID
	case lokiStream, lokiRestart: // they belong to the line and to the segment
		return ""
	}
	for _, l := range t.Labels {
		if l.Name == field {
			return l.Value
		}
	}
	return ""
}
