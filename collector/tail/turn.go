package tail

import (
	"bytes"

	"github.com/leatd/leat/pipeline"
)

// turned says what a source's turn came to.
type turned uint8

const (
	turnMore turned = iota // something came of it, and there is more to do
	turnDry                // all there is was read
	turnFull               // the block should go on its way
	turnIdle               // the source needs no polling: it is parked, waits for discovery, or has ended
)

// turn reads once from a source.
//
// After turnMore the next turn finds something else than this one did: a generation was identified, finished or begun
// anew, bytes were taken, or the file has grown. So a round of turns ends.
func (r *Reader) turn(b *pipeline.Block, src *source) turned {
	if src.leaving || src.wait.After(r.now) || src.retryAt.After(r.now) || src.target.Held() {
		return turnDry
	}
	if src.due.After(r.now) && src.version == src.log.version.Load() {
		return turnDry
	}
	src.sync(r.now)
	g, followed := src.current()
	if g == nil {
		return r.ended(b, src)
	}
	if !g.identified && g.identify(false) {
		src.release(r.now) // it may be settled, by the saved cursor
		src.publish(r.now)
		return turnMore // now it is known where to go on, or that there is nothing to do
	}
	if src.restoreParts {
		r.restore(src)
	}
	if !followed && !src.log.partial.Load() {
		src.countGaps()
	}
	room := b.Room() - b.Data
	if room < minRoom || len(b.Records) == cap(b.Records) {
		return turnFull
	}
	if !r.seat(g) {
		return turnDry
	}
	lo := b.Data
	n, err := r.readAt(g, b.Buf[lo:lo+room], g.read)
	if err != nil {
		return r.failed(src, err)
	}
	g.reached = g.read + int64(n)
	if !g.identified && bytes.IndexByte(b.Buf[lo:lo+n], '\n') >= 0 { // its first line has just ended
		if g.identify(false) {
			return turnMore
		}
		return turnDry
	}
	due := r.now.Sub(src.looked) >= r.lane.set.times.check
	if g.identified && (n > 0 && g.file.changed(g.id, &r.head) || due && r.shrunk(g)) {
		r.truncated(src, g)
		return turnMore
	}
	if due {
		src.looked = r.now
		src.measure(r.now)
		src.publish(r.now)
	}
	if n > 0 && g.reached >= g.size && len(src.gens) == 1 {
		src.looked = r.now // this was the look
	}
	if g.reached > g.size {
		g.grow(g.reached, r.now)
	}
	if g.skip {
		if n > 0 {
			return r.skipLine(b, g, n, n == room)
		}
		return r.atEnd(b, src, g, followed, 0)
	}
	r.beat.Busy()
	lines := len(b.Records)
	used, full := r.cut(b, g, lo, lo+n)
	src.lines += len(b.Records) - lines
	r.beat.Waiting()
	switch {
	case full:
		return turnFull
	case n == room && used > 0:
		return turnFull // there is more, and what was left over is the beginning of a line
	case n == room && (lo > 0 || b.Spare > b.Room()):
		return turnFull // a line longer than what is left: it gets a block of its own
	case n == room:
		return r.longLine(b, g, n)
	case used > 0 && (followed || g.file.gzip || !g.file.listed.Load()):
		return turnMore // perhaps the last of it: then the next one's turn is now
	case used > 0:
		r.rest(src)
		return turnDry // the read was short: the end of the file
	}
	t := r.atEnd(b, src, g, followed, n)
	if n == 0 && t == turnDry {
		r.rest(src)
	}
	return t
}

// rest lets a source that got few lines between two lulls sit out until the next one. Most files get a line now and then,
// and what they cost is to be asked for it, and to wake up for each.
func (r *Reader) rest(src *source) {
	if !src.lull.After(r.now) {
		src.slow = src.lines <= fewLines
		src.lines, src.lull = 0, r.lane.set.nextLull(r.now)
	}
	if src.slow {
		src.due = src.lull
	}
}

// fewLines is how many lines between two lulls are few.
const fewLines = 2

// waits tells that a source must not be read now: something keeps it from it that is nobody's fault here.
func (r *Reader) waits(src *source) bool {
	return src.leaving || src.wait.After(r.now) || src.retryAt.After(r.now) || src.target.Held()
}

// failed puts a source aside for a while after a read error, and says so once.
func (r *Reader) failed(src *source, err error) turned {
	if src.retryAt.IsZero() {
		r.lane.set.opts.Log.Error("a log file cannot be read, its container's lines wait; it is tried again every 10 s",
			"target", src.target.Key, "error", err)
	}
	src.retryAt = r.now.Add(r.lane.set.times.retry)
	return turnDry
}
