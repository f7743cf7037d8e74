package tail

import (
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// held is what a Set holds open of files that are deleted, the one that was deleted first at the front. Its owner allows
// so many bytes for so long, since the kubelet deleted them to have room. Set.mu guards it.
type held struct {
	files []heldFile

	given int   // up, since nothing was held
	bytes int64 // that some lane had not settled of them
}

type heldFile struct {
	*file
	log *log
}

// hold notes that a file is deleted.
func (s *Set) hold(l *log, f *file) {
	if f.deleted.IsZero() && !f.closed() {
		f.deleted = s.now()
		s.held.files = append(s.held.files, heldFile{f, l})
	}
}

// Held is how many deleted files are held open because some lane has not settled them, and how many bytes of them it
// has not. A file that somebody still writes to is left out: closing it would free nothing.
func (s *Set) Held() (files int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.held.files {
		if n, counts := f.weigh(); counts {
			files++
			bytes += n
		}
	}
	return files, bytes
}

// weigh is how many bytes of the disk are held for the lanes that have not settled the file. It is false for one that is not
// held, or not for their sake.
func (f heldFile) weigh() (bytes int64, counts bool) {
	if f.deleted.IsZero() || f.given.Load() || !f.file.hold() {
		return 0, false
	}
	defer f.release()
	if f.writers() == someWriter {
		return 0, false
	}
	size := f.length()
	for i := range f.settled {
		bytes = max(bytes, size-f.settled[i].Load())
	}
	if f.gzip {
		bytes = min(bytes, f.size) // all of it, while some of it is wanted
	}
	return bytes, true
}

// trim gives files up until what is held is as little and as young as the owner wants it.
func (s *Set) trim() {
	h := &s.held
	h.files = slices.DeleteFunc(h.files, func(f heldFile) bool { return f.deleted.IsZero() || f.given.Load() || f.closed() })
	if len(h.files) == 0 {
		if h.given > 0 {
			s.opts.Log.Info("no deleted log file waits to be read any more", "given_up_files", h.given, "given_up_bytes", h.bytes)
			h.given, h.bytes = 0, 0
		}
		return
	}
	total := int64(0)
	weights := make([]int64, len(h.files))
	for i, f := range h.files {
		n, counts := f.weigh()
		if !counts {
			n = -1
		}
		weights[i] = n
		total += max(0, n)
	}
	now := s.now()
	for i, f := range h.files {
		over, old := total > s.opts.HoldMaxBytes && weights[i] > 0, now.Sub(f.deleted) >= s.opts.HoldMaxAge
		if weights[i] < 0 || !over && !old {
			continue
		}
		total -= weights[i]
		s.giveUp(f, weights[i], now)
	}
}

// giveUp asks the lanes to let go of a file.
func (s *Set) giveUp(f heldFile, bytes int64, now time.Time) {
	f.given.Store(true)
	f.log.version.Add(1)
	for _, lane := range s.lanes {
		lane.look(f.log)
	}
	h := &s.held
	if h.given++; h.given == 1 {
		s.opts.Log.Warn("a deleted log file is given up: sinks that have not sent it lose the rest, which is counted; more are only counted; "+
			"raise logs.hold_max_bytes or logs.hold_max_age, or turn on the sink's spool",
			"target", f.log.target.Key, "file", *f.path.Load(), "unsettled_bytes", bytes, "deleted_for", now.Sub(f.deleted).Round(time.Second))
	}
	h.bytes += bytes
}

// giveUp lets go of the files that the set has given up: reading goes on in another file of the same generation, or not at
// all.
func (src *source) giveUp(now time.Time) {
	for _, g := range slices.Clone(src.gens) {
		g.twins = slices.DeleteFunc(g.twins, func(f *file) bool {
			if f.given.Load() {
				g.spend(f)
			}
			return f.given.Load()
		})
		if g.released || !g.file.given.Load() {
			continue
		}
		g.identify(true) // for where it stood
		if !slices.Contains(src.gens, g) || !g.file.given.Load() || g.released {
			continue
		}
		if len(g.twins) > 0 {
			f := g.twins[0]
			g.twins = g.twins[1:]
			g.turnTo(f)
			continue
		}
		src.abandon(g, now)
	}
}

// abandon counts what is lost with a file: what was never read, and pieces of lines that have no end yet. Lines that have
// been read and are not settled are counted by bury.
func (src *source) abandon(g *generation, now time.Time) {
	lost := max(0, g.length()-max(g.read, g.most))
	if g.file.gzip && !g.whole {
		src.gap() // how much it holds is not for sure
	}
	src.settledParts = slices.DeleteFunc(slices.Clone(src.settledParts), func(p pipeline.Part) bool {
		open := slices.ContainsFunc(src.open[:], func(o openLine) bool { return o.has(g, p.Offset) })
		if p.ID == g.id && src.restoreParts && !open {
			lost += p.Length
		}
		return p.ID == g.id && (src.restoreParts || open) // others belong to lines that are read already, and under way
	})
	for i := range src.open {
		lost += src.open[i].drop(g)
	}
	src.lose(pipeline.LostGivenUp, lost)
	g.done, g.size = true, g.read
	src.moved = true
	src.letGo(g)
	src.publish(now)
}
