package tail

import (
	"bytes"
	"time"
	"unsafe"

	"github.com/leatd/leat/pipeline"
)

// taking is one addition to a block: the segment that it goes to, and how things stood before.
type taking struct {
	*pipeline.Segment
	g          *generation
	from       int64
	records    int
	bytes, cut int64
}

// take begins an addition of what is read from g now. It goes to the block's last segment if it follows on there, else to
// a new one.
func (r *Reader) take(b *pipeline.Block, g *generation) taking {
	src := g.src
	n := len(b.Segments)
	if n == 0 || b.Segments[n-1].Mark != g || b.Segments[n-1].Epoch != src.epoch || b.Segments[n-1].End != g.read {
		b.Segments = append(b.Segments, pipeline.Segment{
			Target: src.target, Generation: g.id, Start: g.read, End: g.read, First: len(b.Records),
			Epoch: src.epoch, All: ^pipeline.Flags(0), Mark: g,
		})
		src.underway++
		g.underway++
		n++
	}
	s := &b.Segments[n-1]
	return taking{s, g, g.read, len(b.Records), s.Bytes, s.CutBytes}
}

// took ends an addition of n bytes of the file: the read position moves, and the ledger counts what is new.
func (r *Reader) took(b *pipeline.Block, t taking, n int) {
	g, src := t.g, t.g.src
	t.N = len(b.Records) - t.First
	g.read += int64(n)
	g.most = max(g.most, g.read)
	t.End, t.Skip, t.Time = g.read, g.skip, src.lastTime
	t.Parts = src.openParts()
	src.retryAt = time.Time{}
	r.count(b, t)
	src.publish(r.now)
}

// count enters an addition into the ledger: it is read, and pending from now on. What is owed after a rewind was counted
// the first time and is pending still.
func (r *Reader) count(b *pipeline.Block, t taking) {
	g, src := t.g, t.g.src
	f := src.target.Account.Own()
	fresh := b.Records[t.records:]
	lines, bytes := int64(len(fresh)), t.Bytes-t.bytes+t.CutBytes-t.cut
	if g.owed != (pipeline.Count{}) {
		again := pipeline.Count{Lines: min(lines, g.owed.Lines), Bytes: min(bytes, g.owed.Bytes)}
		g.owed.Add(-again.Lines, -again.Bytes)
		lines, bytes = lines-again.Lines, bytes-again.Bytes
		fresh = fresh[again.Lines:]
	}
	if f.Pending.Lines == src.inSpool && lines > 0 {
		src.oldest = fresh[0].Time
	}
	f.Read.Add(lines, bytes)
	f.Pending.Add(lines, bytes)
	g.pending.Add(lines, bytes)
	if t.Any&(pipeline.Unparsed|pipeline.Truncated) == 0 {
		return
	}
	for i := range fresh {
		if fresh[i].Flags&pipeline.Unparsed != 0 {
			f.Unparsed++
		}
		if fresh[i].Flags&pipeline.Truncated != 0 {
			f.Truncated++
		}
	}
}

// cut makes records of the whole lines in b.Buf[lo:hi], which was read from g at its read position, and moves that
// position behind them. It returns how many bytes that was, and whether it stopped because the block is full.
func (r *Reader) cut(b *pipeline.Block, g *generation, lo, hi int) (used int, full bool) {
	buf := b.Buf[:hi]
	first := bytes.IndexByte(buf[lo:], '\n')
	if first < 0 {
		return 0, false
	}
	src := g.src
	if g.format == unknown {
		g.format = formatOf(src, buf[lo:lo+first])
	}
	t := r.take(b, g)
	maxLine := r.lane.set.opts.MaxLine
	base := g.read - t.Start - int64(lo)
	at := lo
	l := &r.line
	open := src.hasOpen()
	for end := lo + first; ; {
		if len(b.Records) == cap(b.Records) {
			full = true
			break
		}
		raw := buf[at:end]
		ok := r.parse(src, g, raw)
		if ok && !l.part && !open && len(l.body) <= maxLine {
			r.record(b, t, pipeline.Record{Time: l.time, Off: offset(buf, l.body, at), Len: uint32(len(l.body)), Pos: uint32(base + int64(at)), Flags: flags(l)})
		} else {
			if !r.special(b, t, ok, raw, at, base+int64(at), 0) {
				full = true
				break
			}
			open = src.hasOpen()
		}
		src.lastTime = l.time
		at = end + 1
		n := bytes.IndexByte(buf[at:], '\n')
		if n < 0 {
			break
		}
		end = at + n
	}
	used = at - lo
	b.Data = at
	r.took(b, t, used)
	return used, full
}

