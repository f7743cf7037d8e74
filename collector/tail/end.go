package tail

import (
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// atEnd decides what the end of a file means. tail is how many bytes stand there without a newline, in b.Buf[b.Data:].
func (r *Reader) atEnd(b *pipeline.Block, src *source, g *generation, followed bool, tail int) turned {
	quiet := r.now.Sub(g.grown) >= r.lane.set.times.quiet
	if followed || g.file.gzip || !g.file.listed.Load() {
		w := g.file.writers()
		if w != noWriter && !quiet {
			return turnDry // the runtime may still write to it
		}
		gone := src.log.gone.Load()
		if !followed && (src.hasOpen() && src.mayGoOn(g, r.now) || !quiet && !gone && (src.hasOpen() || tail > 0)) {
			return turnDry // the line that stands open may go on in an older file, or in one that is on its way
		}
		// Whatever was written before the writer closed is there by now.
		switch end, size := g.read+int64(tail), g.length(); {
		case size > end:
			return turnMore
		case size < end:
			return turnDry // truncated: the next look at it will tell
		case w == someWriter:
			tail = 0 // half a line is left to its writer; it is read when its end comes, or nobody can write it any more
		}
		return r.finish(b, src, g, tail)
	}
	if !quiet || src.underway > 0 {
		return turnDry
	}
	if src.hasOpen() && tail == 0 && g.file.writers() == noWriter && g.file.inPlace() && isCurrent(g.file.name(), src.log.target) {
		return r.flushOpen(b, g) // the container has ended without a newline: this is no rotation half done
	}
	return r.park(src, g)
}

// finish ends a generation that will not grow: what stands at its end without a newline is a line all the same.
func (r *Reader) finish(b *pipeline.Block, src *source, g *generation, tail int) turned {
	if tail > 0 && !g.identified {
		if g.identify(true) {
			return turnMore // perhaps an earlier life has read it
		}
		return turnDry
	}
	if g.complete = g.complete || !g.torn; g.goOn(g.read + int64(tail)) {
		return turnMore
	}
	if tail > 0 && !g.skip && !r.lastLine(b, g, tail) {
		return turnFull
	}
	if src.endsAt(g) && r.flushOpen(b, g) == turnFull {
		return turnFull
	}
	g.done = true
	src.moved = true
	src.release(r.now)
	return turnMore
}

// endsAt tells that open lines will not go on behind g: the container was started anew, or there is no more of it. What
// was opened in a later file is left alone: after a rewind, or when it has grown after all, a file is finished once more.
func (src *source) endsAt(g *generation) bool {
	next := src.after(g)
	if !src.hasOpen() || next == nil && g.file.listed.Load() || next != nil && next.file.restart == g.file.restart {
		return false
	}
	at := slices.Index(src.gens, g)
	for i := range src.open {
		for _, p := range src.open[i].parts {
			if slices.Index(src.gens, p.gen) > at {
				return false
			}
		}
	}
	return true
}

// lastPart is a generation that holds a part of an open line.
func (src *source) lastPart() (g *generation) {
	for i := range src.open {
		if parts := src.open[i].parts; len(parts) > 0 {
			g = parts[len(parts)-1].gen
		}
	}
	return g
}

// mayGoOn tells that a file other than g, which was thought complete, may still be written to.
func (src *source) mayGoOn(g *generation, now time.Time) bool {
	for _, other := range src.gens {
		if other != g && !other.released && other.mayGrow(now) {
			return true
		}
	}
	return false
}

// after is the generation that follows, of those that are not read to their end.
func (src *source) after(g *generation) *generation {
	for _, next := range src.gens[slices.Index(src.gens, g)+1:] {
		if !next.done {
			return next
		}
	}
	return nil
}

// ended handles a source all of whose files are read to their end.
func (r *Reader) ended(b *pipeline.Block, src *source) turned {
	src.measure(r.now)
	src.release(r.now)
	if g, _ := src.current(); g != nil {
		return turnMore // one has grown after all
	}
	if src.hasOpen() && src.log.gone.Load() && !src.mayGoOn(nil, r.now) {
		return r.flushOpen(b, src.lastPart()) // no file's end was the end of these lines, so it is the log's
	}
	if !src.log.gone.Load() || src.underway > 0 || !src.empty() {
		src.publish(r.now)
		return turnIdle // discovery, a block that comes home, or the walk brings it back
	}
	src.countGaps()
	ended, alone := r.lane.drop(src)
	if !ended {
		return turnMore // it has come back, or there is a new list of files to see
	}
	src.publish(r.now)
	for i, s := range r.sources {
		if s == src {
			r.sources = append(r.sources[:i], r.sources[i+1:]...)
			break
		}
	}
	if alone {
		r.gone = append(r.gone, src.target.Key)
	}
	return turnIdle
}

// park gives a quiet source up to the watcher.
func (r *Reader) park(src *source, g *generation) turned {
	if !r.lane.set.parker.park(g.file, src) {
		return turnDry
	}
	src.parked = g.file
	if g.file.length() != g.size { // written to just before the watch stood
		src.unpark()
		return turnDry
	}
	src.publish(r.now)
	return turnIdle
}
