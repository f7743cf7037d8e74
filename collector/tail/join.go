package tail

import (
	"slices"

	"github.com/leatd/leat/pipeline"
)

// An openLine is a line of one stream whose end has not come yet. Its parts stay in their files: only where they lie is
// kept, so an unfinished line costs no memory and pins nothing but itself. Parts that were read into the present block
// are copied from there, others are read again when the end comes.
//
// Parts are kept until they are more than max_line together, so it can be told from them that the line is cut. What comes
// after that is counted as cut when it comes.
type openLine struct {
	parts []part
	bytes int // of the parts' bodies
}

// A part is one raw line of a file that holds a piece of a log line.
type part struct {
	gen    *generation
	off    int64 // of the raw line in the file
	length int64 // of the raw line, without its newline
	n      int   // length of the body
	time   int64

	round uint64 // the block that the body was read into
	body  uint32 // where it lies there
}

// mostParts bounds what an open line costs. A runtime writes parts of 16 KiB; one that writes a byte each gets its line in
// several records.
const mostParts = 1024

func (o *openLine) add(p part) {
	o.parts = append(o.parts, p)
	o.bytes += p.n
}

// has tells that the line has a part at a place.
func (o *openLine) has(g *generation, off int64) bool {
	return slices.ContainsFunc(o.parts, func(p part) bool { return p.gen == g && p.off == off })
}

// drop forgets the parts of a generation whose content is gone, and returns how many bytes those were.
func (o *openLine) drop(g *generation) (bytes int64) {
	o.parts = slices.DeleteFunc(o.parts, func(p part) bool {
		if p.gen == g {
			bytes += int64(p.n)
		}
		return p.gen == g
	})
	o.bytes -= int(bytes)
	return bytes
}

func (o *openLine) clear() {
	clear(o.parts) // they hold generations
	o.parts, o.bytes = o.parts[:0], 0
}

func (src *source) hasOpen() bool { return len(src.open[0].parts)+len(src.open[1].parts) > 0 }

// forgetBlock makes open lines forget that their parts were read into a block of a certain reader.
func (src *source) forgetBlock() {
	for i := range src.open {
		for j := range src.open[i].parts {
			src.open[i].parts[j].round = 0
		}
	}
}

// openParts is the saved form of what is open at the read position; nil if nothing is.
func (src *source) openParts() []pipeline.Part {
	if !src.hasOpen() {
		return nil
	}
	var saved []pipeline.Part
	for i := range src.open {
		for _, p := range src.open[i].parts {
			saved = append(saved, pipeline.Part{Stderr: i == 1, ID: p.gen.id, Offset: p.off, Length: p.length})
		}
	}
	return saved
}

// join makes one record of an open line and its last piece, in the block's spare room. It is false if that is too small.
func (r *Reader) join(b *pipeline.Block, t taking, o *openLine, last []byte, pos int64, fl pipeline.Flags) bool {
	maxLine := r.lane.set.opts.MaxLine
	want := min(o.bytes+len(last), maxLine)
	if b.Spare+want > len(b.Buf) || len(b.Records) == cap(b.Records) {
		return false
	}
	keep := r.line // reading parts again parses them
	from := b.Spare
	over := int64(0)
	put := func(body []byte) {
		n := min(len(body), from+maxLine-b.Spare)
		over += int64(len(body) - n)
		b.Spare += copy(b.Buf[b.Spare:], body[:n])
	}
	for i := range o.parts {
		body, ok := r.bodyOf(b, &o.parts[i])
		if !ok {
			t.g.src.lose(pipeline.LostDeleted, int64(o.parts[i].n))
		}
		put(body)
	}
	put(last)
	r.line = keep
	if over > 0 {
		t.CutBytes += over
		fl |= pipeline.Truncated
	}
	r.record(b, t, pipeline.Record{Time: o.parts[0].time, Off: uint32(from), Len: uint32(b.Spare - from), Pos: uint32(pos), Flags: fl})
	o.clear()
	return true
}

// bodyOf is the body of a part: in the present block if it was read there, else from its file.
func (r *Reader) bodyOf(b *pipeline.Block, p *part) (body []byte, ok bool) {
	if p.round == r.round {
		return b.Buf[p.body : int(p.body)+p.n], true
	}
	l, ok := r.reread(p)
	return l.body, ok
}

// reread reads a part's raw line again.
func (r *Reader) reread(p *part) (line, bool) {
	if int64(cap(r.scratch)) < p.length {
		r.scratch = make([]byte, p.length)
	}
	raw := r.scratch[:p.length]
	r.beat.Waiting()
	n, err := r.readPart(p, raw)
	r.beat.Busy()
	var l line
	if err != nil || int64(n) < p.length || !(r.clock.cri(raw, &l) || r.clock.docker(raw, &l)) {
		return l, false
	}
	return l, true
}

// flushOpen gives out open lines whose end will not come. Their places are behind the last line of the file, one for each
// stream, where no other record can begin.
func (r *Reader) flushOpen(b *pipeline.Block, g *generation) turned {
	src := g.src
	if g.read == 0 { // an empty file is no place for a line, and may not be there the next time
		g = src.lastPart()
	}
	t := r.take(b, g)
	full := false
	for i := range src.open {
		fl := pipeline.Unfinished
		if i == 1 {
			fl |= pipeline.Stderr
		}
		if o := &src.open[i]; len(o.parts) > 0 && !full {
			full = !r.join(b, t, o, nil, g.read-t.Start+1+int64(i), fl)
		}
	}
	r.took(b, t, 0)
	if full {
		return turnFull // the other one goes into the next block
	}
	return turnMore
}

// restore takes up the lines that are open at the settled position, after a restart or a rewind.
func (r *Reader) restore(src *source) {
	src.restoreParts = false
	src.open[0].clear()
	src.open[1].clear()
	gens := slices.Clone(src.gens)
	for i, g := range gens {
		g.identify(i+1 < len(gens))
	}
	for _, saved := range src.settledParts {
		o := &src.open[0]
		if saved.Stderr {
			o = &src.open[1]
		}
		p := part{off: saved.Offset, length: saved.Length}
		for _, g := range src.gens {
			if !g.released && g.identified && g.id == saved.ID {
				p.gen = g
			}
		}
		var l line
		ok := false
		if p.gen != nil {
			l, ok = r.reread(&p)
		}
		if !ok {
			src.lose(pipeline.LostDeleted, saved.Length)
			continue
		}
		p.n, p.time = len(l.body), l.time
		o.add(p)
	}
}
