package sinks

// pieceSize is how much of a body is encoded before it is compressed: little enough to be still in the cache of the
// core when the compressor reads it, and the largest block that snappy's quickest variant takes.
const pieceSize = 64 << 10

// Lines of one container resemble each other most, so a piece of them is as good as a long one. Where a batch holds a few
// lines each of many containers, the like of a line is farther away: in 200 ms of 100 containers snappy makes a piece of
// 256 KiB 8 % smaller than four of 64 KiB, for less CPU. zstd and gzip have a window for that, whatever the pieces.
const (
	widePiece = 256 << 10
	fewLines  = 32 << 10 // of text: a segment with less asks for the wide piece
)

// pieces takes an uncompressed body and hands it to the compressor a piece at a time. Encoders hold the piece that is
// being filled as a local slice, take it by open and give it back by keep, so that it stays in registers while they
// append to it. Its capacity is what the piece may grow to: whoever appends makes room first.
type pieces struct {
	buf  []byte // with the capacity of the longest piece
	done int    // bytes in the pieces before buf
	to   compressor
}

func newPieces(to compressor, longest int) pieces {
	return pieces{buf: make([]byte, 0, longest), to: to}
}

func (p *pieces) begin() {
	p.buf, p.done = p.buf[:0], 0
	p.to.begin()
}

func (p *pieces) keep(dst []byte) { p.buf = p.buf[:len(dst)] }
func (p *pieces) size() int       { return p.done + len(p.buf) }
func (p *pieces) end() []byte     { p.buf = p.flush(p.buf); return p.to.end() }

// open gives the piece to append n bytes of text to, and what goes with them.
func (p *pieces) open(n int) []byte {
	most := cap(p.buf)
	if n >= fewLines {
		most = min(most, pieceSize)
	}
	if len(p.buf) > most {
		p.buf = p.flush(p.buf)
	}
	return p.buf[:len(p.buf):most]
}

// flush compresses dst and returns it empty.
func (p *pieces) flush(dst []byte) []byte {
	if len(dst) > 0 {
		p.to.add(dst)
		p.done += len(dst)
	}
	return dst[:0]
}

// room makes sure that n more bytes fit behind dst. n is at most pieceSize.
func (p *pieces) room(dst []byte, n int) []byte {
	if cap(dst)-len(dst) < n {
		return p.flush(dst)
	}
	return dst
}

// write appends src, however long it is.
func (p *pieces) write(dst, src []byte) []byte {
	if len(src) <= cap(dst)-len(dst) {
		return append(dst, src...)
	}
	return p.writeLong(dst, src)
}

func (p *pieces) writeLong(dst, src []byte) []byte {
	for {
		n := min(len(src), cap(dst)-len(dst))
		dst, src = append(dst, src[:n]...), src[n:]
		if len(src) == 0 {
			return dst
		}
		dst = p.flush(dst)
	}
}
