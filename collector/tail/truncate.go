package tail

import (
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// truncated begins a file anew that has become shorter, or another one, under our hands.
func (r *Reader) truncated(src *source, g *generation) {
	if src.copied(g, r.now) {
		return
	}
	lost := max(0, g.size-max(g.read, g.most))
	for i := range src.open {
		lost += src.open[i].drop(g)
	}
	src.lose(pipeline.LostTruncated, lost)
	g.dead = true
	g.file.renew(g.id)
	fresh := newGeneration(src, g.file, r.now)
	fresh.anew = true
	for i := range src.gens {
		if src.gens[i] == g {
			src.gens[i] = fresh
		}
	}
	g.bury()
	src.moved = true
	src.publish(r.now)
	r.lane.set.opts.Log.Info("log file was truncated, reading it from its start", "target", src.target.Key, "file", *g.file.path.Load())
}

// copied tells that a file was copied before it was truncated: then the generation goes on in its copy, and nothing is lost.
func (src *source) copied(g *generation, now time.Time) bool {
	if len(g.twins) == 0 {
		return false
	}
	src.unparkFrom(g.file)
	g.file.renew(g.id)
	fresh := newGeneration(src, g.file, now)
	fresh.anew = true
	src.gens = slices.Insert(src.gens, slices.Index(src.gens, g)+1, fresh)
	g.file, g.twins = g.twins[0], g.twins[1:]
	g.begun()
	return true
}

// lose counts bytes of files that are gone before they became lines.
func (src *source) lose(reason pipeline.LossReason, bytes int64) {
	src.target.Account.Own().Lost[reason] += bytes
	src.totals.LostBytes += bytes
}

// bury drops what is pending of a generation that can't be read again: its content is gone, or was another one when it was
// read again after a rewind. It waits for what is under way: that may still be delivered.
func (g *generation) bury() {
	if !g.dead && !g.released || g.underway > 0 {
		return
	}
	g.settled = g.read
	if g.pending == (pipeline.Count{}) {
		return
	}
	f := g.src.target.Account.Own()
	f.Pending.Add(-g.pending.Lines, -g.pending.Bytes)
	f.Dropped[pipeline.Vanished].Add(g.pending.Lines, g.pending.Bytes)
	g.src.totals.Dropped.Add(g.pending.Lines, g.pending.Bytes)
	g.pending, g.owed = pipeline.Count{}, pipeline.Count{}
	g.src.moved = true
}
