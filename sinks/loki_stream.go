package sinks

import "github.com/leatd/leat/pipeline"

// What Loki 3.7 limits of a stream (pkg/ingester/stream.go, validateEntries): the length of each line and of the names
// and values of its structured metadata, in a token bucket per ingester and label set, by default 3 MB/s with 15 MB at
// once, where MB is 1<<20. Times, labels and the framing don't count, nor does the level that Loki finds by itself; fields
// that discover_generic_fields makes it find do, and nobody but Loki knows how long they are. An entry that the stream has
// as its last one already is not counted. With shard_streams, which is on by default, a stream is taken or refused as a
// whole, and one above 1.5 MB/s is spread over several, each with a bucket of its own; without it, entries are refused one
// by one. Replicas count each for itself.
//
// So a line is charged with its body and at least its metadata, to the stream of its labels, which targets may share.

// Describe implements part of pipeline.Sink: the format's description, with the streams whose limit is kept.
func (l *Loki) Describe(t *pipeline.Target) pipeline.Description {
	d := l.LokiFormat.Describe(t)
	if l.streams == nil {
		return d
	}
	d.PerLine, d.PerMarkedLine = l.counted(t)
	for i, described := range [][]byte{d.Stdout, d.Stderr} {
		if described != nil {
			labels, _ := splitField(described)
			d.Streams[i] = l.streams.Of(string(labels))
		}
	}
	return d
}

// counted is what Loki counts of a line beside its body, at the most: of every line of a target, and of one that is cut or
// unfinished.
func (f *LokiFormat) counted(t *pipeline.Target) (line, marked int) {
	for _, field := range f.Metadata {
		switch value := lokiField(t, field); {
		case field == lokiStream && !t.Raw:
			line += len(lokiStream) + len("stdout")
		case field == lokiRestart && t.Container != "":
			line += len(lokiRestart) + len("2147483647")
		case value != "":
			line += len(labelName(field)) + len(labelValue(value))
		}
	}
	if f.RecordID {
		line += len(lokiRecordID) + maxIDLen
	}
	return line, line + len(lokiTruncated) + len(lokiUnfinished) + 2*len("true")
}
