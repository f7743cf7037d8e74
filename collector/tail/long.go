package tail

import (
	"bytes"

	"github.com/leatd/leat/pipeline"
)

// longLine takes a line that is longer than a block has room for data; b holds its first n bytes and nothing else. With
// the spare room the block is larger than max_line, so if the end of the line is still not there, the line is cut off.
func (r *Reader) longLine(b *pipeline.Block, g *generation, n int) turned {
	m, err := g.file.readAt(b.Buf[n:], g.read+int64(n))
	if err != nil {
		return r.failed(g.src, err)
	}
	n += m
	if end := bytes.IndexByte(b.Buf[:n], '\n'); end >= 0 {
		b.Spare = len(b.Buf) // the data has it
		r.cut(b, g, 0, end+1)
		return turnFull
	}
	if n < len(b.Buf) { // its end is not written yet
		g.size = max(g.size, g.read+int64(n))
		return r.atEnd(b, g.src, g, g.src.after(g) != nil, n)
	}
	b.Spare = len(b.Buf)
	r.rawLine(b, g, n, pipeline.Truncated)
	return turnFull
}

// lastLine takes what stands at the end of a file without a newline. It is false if the block has no room for it.
func (r *Reader) lastLine(b *pipeline.Block, g *generation, n int) bool {
	if len(b.Records) == cap(b.Records) {
		return false
	}
	g.identify(true)
	return r.rawLine(b, g, n, pipeline.Unfinished)
}

// rawLine makes a record of n bytes at b.Data that have no newline. If that is because the line goes on, the rest will be
// passed over.
func (r *Reader) rawLine(b *pipeline.Block, g *generation, n int, fl pipeline.Flags) bool {
	at := b.Data
	raw := b.Buf[at : at+n]
	if g.format == unknown {
		g.format = formatOf(g.src, raw)
	}
	t := r.take(b, g)
	pos := g.read - t.Start
	switch ok := r.parse(g.src, g, raw); {
	case ok && r.line.part && fl == pipeline.Unfinished:
		if !r.special(b, t, ok, raw, at, pos) {
			return false
		}
	case ok:
		r.keep(b, t, at, pos, fl)
	default:
		r.keep(b, t, at, pos, fl|pipeline.Unparsed)
	}
	g.src.lastTime = r.line.time
	g.skip = fl == pipeline.Truncated
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
	if g.skip && !more {
		return turnDry
	}
	return turnMore
}
