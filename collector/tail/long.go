package tail

import (
	"bytes"

	"github.com/leatd/leat/pipeline"
)

// longLine takes a line that is longer than a block has room for data; b holds its first n bytes and nothing else. With
// the spare room the block is larger than max_line, so if the end of the line is still not there, the line is cut off.
func (r *Reader) longLine(b *pipeline.Block, g *generation, n int) turned {
	m, err := r.readAt(g, b.Buf[n:], g.read+int64(n))
	if err != nil {
		return r.failed(g.src, err)
	}
	n += m
	end := bytes.IndexByte(b.Buf[:n], '\n')
	switch {
	case end >= 0:
		if !r.longJoin(b, g, end, end+1, 0) {
			b.Spare = len(b.Buf) // the data has it
			r.cut(b, g, 0, end+1)
		}
	case n < len(b.Buf): // its end is not written yet
		if size := g.read + int64(n); size > g.size {
			g.grow(size, r.now)
		}
		return r.atEnd(b, g.src, g, g.src.after(g) != nil, n)
	case !g.identified:
		if g.identify(true) {
			return turnMore
		}
		return turnDry
	default:
		g.skip = true // to its newline
		if !r.longJoin(b, g, n, n, pipeline.Truncated) {
			b.Spare = len(b.Buf)
			r.rawLine(b, g, n, pipeline.Truncated)
		}
	}
	return turnFull
}

// longJoin takes a long line of n bytes if it ends an open one: then the block holds the joined line instead of what was
// read. used is how far the read position moves. It is false for any other line.
func (r *Reader) longJoin(b *pipeline.Block, g *generation, n, used int, fl pipeline.Flags) bool {
	src := g.src
	if !src.hasOpen() {
		return false
	}
	raw := bytes.Clone(b.Buf[:n]) // Docker's lines are decoded in place, and it may be for nothing
	if !r.parse(src, g, raw) {
		return false
	}
	o := &src.open[stream(&r.line)]
	body := r.line.body
	fl |= flags(&r.line)
	if r.line.part {
		if len(o.parts) < mostParts {
			return false
		}
		body, used, fl = nil, 0, flags(&r.line)|pipeline.Unfinished // the part itself comes next
		g.skip = false
	} else if len(o.parts) == 0 {
		return false
	}
	t := r.take(b, g)
	r.join(b, t, o, body, g.read-t.Start, fl)
	if used > 0 {
		src.lastTime = r.line.time
	}
	r.took(b, t, used)
	return true
}

// lastLine takes what stands at the end of a file without a newline. It is false if the block has no room for it.
func (r *Reader) lastLine(b *pipeline.Block, g *generation, n int) bool {
	if len(b.Records) == cap(b.Records) {
		return false
	}
	if b.Data+n > b.Room() {
		if from := g.read; r.longJoin(b, g, n, n, pipeline.Unfinished) {
			return g.read > from
		}
		b.Spare = len(b.Buf)
	}
	return r.rawLine(b, g, n, pipeline.Unfinished)
}

// rawLine makes a record of n bytes at b.Data that have no newline: because the file ends there, or because they are all
// that is kept of a line.
func (r *Reader) rawLine(b *pipeline.Block, g *generation, n int, fl pipeline.Flags) bool {
	at := b.Data
	raw := b.Buf[at : at+n]
	if g.format == unknown {
		g.format = formatOf(g.src, raw)
	}
	t := r.take(b, g)
	if !r.special(b, t, r.parse(g.src, g, raw), raw, at, g.read-t.Start, fl) {
		return false
	}
	g.src.lastTime = r.line.time
	b.Data = at + n
	r.took(b, t, n)
	return true
}

// skipLine goes on in a line that is cut off: what lies before its newline is passed over and counted.
func (r *Reader) skipLine(b *pipeline.Block, g *generation, n int, more bool) turned {
	over, used := n, n
	if i := bytes.IndexByte(b.Buf[b.Data:b.Data+n], '\n'); i >= 0 {
		over, used = i, i+1
		g.skip = false
	}
	t := r.take(b, g)
	t.CutBytes += int64(over)
	r.took(b, t, used)
	switch {
	case !g.skip:
		return turnMore
	case more: // on its way, though it holds little: what came home meanwhile wants to be settled
		return turnFull
	}
	return turnDry
}
