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
	woken bool    // in a reader's inbox; guarded by Lane.mu

	version  uint64           // of the log's list as last seen
	gens     []*generation    // oldest first
	former   []former         // generations without a file here
	saved    *pipeline.Cursor // where an earlier life left it
	epoch    uint32
	underway int  // segments in blocks
	busy     bool // in the owner's list of files to poll
	parked   *file
	leaving  bool // belongs to another reader, but something of it is under way here

	open     [2]openLine // stdout, stderr: read position's
	lastTime int64       // of the record before the read position

	settledParts []pipeline.Part // the same two of the settled position
	settledTime  int64
	restoreParts bool // open is to be made from settledParts

	wait     time.Time // sent back by the store: not before then
	attempts int       // how often in a row
	retryAt  time.Time // a read failed: not before then
	due      time.Time // it is slow: not before then
	slow     bool      // it got few lines between the last two lulls
	lines    int       // since the last lull that it was read at
	lull     time.Time // the next one
	looked   time.Time // at the sizes of the files
	stuck    time.Time // since when its file is longer than what was read, and read no further
	stuckAt  int64     // how far that was
	reopened int       // how often that file was opened anew
	oldest   int64     // time of the oldest record that is pending, or of one before it
	waiting  int64     // since when there are unread bytes; 0 if there are none
	totals   pipeline.Totals
	spooled  uint64 // the last record of the spool that holds something of it
	inSpool  int64  // lines that went there and are pending in the spool's care
	moved    bool   // since the cursors were last asked for
}

func newSource(l *Lane, g *log) *source {
	return &source{lane: l, log: g, target: l.rows.Track(g.target)}
}

// resume takes up where an earlier life left the source.
func (src *source) resume(c pipeline.Cursor) {
	src.saved = &c
	for _, p := range c.Generations {
		src.former = append(src.former, former{Position: p})
	}
	src.totals, src.spooled = c.Totals, c.Spooled
	src.lastTime, src.settledTime = c.Time, c.Time
	src.settledParts, src.restoreParts = c.Parts, len(c.Parts) > 0
}

// sync takes over the log's list of files when it has changed.
func (src *source) sync(now time.Time) {
	v := src.log.version.Load()
	if v == src.version {
		return
	}
	src.version = v
	files := *src.log.files.Load() // it has every file that this lane holds
	src.gens = slices.DeleteFunc(src.gens, func(g *generation) bool {
		if g.keepTo(files) {
			return false
		}
		src.remember(g)
		return true
	})
	gens := make([]*generation, 0, len(files))
	for _, f := range files {
		switch g := src.of(f); {
		case g == nil:
			gens = append(gens, newGeneration(src, f, now))
		case g.file == f:
			gens = append(gens, g)
		}
	}
	src.gens = gens
	for _, g := range slices.Clone(gens) {
		if g.file.gzip { // it can tell at once what it is
			g.identify(true)
		}
	}
	src.giveUp(now)
	src.release(now)
}

func (src *source) of(f *file) *generation {
	for _, g := range src.gens {
		if g.has(f) {
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

// countGaps counts what an earlier life had begun and is nowhere to be found. It is called when all the files that there
// are have been identified, and finds something at most once.
func (src *source) countGaps() {
	for i := range src.former {
		p := &src.former[i]
		if !p.Done && !p.sought {
			src.gap()
		}
		p.sought = true // and yet remembered: should it turn up after all, it is not read twice
	}
}

func (src *source) gap() {
	src.target.Account.Own().Gaps++
	src.totals.Gaps++
	src.moved = true
}

// release lets go of files that are settled and that nobody can write to any more. Their generations stay in the list for
// as long as the log lists the file, so that none is taken for a new one.
func (src *source) release(now time.Time) {
	for _, g := range src.gens {
		if g.released || !g.settledWhole() {
			continue
		}
		if g.torn { // counted when all before the damage is settled, so that it is counted once
			g.torn = false
			src.gap()
		}
		if src.needs(g) {
			continue
		}
		grows := g.mayGrow(now)
		switch size := g.length(); { // asked after mayGrow: what was written before the writer closed is there
		case size > g.size || size > g.read && !grows: // it has grown after all, or half a line is left
			g.grow(size, now)
			g.done = false
		case !grows:
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
	src.unparkFrom(g.file)
	g.released = true
	g.bury()
	src.lane.doneWith(g.file)
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

// unparkFrom ends the wait for a file that is about to be let go of.
func (src *source) unparkFrom(f *file) {
	if src.parked == f {
		src.unpark()
	}
}

func (src *source) unpark() {
	if src.parked != nil {
		src.lane.set.parker.unpark(src.parked, src)
		src.parked = nil
	}
}

// cursor is where the source stands.
func (src *source) cursor() pipeline.Cursor {
	c := pipeline.Cursor{Key: src.target.Key, Time: src.settledTime, Totals: src.totals, Spooled: src.spooled, Parts: src.settledParts}
	for i := range src.former {
		if p := &src.former[i]; p.Done || !p.sought {
			c.Generations = append(c.Generations, p.Position)
		}
	}
	for _, g := range src.gens {
		if g.identified {
			c.Generations = append(c.Generations, g.position())
		}
	}
	return c
}
