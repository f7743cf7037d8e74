package tail

import (
	"time"

	"github.com/leatd/leat/pipeline"
)

// turned says what a source's turn came to.
type turned uint8

const (
	turnMore turned = iota // something was read, and there is more
	turnDry                // all there is was read
	turnFull               // the block should go on its way
	turnIdle               // the source needs no polling: it is parked, waits for discovery, or has ended
)

// turn reads once from a source.
func (r *Reader) turn(b *pipeline.Block, src *source) turned {
	if src.wait.After(r.now) || src.retryAt.After(r.now) || r.leaving(src) {
		return turnDry
	}
	r.beat.Waiting()
	src.sync(r.now)
	g, followed := src.current()
	if g == nil {
		return r.ended(src)
	}
	if !g.identified && g.identify(false) {
		return turnMore // now it is known where to go on, or that there is nothing to do
	}
	if src.restoreParts {
		r.restore(src)
	}
	if !followed {
		src.countGaps()
	}
	room := b.Room() - b.Data
	if room < minRoom || len(b.Records) == cap(b.Records) {
		return turnFull
	}
	if again := g.seen - g.read; again > 0 { // what was read before ends where it ended then
		room = int(min(int64(room), again))
	}
	n, err := g.file.readAt(b.Buf[b.Data:b.Data+room], g.read)
	if err != nil {
		return r.failed(src, err)
	}
	if n > 0 && g.identified && r.now.Sub(src.looked) >= checkEvery {
		if src.looked = r.now; g.file.changed() {
			r.truncated(src, g)
			return turnMore
		}
	}
	if at := g.read + int64(n); at > g.size {
		g.grow(at, r.now)
	}
	if g.skip {
		if n > 0 {
			return r.skipLine(b, g, n, n == room)
		}
		return r.atEnd(b, src, g, followed, 0)
	}
	lo := b.Data
	r.beat.Busy()
	used, full := r.cut(b, g, lo, lo+n)
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
	case used > 0 && (followed || !g.file.listed.Load()):
		return turnMore // perhaps the last of it: then the next one's turn is now
	case used > 0:
		return turnDry // the read was short: the end of the file
	}
	return r.atEnd(b, src, g, followed, n)
}

func (g *generation) grow(size int64, now time.Time) { g.size, g.grown = size, now }

// failed puts a source aside for a while after a read error, and says so once.
func (r *Reader) failed(src *source, err error) turned {
	if src.retryAt.IsZero() {
		r.lane.set.opts.Log.Error("a log file cannot be read, its container's lines wait; it is tried again every 10 s",
			"target", src.target.Key, "error", err)
	}
	src.retryAt = r.now.Add(retryEvery)
	return turnDry
}

// atEnd decides what the end of a file means. tail is how many bytes stand there without a newline, in b.Buf[b.Data:].
func (r *Reader) atEnd(b *pipeline.Block, src *source, g *generation, followed bool, tail int) turned {
	if r.now.Sub(src.looked) >= checkEvery {
		src.looked = r.now
		if size := g.file.size(); size < g.read {
			r.truncated(src, g)
			return turnMore
		}
	}
	quiet := r.now.Sub(g.grown) >= quietFor
	last := !g.file.listed.Load() || followed
	if last {
		w := g.file.writers()
		if w != noWriter && !quiet {
			return turnDry // the runtime may still write to it
		}
		// Whatever was written before the writer closed is there by now.
		if n, err := g.file.readAt(b.Buf[b.Data:b.Room()], g.read); err != nil || n != tail {
			return turnMore
		}
		return r.finish(b, src, g, tail)
	}
	if !quiet || src.underway > 0 {
		return turnDry
	}
	if src.hasOpen() && tail == 0 && g.file.writers() == noWriter {
		return r.flushOpen(b, g) // the container has ended without a newline
	}
	return r.park(src, g)
}

// finish ends a generation that will not grow: what stands at its end without a newline is a line all the same.
func (r *Reader) finish(b *pipeline.Block, src *source, g *generation, tail int) turned {
	if tail > 0 && !g.skip {
		if !r.lastLine(b, g, tail) {
			return turnFull
		}
	}
	if next := src.after(g); src.hasOpen() && (next == nil && !g.file.listed.Load() || next != nil && next.file.restart != g.file.restart) {
		if t := r.flushOpen(b, g); t == turnFull {
			return t
		}
	}
	g.identify(true)
	g.done, g.skip = true, false
	src.moved = true
	src.release()
	return turnMore
}

// after is the generation that follows.
func (src *source) after(g *generation) *generation {
	for i, other := range src.gens {
		if other == g && i+1 < len(src.gens) {
			return src.gens[i+1]
		}
	}
	return nil
}

// ended handles a source all of whose files are read to their end.
func (r *Reader) ended(src *source) turned {
	src.release()
	if g, _ := src.current(); g != nil {
		return turnMore // one has grown after all
	}
	if !src.log.gone.Load() || src.underway > 0 || !src.empty() {
		return turnIdle // discovery, or a block that comes home, brings it back
	}
	if src.version != src.log.version.Load() {
		return turnMore
	}
	ended, alone := r.lane.drop(src)
	if !ended {
		return turnMore
	}
	src.countGaps()
	r.remove(src)
	if alone {
		r.gone = append(r.gone, pipeline.Cursor{Key: src.target.Key, Gone: true})
	}
	return turnIdle
}

func (r *Reader) remove(src *source) {
	for i, s := range r.sources {
		if s == src {
			r.sources = append(r.sources[:i], r.sources[i+1:]...)
			return
		}
	}
}

// park gives a quiet source up to the watcher.
func (r *Reader) park(src *source, g *generation) turned {
	if !r.lane.set.parker.park(g.file, src) {
		return turnDry
	}
	src.parked = g.file
	if g.file.size() != g.size { // written to just before the watch stood
		src.unpark()
		return turnDry
	}
	src.publishUnread(r.now)
	return turnIdle
}

// truncated begins a file anew that has become shorter, or another one, under our hands.
func (r *Reader) truncated(src *source, g *generation) {
	f := src.target.Account.Own()
	if lost := g.size - g.read; lost > 0 {
		f.Lost[pipeline.LostTruncated] += lost
		src.totals.LostBytes += lost
	}
	g.dead = true
	g.file.renew(g.id)
	fresh := newGeneration(src, g.file, r.now)
	for i := range src.gens {
		if src.gens[i] == g {
			src.gens[i] = fresh
		}
	}
	for i := range src.open {
		src.open[i].drop(g)
	}
	g.bury()
	src.moved = true
	src.target.Account.Publish()
	r.lane.set.opts.Log.Info("log file was truncated, reading it from its start", "target", src.target.Key, "file", *g.file.name.Load())
}

// bury drops what was read of a generation whose content is gone and can't be read again. It waits for what is under way:
// that may still be delivered.
func (g *generation) bury() {
	if !g.dead || g.underway > 0 || g.pending == (pipeline.Count{}) {
		return
	}
	f := g.src.target.Account.Own()
	f.Pending.Add(-g.pending.Lines, -g.pending.Bytes)
	f.Dropped[pipeline.Vanished].Add(g.pending.Lines, g.pending.Bytes)
	g.src.totals.Dropped.Add(g.pending.Lines, g.pending.Bytes)
	g.pending = pipeline.Count{}
	g.src.target.Account.Publish()
}
