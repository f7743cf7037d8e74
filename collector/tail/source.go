package tail

import (
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A source is one log as one lane reads it: one perpetual stream over all its generations. Its owner, a reader, is alone
// in touching it, but for the fields that the lane guards.
type source struct {
	lane   *Lane
	log    *log
	target *pipeline.LaneTarget

	owner *Reader // guarded by Lane.mu
	seq   int     // fixed when made
	woken bool    // in the owner's inbox; guarded by Reader.inboxMu

	version  uint64        // of the log's list as last seen
	gens     []*generation // oldest first
	saved    *pipeline.Cursor
	epoch    uint32
	underway int  // segments in blocks
	busy     bool // in the owner's list of files to poll
	parked   *file

	open     [2]openLine // stdout, stderr: read position's
	lastTime int64       // of the record before the read position

	settledParts []pipeline.Part // the same two of the settled position
	settledTime  int64
	restoreParts bool // open is to be made from settledParts

	wait     time.Time // sent back by the store: not before then
	attempts int       // how often in a row
	retryAt  time.Time // a read failed: not before then
	looked   time.Time // at the sizes of the files
	totals   pipeline.Totals
	moved    bool // since the cursors were last asked for
}

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

	seen      int64          // how far it was ever read: what lies before is counted already
	flushedAt int64          // where unfinished lines were last given out, and are counted already; -1 for nowhere
	pending   pipeline.Count // of what was counted, not settled
	size      int64          // as last looked
	grown     time.Time      // when it was last seen to grow
	underway  int            // segments in blocks
	dead      bool           // its content is gone (truncated): what is not settled never will be
	released  bool           // this lane holds the file no more; the entry stays while the file has a name
}

func newSource(l *Lane, g *log) *source {
	src := &source{lane: l, log: g, target: l.rows.Track(g.target)}
	if c, ok := l.saved.Cursor(g.target.Key); ok {
		src.saved = &c
		src.totals = c.Totals
		src.lastTime, src.settledTime = c.Time, c.Time
		src.settledParts, src.restoreParts = c.Parts, len(c.Parts) > 0
	}
	return src
}

func newGeneration(src *source, f *file, now time.Time) *generation {
	return &generation{src: src, file: f, size: f.size(), grown: now, flushedAt: -1}
}

// sync takes over the log's list of files when it has changed.
func (src *source) sync(now time.Time) {
	v := src.log.version.Load()
	if v == src.version {
		return
	}
	src.version = v
	files := *src.log.files.Load()
	gens := make([]*generation, 0, len(files))
	for _, f := range files {
		g := src.of(f)
		if g == nil {
			g = newGeneration(src, f, now)
		}
		gens = append(gens, g)
	}
	for _, g := range src.gens {
		if !g.released && !slices.Contains(files, g.file) { // no longer listed, still to be read
			gens = append([]*generation{g}, gens...)
		}
	}
	src.gens = gens
}

func (src *source) of(f *file) *generation {
	for _, g := range src.gens {
		if g.file == f && !g.dead {
			return g
		}
	}
	return nil
}

// current is the oldest generation that is not read to its end, and whether another one follows it.
func (src *source) current() (g *generation, followed bool) {
	for i, g := range src.gens {
		if !g.done {
			return g, i+1 < len(src.gens)
		}
	}
	return nil, false
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
	for _, other := range src.gens { // a copy of what another file holds: one generation, read once
		if other != g && other.identified && other.id == id && !other.dead {
			g.read, g.settled, g.seen, g.done = g.size, g.size, g.size, true
			return true
		}
	}
	if at, known := src.savedPosition(id); known {
		g.read, g.settled, g.seen = at.Offset, at.Offset, at.Offset
		g.skip, g.settledSkip = at.Skip, at.Skip
		g.done = at.Done && g.file.size() <= at.Offset
	} else if src.saved == nil {
		g.begin()
	}
	return true
}