func (r *Reader) record(b *pipeline.Block, t taking, rec pipeline.Record) {
	b.Records = append(b.Records, rec)
	t.Any |= rec.Flags
	t.All &= rec.Flags
	t.Bytes += int64(rec.Len)
}

func stream(l *line) int {
	if l.stderr {
		return 1
	}
	return 0
}

func flags(l *line) pipeline.Flags {
	if l.stderr {
		return pipeline.Stderr
	}
	return 0
}

// offset is where body, a part of buf, begins in it; an empty one begins at the line.
func offset(buf, body []byte, line int) uint32 {
	if len(body) == 0 {
		return uint32(line)
	}
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(body))) - uintptr(unsafe.Pointer(unsafe.SliceData(buf))))
}

// formatOf tells a container's format by its first line. Other lines may follow; each is tried, none is lost.
func formatOf(src *source, raw []byte) format {
	if src.target.Raw {
		return formatRaw
	}
	return detect(raw)
}

// parse fills r.line from a raw line. It is false for a line in no format we know; then the line is its own body, with the
// time of the record before it, and the same again should it be sent again.
func (r *Reader) parse(src *source, g *generation, raw []byte) bool {
	switch g.format {
	case formatCRI:
		if r.clock.cri(raw, &r.line) {
			return true
		}
	case formatDocker:
		if r.clock.docker(raw, &r.line) {
			return true
		}
	case formatRaw: // the only time there is is that of reading
		r.line = line{time: r.now.UnixNano(), body: raw}
		return true
	default:
		if g.format = detect(raw); g.format != unknown {
			return r.parse(src, g, raw)
		}
	}
	r.line = line{time: src.lastTime, body: raw}
	if r.line.time == 0 { // the first of its file: when the file was made is the best guess that stays the same
		r.line.time = g.file.key.born
		if r.line.time == 0 {
			r.line.time = g.file.mtime
		}
	}
	return false
}

// special takes the lines that are rare: parts, lines that end one, unparsed lines, and lines that are too long. It is
// false if the block has no room for the joined body.
func (r *Reader) special(b *pipeline.Block, t taking, parsed bool, raw []byte, at int, pos int64, fl pipeline.Flags) bool {
	l := &r.line
	o := &t.g.src.open[stream(l)]
	maxLine := r.lane.set.opts.MaxLine
	switch {
	case !parsed:
		r.keep(b, t, at, pos, fl|pipeline.Unparsed)
	case l.part && o.bytes > maxLine: // nothing of it can be kept
		t.CutBytes += int64(len(l.body))
	case l.part:
		if len(o.parts) >= mostParts && !r.join(b, t, o, nil, pos, flags(l)|pipeline.Unfinished) {
			return false
		}
		o.add(part{
			gen: t.g, off: t.Start + pos, length: int64(len(raw)), round: r.round,
			body: offset(b.Buf, l.body, at), n: len(l.body), time: l.time,
		})
	case len(o.parts) > 0:
		return r.join(b, t, o, l.body, pos, flags(l)|fl)
	default:
		r.keep(b, t, at, pos, fl)
	}
	return true
}

// keep makes a record of the present line's body, which lies in the block: at most max_line of it.
func (r *Reader) keep(b *pipeline.Block, t taking, at int, pos int64, fl pipeline.Flags) {
	l := &r.line
	body := l.body
	fl |= flags(l)
	if over := len(body) - r.lane.set.opts.MaxLine; over > 0 {
		body = body[:len(body)-over]
		t.CutBytes += int64(over)
		fl |= pipeline.Truncated
	}
	r.record(b, t, pipeline.Record{Time: l.time, Off: offset(b.Buf, body, at), Len: uint32(len(body)), Pos: uint32(pos), Flags: fl})
}
