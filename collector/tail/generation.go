package tail

import (
	"bytes"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A generation is one file as one source reads it.
type generation struct {
	src  *source
	file *file

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
	copied   bool           // another file holds the same and more, this one is not read
	anew     bool           // begun again after the file was truncated
	dead     bool           // its content is gone (truncated): what is not settled never will be
	released bool           // this lane holds the file no more; the entry stays while the file has a name
}

func newGeneration(src *source, f *file, now time.Time) *generation {
	return &generation{src: src, file: f, id: pipeline.GenerationID{Restart: f.restart}, size: f.length(), grown: now}
}

// identify finds out which generation a file is, and where this lane stood in it in an earlier life. It is false while
// the file does not hold enough to tell.
func (g *generation) identify(complete bool) bool {
	if g.identified {
		return true
	}
	id, ok := g.file.identify(complete)
	if !ok {
		return false
	}
	g.id, g.identified = id, true
	src := g.src
	switch before, copied := g.twin(); {
	case copied:
		g.copied, g.done = true, true
		return true
	case before != nil:
		g.read, g.settled = before.read, before.read
		return true
	}
	if at, known := src.savedPosition(id); known {
		g.read, g.settled = at.Offset, at.Offset
		g.skip, g.settledSkip = at.Skip, at.Skip
		g.done = at.Done && g.file.length() <= at.Offset
	} else if src.saved == nil && !g.anew {
		g.begin()
	}
	return true
}

// twin looks for other files of the same generation: somebody has copied a log. The lines are read once. Where one that
// comes later holds as much, g is a mere copy; where one before it was read, g goes on behind that.
func (g *generation) twin() (before *generation, copied bool) {
	later := false
	for _, other := range g.src.gens {
		if other == g {
			later = true
			continue
		}
		id, ok := other.id, other.identified
		if !ok && !other.released {
			id, ok = other.file.identify(false)
		}
		if !ok || id != g.id || other.copied {
			continue
		}
		if size := g.file.length(); later && other.file.length() >= size || !later && other.read >= size {
			return nil, true
		}
		if !later {
			before = other
		}
	}
	return before, false
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
		at := lastLineEnd(g.file)
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
	return g.copied || g.done && g.underway == 0 && g.settled == g.read
}