// savedPosition takes what an earlier life knew of a generation.
func (src *source) savedPosition(id pipeline.GenerationID) (p pipeline.Position, known bool) {
	if src.saved == nil {
		return p, false
	}
	for i, p := range src.saved.Generations {
		if p.ID == id {
			src.saved.Generations = slices.Delete(src.saved.Generations, i, i+1)
			return p, true
		}
	}
	return p, false
}

// countGaps counts what an earlier life had begun and is nowhere to be found. It is called when all the files that there
// are have been identified, and finds something at most once.
func (src *source) countGaps() {
	if src.saved == nil {
		return
	}
	for _, p := range src.saved.Generations {
		if !p.Done {
			src.target.Account.Own().Gaps++
			src.totals.Gaps++
		}
	}
	src.saved.Generations = nil
}

// begin sets where a file is begun that the lane has never seen: at its start, unless it was there before the sink ran
// for the first time and the owner wants only what comes.
func (g *generation) begin() {
	if !g.file.early || !g.src.lane.saved.Fresh() {
		return
	}
	o := &g.src.lane.set.opts
	old := o.StartMaxAge > 0 && g.file.mtime < time.Now().Add(-o.StartMaxAge).UnixNano()
	if o.Start == End || old {
		at := lastLineEnd(g.file)
		g.read, g.settled, g.seen = at, at, at
		g.src.moved = true // on disk at once: what comes now is wanted, also by a leatd that is started again before it was sent
	}
}

// lastLineEnd is the offset behind the last newline of a file, 0 if it has none near its end.
func lastLineEnd(f *file) int64 {
	var buf [64 << 10]byte
	size := f.size()
	from := max(0, size-int64(len(buf)))
	n, err := f.readAt(buf[:min(int64(len(buf)), size-from)], from)
	if err != nil {
		return 0
	}
	for i := n - 1; i >= 0; i-- {
		if buf[i] == '\n' {
			return from + int64(i) + 1
		}
	}
	return from
}

// settledWhole tells that nothing of the generation is wanted any more.
func (g *generation) settledWhole() bool { return g.done && g.underway == 0 && g.settled == g.read }

// release lets go of files that are settled. Their generations stay in the list for as long as the log lists the file,
// so that none is taken for a new one.
func (src *source) release() {
	for _, g := range src.gens {
		if g.released || !g.settledWhole() || src.needs(g) {
			continue
		}
		if g.file.size() > g.read && !g.dead { // it has grown after all
			g.done = false
		} else {
			src.letGo(g)
		}
	}
}

// empty tells that nothing is left to read, to settle or to remember.
func (src *source) empty() bool {
	for _, g := range src.gens {
		if !g.released || g.file.listed.Load() {
			return false
		}
	}
	return true
}

func (src *source) letGo(g *generation) {
	if src.parked == g.file {
		src.unpark()
	}
	g.released = true
	g.file.release()
}

// needs tells that an open line has a part in the generation.
func (src *source) needs(g *generation) bool {
	for i := range src.open {
		for _, p := range src.open[i].parts {
			if p.gen == g {
				return true
			}
		}
	}
	for _, p := range src.settledParts {
		if p.ID == g.id {
			return true
		}
	}
	return false
}

func (src *source) unpark() {
	if src.parked != nil {
		src.lane.set.parker.unpark(src.parked, src)
		src.parked = nil
	}
}

// cursor is where the source stands.
func (src *source) cursor() pipeline.Cursor {
	c := pipeline.Cursor{Key: src.target.Key, Time: src.settledTime, Totals: src.totals, Parts: src.settledParts}
	for _, g := range src.gens {
		if g.identified && !g.dead && (!g.released || g.file.listed.Load()) {
			c.Generations = append(c.Generations, pipeline.Position{
				ID: g.id, Name: *g.file.name.Load(), Offset: g.settled, Done: g.settledWhole(), Skip: g.settledSkip,
			})
		}
	}
	return c
}
