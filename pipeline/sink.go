package pipeline

import (
	"context"
	"time"
)

// A Sink is how one kind of store wants its bytes, and how its answers are told apart.
type Sink interface {
	// Describe encodes, once per target, what the store's protocol says about every line of it. The result is kept in
	// LaneTarget.Described and is never changed; the sink's own encoders alone know its form.
	Describe(t *Target) Description

	// NewEncoder makes an encoder for the use of one goroutine.
	NewEncoder() Encoder

	// Send hands one encoded request to the store and waits for its answer. It is called by one goroutine per shard,
	// so by several at once. It returns when ctx ends.
	Send(ctx context.Context, body []byte) Answer
}

// A Description is what an encoder repeats for each segment of a target: up to two pieces of bytes, for standard output
// and standard error where the protocol keeps them apart.
type Description struct {
	Stdout, Stderr []byte

	// Streams are those that the two go to, where the store limits each stream by itself; nil where it doesn't. Without a
	// second one all lines go to the first.
	Streams [2]*Stream
	// PerLine is what the store counts of a line beside its body, in bytes, at the most; PerMarkedLine the same of one that
	// is Truncated or Unfinished.
	PerLine, PerMarkedLine int
}

// An Encoder turns segments into the body of a request. It allocates nothing in the steady state.
type Encoder interface {
	// Begin empties the body.
	Begin()
	// Add encodes and compresses records of one segment of b: all of b.Of(s), or some of them in their order. The block is
	// not kept.
	Add(b *Block, s *Segment, records []Record)
	// End closes the body and returns it; it is valid until the next Begin.
	End() []byte
	// Size is the length of the uncompressed body so far.
	Size() int
}

// An Answer is what a store said to one request, already understood.
type Answer struct {
	Outcome Outcome

	// Code is the label of the requests counter: the HTTP status as text, "ok" or "error" where there is none.
	Code string

	// Reason goes with Refused, and with Accepted where the store left something out.
	Reason Reason

	// LeftOut goes with Accepted: how many records of the request the store says it did not take; SomeLeftOut where it
	// does not say how many. The rest is stored, so nothing is sent again.
	LeftOut int64

	// Err holds the store's own words, or the network's, with what an operator should do; nil for Accepted.
	Err error

	// RetryAfter is how long the store asks to be left alone; 0 if it did not say.
	RetryAfter time.Duration
}

// SomeLeftOut is an Answer's LeftOut where the store does not say how many.
const SomeLeftOut = -1

// taken tells that the store has all of a request.
func (a *Answer) taken() bool { return a.Outcome == Accepted && a.LeftOut == 0 }

// An Outcome is what an answer means for the request's segments.
type Outcome uint8

const (
	// Accepted: the store has all of it for good, but for what was LeftOut.
	Accepted Outcome = iota
	// Refused: the store will never take this body. Only 400, 413 and 422 mean that.
	Refused
	// Throttled: the store has had enough (429). Where the words say it concerns one stream, OneTarget is the outcome.
	Throttled
	// OneTarget: a part of the request is throttled and the rest may be stored: the lane asks again target by target.
	OneTarget
	// Failed: anything else. It is tried again without end.
	Failed
)
