package pipeline

import (
	"sync/atomic"
	"time"
)

// A Stream is what a store keeps under one set of labels and limits by itself, as Loki does: how much of it may be sent
// now. Targets with the same labels share one, over all shards of a lane. It is a bucket that leaks at the store's rate,
// and what is in it was sent, or is on its way:
//
//	encode   take: the bytes of a segment are reserved if they fit, or the segment goes Back unencoded
//	send     sent: after each attempt they are in the bucket, and begin to drain
//	home     settle: they are reserved no longer
//
// The store counts a request's bytes between the call and its answer. By then they are reserved, and do not drain; later
// they are in the bucket and drain from the answer on. So at every moment the bucket holds as much as the store's own or
// more, whatever the network does to a request, and no clock is compared with another one. What is sent again counts
// again, without waiting: the store may have counted it, and a bucket cannot hold more than the store's.
//
// It begins full, as if another leatd, which ended a moment ago, had sent all it might.
//
// All of it is atomic. The sum of what is reserved and what is in the bucket is only ever too high: sent adds before
// settle takes away.
type Stream struct {
	top      int64        // bytes a second at the most
	rate     atomic.Int64 // bytes a second now: less than top after the store has throttled it
	drained  atomic.Int64 // in ticks: when nothing is left in the bucket
	reserved atomic.Int64 // bytes that are encoded and not home
	taught   atomic.Int64 // in ticks: when rate last changed
	newest   atomic.Int64 // time of the youngest record that was encoded, ns since the epoch
}

const (
	// streamBurst is how much of the rate a store takes at once: Loki's limits are 3 MB/s and 15 MB.
	streamBurst = 5 * time.Second
	// streamMargin of a hundred is what is left unused, of the rate and of the burst: more than two clocks can differ by.
	streamMargin = 2
	// streamFull is a full bucket: all that the store takes at once, at the rate that we drain it with.
	streamFull = streamBurst * 100 / (100 - streamMargin)
	// streamRest is what must be free at the least before a stream is asked again that had no room, so that it is not asked
	// line by line. It is short, for a leatd that is killed again and again must get on: a bucket begins full.
	streamRest = 200 * time.Millisecond
	// streamSlowest is the share of its rate that a stream keeps, however often the store throttles it; it gets as much
	// back with every streamHeals without that.
	streamSlowest = 16
	streamHeals   = 30 * time.Second
	// streamBehind is how far behind the youngest record of its stream a record may be without a second thought. Loki
	// refuses what is more than half of its max_chunk_age behind, an hour by default.
	streamBehind = 30 * time.Minute
	// streamAhead is how far ahead of the clock a record's time is believed. Loki refuses more than ten minutes, and says
	// so; such a one must not make all that follow look late.
	streamAhead = 10 * time.Minute
)

// newStream makes a stream for a store that takes so many bytes a second. It was full at start.
func newStream(rate, start int64) *Stream {
	s := &Stream{top: rate * (100 - streamMargin) / 100}
	s.rate.Store(s.top)
	s.drained.Store(start + int64(streamBurst))
	return s
}

// take reserves n bytes if they may be sent. Otherwise it says how long to wait until they may, and so much more as the
// least amount takes that is worth another look.
func (s *Stream) take(n, now int64) (wait time.Duration) {
	rate, inside := s.heal(now), s.inside(now)
	reserved := s.reserved.Add(n)
	free := streamBurst - inside - lasts(reserved-n, rate) // before n
	need := lasts(n, rate)
	if need <= free || reserved == n && inside == 0 { // more than the store ever takes at once: see alone
		return 0
	}
	s.reserved.Add(-n)
	least := streamRest
	if rate < s.top { // the store has throttled it: a second's worth
		least = time.Second
	}
	return min(max(need, least), streamBurst) - free
}

// inside is how long it takes to drain.
func (s *Stream) inside(now int64) time.Duration { return time.Duration(max(0, s.drained.Load()-now)) }

// reserve reserves n bytes whether they fit or not.
func (s *Stream) reserve(n int64) { s.reserved.Add(n) }

// overdrawn tells that what is reserved does not fit any more: requests were sent again meanwhile, or it was reserved for
// the spool and is to be sent after all. It says how long to wait until a second's worth would fit.
func (s *Stream) overdrawn(now int64) (wait time.Duration) {
	inside := s.inside(now)
	over := inside + lasts(s.reserved.Load(), s.rate.Load()) - streamBurst
	if inside == 0 || over < time.Millisecond {
		return 0
	}
	return min(over+time.Second, streamBurst)
}

// sent puts n bytes into the bucket.
func (s *Stream) sent(n, now int64) {
	took := int64(lasts(n, s.rate.Load()))
	for {
		drained := s.drained.Load()
		if s.drained.CompareAndSwap(drained, min(max(drained, now)+took, now+int64(streamFull))) {
			return
		}
	}
}

// settle ends a reservation.
func (s *Stream) settle(n int64) { s.reserved.Add(-n) }

// throttled says that the store has throttled what was sent last. It tells whether that was news: not if a request was
// sent again for which there was no room, and a store that throttles several in a row does so for one reason.
func (s *Stream) throttled(now int64) bool {
	known := s.inside(now) > streamBurst
	s.drained.Store(now + int64(streamFull))
	rate, taught := s.rate.Load(), s.taught.Load()
	if known || taught != 0 && now-taught < int64(streamBurst) {
		return false
	}
	s.taught.Store(now)
	s.rate.Store(max(rate/2, s.top/streamSlowest, 1))
	return true
}

// heal is the present rate, which rises slowly again after the store has throttled the stream.
func (s *Stream) heal(now int64) int64 {
	rate := s.rate.Load()
	if rate == s.top {
		return rate
	}
	if taught := s.taught.Load(); now-taught >= int64(streamHeals) && s.taught.CompareAndSwap(taught, now) {
		rate = min(s.top, rate+max(1, s.top/streamSlowest))
		s.rate.Store(rate)
	}
	return rate
}

// alone tells that a segment of n bytes must not share its request, as its stream may be refused.
func (s *Stream) alone(n int64) bool {
	return s.rate.Load() < s.top || lasts(n, s.top) > streamBurst
}

// saw says that a record of that time was sent, now or in an earlier life. now is the wall clock's.
func (s *Stream) saw(at int64, now time.Time) {
	for {
		newest := s.newest.Load()
		if at <= newest || at > now.Add(streamAhead).UnixNano() || s.newest.CompareAndSwap(newest, at) {
			return
		}
	}
}

// lasts is how long n bytes take.
func lasts(n, rate int64) time.Duration {
	return time.Duration(float64(n) / float64(rate) * float64(time.Second))
}
