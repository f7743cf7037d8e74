package tail

import (
	"time"

	"github.com/leatd/leat/pipeline"
)

// timing is how long things take. Tests are in more of a hurry.
type timing struct {
	// quiet is how long a file is polled after its last growth before it is parked, and how long a file that has a writer
	// who doesn't write is waited for when it has a successor.
	quiet time.Duration
	// late is how long a file without a name is held after its last growth where the kernel won't say whether somebody
	// still has it open for writing.
	late time.Duration
	// walk is how often files are looked at that nobody polls: events that overflow are lost.
	walk time.Duration
	// check is how often a polled file that doesn't grow is asked whether it has shrunk, and the others of its log how
	// large they are. One that grows is looked at each time: what was read may not be what was meant.
	check time.Duration
	// lull is how often a polled file is read that gets few lines.
	lull time.Duration
	// retry is how often a file is tried again that could not be opened or read.
	retry time.Duration
	// back is how long a target waits that the store has sent back, the first time; then twice that, and so on.
	back time.Duration
	// stuck is how long a file may have grown without being read, where nothing keeps its lane from it.
	stuck time.Duration
}

var standard = timing{
	quiet: 5 * time.Second,
	late:  time.Minute,
	walk:  10 * time.Second,
	check: 2 * time.Second,
	lull:  600 * time.Millisecond,
	retry: 10 * time.Second,
	back:  time.Second,
	stuck: time.Minute,
}

// nextLull is the next moment at which files are read that get few lines: it is the same for all lanes, so that the process
// wakes up once for all of them.
func (s *Set) nextLull(now time.Time) time.Time {
	return now.Add(s.times.lull - now.Sub(s.began)%s.times.lull)
}

// measure asks how large the files are that a source has not done with. One that has grown after it was thought complete
// is read on.
func (src *source) measure(now time.Time) {
	for _, g := range src.gens {
		if g.released {
			continue
		}
		switch size := g.length(); {
		case size > g.size:
			g.grow(size, now)
			g.done = g.done && size <= g.read
		case size < g.size && size >= g.read:
			src.lose(pipeline.LostTruncated, g.size-size)
			g.size = size
		}
	}
}

// length is how long the file is now. A gzip file stays as it is: of that it is what is known so far.
func (g *generation) length() int64 {
	if g.file.gzip {
		return g.size
	}
	return g.file.length()
}

func (g *generation) grow(size int64, now time.Time) { g.size, g.grown = size, now }

// shrunk tells whether a file that has nothing to read is shorter than what was read of it, or another one.
func (r *Reader) shrunk(g *generation) bool {
	return !g.file.gzip && g.file.length() < g.read || g.file.changed(g.id, &r.head)
}

// mayGrow tells whether somebody may still write to a file that was read to its end.
func (g *generation) mayGrow(now time.Time) bool {
	if g.file.gzip {
		return false
	}
	switch g.file.writers() {
	case someWriter:
		return true
	case noWriter:
		// Where files have no time of birth, one that is held open is known by its inode, which nobody else can get.
		return g.file.key.born == 0 && g.file.listed.Load()
	}
	return g.file.listed.Load() || now.Sub(g.grown) < g.src.lane.set.times.late
}
