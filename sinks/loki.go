package sinks

import "github.com/leatd/leat/pipeline"

// Loki sends to Grafana Loki's push API, or to whatever speaks it: protobuf, snappy. Any 2xx but a web page means that
// the lines are stored; Loki itself says 204.
//
// # What a 204 proves
//
// That the last stream of the request was taken, and that Loki's distributor found nothing wrong with any of them. What
// its ingesters refuse of the other streams is not said: Loki 3.7 (pkg/ingester/instance.go, Push) goes through the
// streams of a request and reports the trouble of the last one alone. Three things can be lost behind a 204, and this is
// what keeps it from happening:
//
//   - A stream above its rate limit. The lane never sends a stream faster than the rate that NewLoki is given; see
//     pipeline.Stream. One that is throttled all the same is sent by itself from then on, so that the answer is its own.
//   - An entry more than an hour behind the newest of its stream, because a clock was set back or because a target that
//     shares the stream is ahead. Times are never changed. A segment with such records goes by itself, with its target's,
//     so that Loki's refusal is heard, and what it left out is counted.
//   - A stream that is new when the tenant has all the streams it may have (max_global_streams_per_user, 5,000 by
//     default). leatd cannot know of it. One stream per request (pipeline.Options.OneStream) makes that answer certain,
//     and every other, but for a stream so fast that Loki shards it (see loki_stream.go): it is several again in its own
//     request, and only a rate keeps Loki from throttling one of them without a word.
//
// Where several leatd send to one stream, because no label tells their nodes or pods apart, each keeps to the rate, and
// their sum may not: keep pod or node_name among the labels.
type Loki struct {
	LokiFormat
	*sender
	streams *pipeline.Streams // nil: no limit is kept
}

const lokiPath = "/loki/api/v1/push"

// NewLoki makes the sink. It connects to nothing yet. Of each stream it lets so many bytes a second through, and five times
// that at once; 0 is no limit.
func NewLoki(r Remote, f LokiFormat, streamRate int64) (*Loki, error) {
	if err := f.Validate(); err != nil {
		return nil, prefixed(r.Name, err)
	}
	s, err := newSender(r, lokiPath, "application/x-protobuf", "", anyBody)
	if err != nil {
		return nil, err
	}
	l := &Loki{LokiFormat: f, sender: s}
	if streamRate > 0 {
		l.streams = pipeline.NewStreams(streamRate)
	}
	return l, nil
}

// anyBody accepts: with these protocols the status alone tells.
func anyBody(*reply) (wrong, remark string, leftOut int64) { return "", "", 0 }
