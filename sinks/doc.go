// Package sinks is where logs and metrics go: how each kind of store wants its bytes, and how its answers are told apart.
//
// # From records to a request
//
// A format (LokiFormat, OTLPFormat, NDJSONFormat) has two halves. Describe is called once per target and encodes all
// that is the same in each of its lines. An encoder then turns segments into the body of a request: it repeats the
// description once per segment (NDJSON has no other place for it than the line), and writes times and texts.
//
// An encoder belongs to one goroutine. It reads a block only during Add, keeps nothing of it, and owns the body until
// the next Begin. Its buffers grow to the size of the largest request and stay; from then on it allocates nothing (but
// for zstd, whose library allocates some 20 bytes a request). Within Add there is no map, no formatting library, no
// reflection, and at most one look at the clock.
//
// The body is encoded into a piece of 64 KiB that stays in the core's cache, and compressed whenever the piece is full.
// Protobuf wants the length of a message before its content, which by then is compressed already: so lengths are summed
// up in a first pass over the records. Encoding for Loki costs about an eighth of compressing it.
//
// # What stores get to see
//
// Every record of the block, in its order; Loki gets a segment's two streams one after the other, as streams of its own.
// Times are as the runtime wrote them. A text is passed on byte by byte where the protocol takes that (Loki); OTLP and
// JSON want UTF-8, and there each invalid byte becomes U+FFFD, since one bad byte makes a receiver refuse a whole
// request. OTLP's times are unsigned: one before 1970 is sent as its two's complement, which the Collector reads back as
// what it was.
//
// A line that max_line cut off, or that ended before its newline, says so: leat.truncated, leat.unfinished (in Loki
// structured metadata truncated, unfinished). A host file without a container runtime's format has no log.iostream.
//
// Names that tell targets apart come first, and an owner's label of the same name is left out. Loki takes 15 labels a
// stream unless it is configured otherwise, and up to six of them are used here.
//
// # Metrics
//
// RemoteWrite and OTLPMetrics have no lane: every metrics.interval they turn one gathering into a few bodies, which
// exporter/push queues and hands back to be sent. They share the sender and its judgement of answers with the others;
// what a store leaves out is counted in samples. That happens a few times a minute, so these encoders may allocate; what
// they keep between two gatherings is bounded by the size of one, compressed.
package sinks
