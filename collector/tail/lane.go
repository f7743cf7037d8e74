package tail

import (
	"sync"
	"sync/atomic"

	"github.com/leatd/leat/pipeline"
)

// A Lane reads the logs of a set for one sink, with cursors of its own. It deals the logs out to the readers of the
// sink's shards; a source belongs to one reader at a time.
type Lane struct {
	set   *Set
	rows  Rows
	saved Saved

	deals atomic.Uint64 // counts calls of Deal

	mu      sync.Mutex // guards what follows: touched when files come and go, wake up or move, never on a block's way
	sources map[*log]*source
	readers []*Reader
	shards  int
	seq     int
}

// Rows keeps the accounts of a lane's targets.
type Rows interface {
	Track(*pipeline.Target) *pipeline.LaneTarget
	Forget(*pipeline.LaneTarget)
}

// Saved knows where the lane stood in an earlier life.
type Saved interface {
	Cursor(key string) (pipeline.Cursor, bool)
	Fresh() bool // the sink runs for the first time
}

// Lane makes a lane over the set. All lanes are made before discovery begins: a file that is opened counts them.
func (s *Set) Lane(rows Rows, saved Saved) *Lane {
	l := &Lane{set: s, rows: rows, saved: saved, sources: make(map[*log]*source)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes = append(s.lanes, l)
	return l
}

// Open makes the reader of a shard.
func (l *Lane) Open(shard int, bell *pipeline.Bell, beat *pipeline.Beat) pipeline.Reader {
	r := newReader(l, shard, bell, beat)
	l.mu.Lock()
	defer l.mu.Unlock()
	if shard < len(l.readers) {
		l.readers[shard] = r // the one before it ended without targets
	} else {
		l.readers = append(l.readers, r)
	}
	return r
}

// Deal spreads the sources over so many shards. Each reader hands over what is no longer its own when nothing of it is
// under way.
func (l *Lane) Deal(shards int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shards = shards
	for _, src := range l.sources {
		if src.owner == nil {
			l.give(src, l.dealt(src))
		}
	}
	l.deals.Add(1)
	for _, r := range l.readers {
		r.bell.Ring()
	}
}

// dealt is the reader that a source belongs to by the present deal. Call it with mu held.
func (l *Lane) dealt(src *source) *Reader { return l.readers[src.seq%l.shards] }

// give makes a reader the owner of a source. Call it with mu held; the former owner must have let go of it.
func (l *Lane) give(src *source, r *Reader) {
	src.owner = r
	r.wake(src)
}

// update says that a log's list of files has changed. Called with Set.mu held.
func (l *Lane) update(g *log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	src := l.sources[g]
	if src == nil {
		src = newSource(l, g)
		src.seq = l.seq
		l.seq++
		l.sources[g] = src
		if l.shards > 0 {
			l.give(src, l.dealt(src))
		}
		return
	}
	if src.owner != nil {
		src.owner.wake(src)
	}
}

// wake tells a source's owner to look at it.
func (l *Lane) wake(src *source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if src.owner != nil {
		src.owner.wake(src)
	}
}

// drop ends a source whose log is gone and settled. It is not ended if the log has come back meanwhile. alone tells
// that no other source has its key, so that its saved cursor can go.
func (l *Lane) drop(src *source) (ended, alone bool) {
	if !l.set.forget(src.log) {
		return false, false
	}
	l.mu.Lock()
	delete(l.sources, src.log)
	src.owner = nil
	alone = true
	for g := range l.sources {
		alone = alone && g.target.Key != src.log.target.Key
	}
	l.mu.Unlock()
	l.rows.Forget(src.target)
	return true, alone
}
