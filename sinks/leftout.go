package sinks

import (
	"bytes"
	"strconv"

	"github.com/leatd/leat/pipeline"
)

// A 400 of Loki does not always refuse a request. Its distributor leaves out the entries and streams that break a limit,
// stores the rest, and then names the reasons; its ingesters do the same with entries that are too far behind. By these
// words they are known, the same by the push API and by Loki's OTLP endpoint (3.7: pkg/validation/validate.go,
// pkg/distributor/distributor.go, pkg/ingester/stream.go; older ones differ in upper and lower case). Only whole phrases
// count: to take a refusal for one of these would lose a request.
//
// A request whose labels cannot be parsed is refused as a whole, in other words.
var lokiLeavesOut = []struct {
	begin, then string
	entry       bool // it was said of one entry; else of a stream, whose entries nobody counts
}{
	{"entry for stream '", "' has timestamp too old: ", true},
	{"entry for stream '", "' has timestamp too new: ", true},
	{"max entry size '", "' bytes exceeded for stream '", true},
	{"stream '", "' has structured metadata too large: '", true},
	{"stream '", "' has too many structured metadata labels: '", true},
	{"stream '", "' includes structured metadata, but this feature is disallowed", true},
	{"entry for stream '", " label names; limit ", false},
	{"stream '", "' has label name too long: '", false},
	{"stream '", "' has label value too long: '", false},
	{"stream '", "' has duplicate label name: '", false},
	{"error parsing labels '", "' with error: ", false},
	{"missing required labels '", "' for stream '", false},
	{"error at least one label pair is required per stream", "", false},
}

// leftOut is how many records a 400 says that the store left out while it took the rest: pipeline.SomeLeftOut if it
// doesn't say how many, 0 if it is a refusal of all.
func leftOut(r *reply) int64 {
	words := r.words
	if status := statusMessage(words); status != nil {
		words = status
	}
	words = bytes.ToLower(bytes.TrimSpace(words))
	if bytes.Contains(words, []byte("couldn't parse labels")) {
		return 0
	}
	if _, rest, ok := bytes.Cut(words, []byte(" ignored, reason: 'entry ")); ok && bytes.HasPrefix(words, []byte("entry with timestamp ")) {
		return totalIgnored(rest)
	}
	var n int64
	known, certain := false, r.whole
	for part := range bytes.SplitSeq(words, []byte("; ")) {
		times := int64(1)
		if digits, like, ok := bytes.Cut(part, []byte(" errors like: ")); ok {
			if i, err := strconv.ParseInt(string(digits), 10, 32); err == nil && i > 0 {
				times, part = i, like
			}
		}
		one, entry := leavesOut(part)
		known, certain = known || one, certain && entry
		n += times
	}
	switch {
	case !known:
		return 0
	case !certain:
		return pipeline.SomeLeftOut
	}
	return n
}

// leavesOut tells whether words are of those that Loki leaves something out with, and whether that is one entry.
func leavesOut(words []byte) (known, entry bool) {
	for _, w := range lokiLeavesOut {
		if rest, ok := bytes.CutPrefix(words, []byte(w.begin)); ok && bytes.Contains(rest, []byte(w.then)) {
			return true, w.entry
		}
	}
	return false, false
}

// totalIgnored reads the number in an ingester's "total ignored: 3 out of 10 for stream: …".
func totalIgnored(words []byte) int64 {
	if _, rest, ok := bytes.Cut(words, []byte("total ignored: ")); ok {
		digits, _, _ := bytes.Cut(rest, []byte(" out of "))
		if n, err := strconv.ParseInt(string(digits), 10, 32); err == nil && n > 0 {
			return n
		}
	}
	return pipeline.SomeLeftOut
}

// blocked knows the words with which Loki turns away a tenant whose owner has blocked it for a while, by default with the
// code 260, which looks like a yes.
func blocked(words []byte) bool {
	return bytes.Contains(bytes.ToLower(words), []byte("ingestion blocked for user '"))
}

// messageTooLarge knows the words of gRPC, behind the 500 or 503 of a store that hands a request on in one message.
func messageTooLarge(words []byte) bool {
	return bytes.Contains(words, []byte("received message larger than max")) || bytes.Contains(words, []byte("trying to send message larger than max"))
}
