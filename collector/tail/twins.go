package tail

import (
	"slices"

	"github.com/leatd/leat/pipeline"
)

// Several files may hold one generation: the plain one and the gzip file that takes its place, or copies that somebody
// made. They are one generation with one position, read from one file at a time; the others are its twins and are
// held as long. Where one of them ends, goes, or is truncated, reading goes on in the next if that holds more.

// gather makes one generation of all files that are this one, now that g is known to be it. It returns the one that stays in
// the source's list, which is not g if another one was known before.
func (g *generation) gather() *generation {
	src := g.src
	for _, other := range slices.Clone(src.gens) {
		if other == g {
			continue
		}
		if id, ok := other.known(); !ok || id != g.id {
			continue
		}
		stays, goes := g, other
		if other.identified {
			stays, goes = other, g
		}
		src.gens = slices.DeleteFunc(src.gens, func(one *generation) bool { return one == goes })
		stays.adopt(goes.file)
		if stays != g {
			return stays
		}
	}
	return g
}

// known is which generation it is, if that can be told.
func (g *generation) known() (id pipeline.GenerationID, ok bool) {
	if g.identified || g.released { // what is released may be closed
		return g.id, g.identified
	}
	return g.file.identify(false)
}

// adopt adds a file of the same generation.
func (g *generation) adopt(f *file) {
	if !g.done && g.src.prefers(f, g.file) && (f.gzip || f.length() >= g.read) {
		g.src.unparkFrom(g.file)
		f, g.file = g.file, f
		g.begun()
	}
	g.twins = append(g.twins, f)
	if g.done {
		g.goOn(g.read)
	}
}

// prefers tells that f is the better one to read: a plain file is cheaper, and only the one that is written to grows.
func (src *source) prefers(f, present *file) bool {
	if f.gzip != present.gzip {
		return present.gzip
	}
	return isCurrent(f.name(), src.log.target) && !isCurrent(present.name(), src.log.target)
}

// begun says that the generation is read from another file than before.
func (g *generation) begun() {
	g.whole, g.torn = false, false
	g.size = max(g.read, g.file.length())
	g.note()
}

// goOn takes the next twin that may hold more than so many bytes, and lets go of those that don't. It is false if none does.
func (g *generation) goOn(end int64) bool {
	for len(g.twins) > 0 {
		f := g.twins[0]
		g.twins = g.twins[1:]
		if !f.ends(end) {
			g.turnTo(f)
			return true
		}
		g.spend(f)
	}
	return false
}

// turnTo goes on in another file of the generation.
func (g *generation) turnTo(f *file) {
	if g.released {
		g.spent = append(g.spent, g.file)
	} else {
		g.src.unparkFrom(g.file)
		g.spend(g.file)
	}
	g.file, g.released, g.done = f, false, false
	g.begun()
}

// spend lets go of a file that has nothing more for this lane. It is remembered while the log lists it, so that it is not taken
// for a new one.
func (g *generation) spend(f *file) {
	g.spent = append(g.spent, f)
	g.src.lane.doneWith(f)
}

// has tells that a file is one of the generation's.
func (g *generation) has(f *file) bool {
	return g.file == f || slices.Contains(g.twins, f) || slices.Contains(g.spent, f)
}

// keepTo forgets files that the log lists no more. It is false if there is none left.
func (g *generation) keepTo(files []*file) bool {
	g.spent = slices.DeleteFunc(g.spent, func(f *file) bool { return !slices.Contains(files, f) })
	if slices.Contains(files, g.file) {
		return true
	}
	if len(g.spent) == 0 { // twins are held, and what is held is listed
		return false
	}
	g.file, g.spent = g.spent[0], g.spent[1:]
	return true
}

// A former is a generation that has no file here now: its file is gone, or has not been found again since leatd was
// started. Settled ones are remembered for a while, since one may come back compressed.
type former struct {
	pipeline.Position
	sought bool // it is none of the files that there are: a gap, if it was not done
}

// mostFormer is how many generations are remembered after their files: more than a kubelet keeps.
const mostFormer = 8

// remember adds a generation whose last file is gone.
func (src *source) remember(g *generation) {
	if g.identified {
		p := g.position()
		p.Done = true // or it was given up, and what was not settled is counted
		src.former = append(src.former, former{p, true})
	}
	kept := 0
	for i := len(src.former) - 1; i >= 0; i-- {
		if src.former[i].sought {
			if kept++; kept > mostFormer {
				src.former = slices.Delete(src.former, i, i+1)
			}
		}
	}
}

// recall takes out what is known of a generation that had no file.
func (src *source) recall(id pipeline.GenerationID) (p former, known bool) {
	for i, p := range src.former {
		if p.ID == id {
			src.former = slices.Delete(src.former, i, i+1)
			return p, true
		}
	}
	return p, false
}
