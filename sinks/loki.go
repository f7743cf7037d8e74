package sinks

// Loki sends to Grafana Loki's push API, or to whatever speaks it: protobuf, snappy. Any 2xx but a web page means that
// the lines are stored; Loki itself says 204.
//
// What a 204 proves: that every stream of the request was taken, if each of them alone would have been. Loki 3.7
// reports only the last stream's trouble, so a stream that is throttled or too far behind can be lost behind a good one.
// The lane therefore keeps each stream in order, and bounds what it sends.
type Loki struct {
	LokiFormat
	*sender
}

const lokiPath = "/loki/api/v1/push"

// NewLoki makes the sink. It connects to nothing yet.
func NewLoki(r Remote, f LokiFormat) (*Loki, error) {
	if err := f.Validate(); err != nil {
		return nil, prefixed(r.Name, err)
	}
	s, err := newSender(r, lokiPath, "application/x-protobuf", "", anyBody)
	if err != nil {
		return nil, err
	}
	return &Loki{f, s}, nil
}

// anyBody accepts: with these protocols the status alone tells.
func anyBody(*reply) (wrong, remark string) { return "", "" }
