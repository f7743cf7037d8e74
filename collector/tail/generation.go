package tail

import (
	"bytes"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A generation is one file as one source reads it.
type generation struct {
	src   *source
	file  *file   // that it is read from
	twins []*file // others that hold the same, also held
	spent []*file // others that had nothing more, held no longer

	id         pipeline.GenerationID
	identified bool
	format     format

	read int64 // how far it is read into blocks
	skip bool  // read is inside a line that is cut off
	done bool  // read to its end, and it will not grow

	settled     int64 // how far the sink has it for good
	settledSkip bool

	pending  pipeline.Count // of what was counted as read, not settled
	owed     pipeline.Count // of what is pending, to be read again after a rewind: it was counted before
	size     int64          // as last looked
	grown    time.Time      // when it was last seen to grow
	underway int            // segments in blocks
	whole    bool           // of a gzip file: it was read to its end, and size is no guess any more
	torn     bool           // of a gzip file: it is damaged, and who knows what stands behind that
	complete bool           // some file of it was read to its end: a damaged one is no loss
	most     int64          // the farthest it was ever read: what lies before is settled, pending, or a piece of an open line
	reached  int64          // behind the last byte that a read gave
	anew     bool           // begun again after the file was truncated
	dead     bool           // its content is gone (truncated): what is not settled never will be
	released bool           // this lane holds none of its files any more; the entry stays while one has a name
}

func newGeneration(src *source, f *file, now time.Time) *generation {
	return &generation{src: src, file: f, id: pipeline.GenerationID{Restart: f.restart}, size: f.length(), grown: now}
}

// identify finds out which generation a file is, and where this lane stood in it before. It is false while the file does
// not hold enough to tell. Where another file is known to be the same, g is no generation of its own any more.
func (g *generation) identify(complete bool) bool {
	if g.identified || g.released {
		return g.identified
	}
	id, ok := g.file.identify(complete)
	if !ok {
		return false
	}
	src := g.src
	g.id, g.identified = id, true
	if g.gather() != g {
		return true
	}
	if at, known := src.recall(id); known {
		g.read, g.settled = at.Offset, at.Offset
		g.skip, g.settledSkip = at.Skip, at.Skip
		g.done = at.Done && g.file.ends(at.Offset)
		g.complete = at.Done // if it is damaged, that was counted
	} else if src.saved == nil && !g.anew {
		g.begin()
	}
	g.most = g.read
	switch {
	case g.done:
		g.size, g.complete = g.read, true
		g.goOn(g.read)
	case g.file.gzip:
		g.size = max(g.size, g.read)
	}
	g.note()
	return true
}

// note tells the set how far the lane has the generation's files for good.
func (g *generation) note() {
	at := g.src.lane.index
	g.file.settled[at].Store(g.settled)
	for _, f := range g.twins {
		f.settled[at].Store(g.settled)
	}
}

// begin sets where a file is begun that the lane has never seen: at its start, unless it was there before the sink ran
// for the first time and the owner wants only what comes.
func (g *generation) begin() {
	if !g.file.early || !g.src.lane.saved.Fresh() {
		return
	}
	o := &g.src.lane.set.opts
	old := o.StartMaxAge > 0 && g.file.mtime < g.src.lane.set.now().Add(-o.StartMaxAge).UnixNano()
	if o.Start == End || old {
		at := int64(g.file.isize)
		if g.done = g.file.gzip; !g.done {
			at = lastLineEnd(g.file)
		}
		g.read, g.settled = at, at
		g.src.moved = true // on disk at once: what comes now is wanted, also by a leatd that is started again before it was sent
	}
}

// lastLineEnd is the offset behind the last newline that a file had when it was opened, 0 if it had none.
func lastLineEnd(f *file) int64 {
	var buf [64 << 10]byte
	for end := f.size; end > 0; {
		from := max(0, end-int64(len(buf)))
		n, err := f.readAt(buf[:end-from], from)
		if err != nil {
			return 0
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return from + int64(i) + 1
		}
		end = from
	}
	return 0
}

// settledWhole tells that nothing of the generation is wanted any more.
func (g *generation) settledWhole() bool {
	return g.done && g.underway == 0 && g.settled == g.read
}

// position is what is saved of it.
func (g *generation) position() pipeline.Position {
	return pipeline.Position{
		ID: g.id, Name: g.file.name(), Offset: g.settled, Done: g.settledWhole() && g.size <= g.read, Skip: g.settledSkip,
	}
}
