package tail

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/leatd/leat/pipeline"
)

// errUnfinished says that somebody still writes a gzip file.
var errUnfinished = errors.New("it is still being written")

// unpack finds out what there is to know of a gzip file before it is read: which generation it holds, when that begins,
// and how long it is. plain tells that the file which it was made of is still there. It is called with mu held.
func (s *Set) unpack(f *file, plain bool) error {
	// The kubelet gives it this name when it is whole. Docker writes it under this name, and deletes the plain file then.
	fresh := s.now().Sub(time.Unix(0, f.mtime)) < s.times.late
	if w := f.lease(f.fd); w == someWriter || w == unknownWriters && plain && fresh {
		return errUnfinished
	}
	var end [4]byte
	if n, err := f.readAt(end[:], max(0, f.size-4)); err != nil {
		return err
	} else if n == len(end) {
		f.isize = binary.LittleEndian.Uint32(end[:])
	}
	read := func(p []byte, off int64) (int, error) { return s.gunzip.readAt(f, p, off) }
	if _, err := read(make([]byte, headLength), 0); err != nil {
		return err
	}
	f.gzip = true
	id, ok := f.head(read, true)
	if !ok { // there is no first line that could tell
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %d %d", f.key.dev, f.key.ino, f.key.born)
		id = pipeline.GenerationID{Restart: f.restart, Hash: h.Sum64()}
	}
	f.id = &id
	if f.order.first, f.order.known = firstTime(f, read); !f.order.known {
		f.order.first, f.order.known = f.mtime, true
	}
	s.gunzip.of = nil
	return nil
}

// guess is how many bytes a gzip file decompresses to: right for a file of one piece below 4 GiB. No piece of
// compressed bytes grows more than 1032 times.
func (f *file) guess() int64 {
	if n := int64(f.isize); n <= 1032*f.size {
		return n
	}
	return f.size
}

// ends tells that the file holds just so many bytes, as far as it says so itself.
func (f *file) ends(at int64) bool {
	if f.gzip {
		return f.isize == uint32(at)
	}
	return f.length() <= at
}

// seat tells whether a generation may be read now. Compressed ones take turns, each to its end: a node full of them
// costs one decompressor for each shard, and none has to be decompressed twice. One that has to wait leaves the seat.
func (r *Reader) seat(g *generation) bool {
	if !g.file.gzip || r.seated == g {
		return true
	}
	if s := r.seated; s != nil && s.file.gzip && !(s.whole && s.read == s.size) {
		if now, _ := s.src.current(); now == s && !r.waits(s.src) {
			return false
		}
	}
	r.seated = g
	return true
}

// readAt reads a generation's bytes, decompressed: n < len(p) without an error is their end.
func (r *Reader) readAt(g *generation, p []byte, off int64) (int, error) {
	if !g.file.gzip {
		return g.file.readAt(p, off)
	}
	if g.whole && off >= g.size {
		return 0, nil
	}
	n, err := r.gunzip.readAt(g.file, p, off)
	if err != nil || n == len(p) {
		return n, err
	}
	g.whole, g.size = true, off+int64(n)
	if why := r.gunzip.broken(); why != nil && !g.complete {
		g.torn = true
		if !g.file.broken.Swap(true) {
			r.lane.set.opts.Log.Error("a compressed log file is damaged: what stands before the damage is delivered, the rest is counted as a gap",
				"target", g.src.target.Key, "file", *g.file.path.Load(), "error", why, "readable_bytes", r.gunzip.at)
		}
	}
	return n, nil
}

// readPart reads a raw line of a part again.
func (r *Reader) readPart(p *part, raw []byte) (int, error) {
	if p.gen.file.gzip {
		return r.parts.readAt(p.gen.file, raw, p.off)
	}
	return p.gen.file.readAt(raw, p.off)
}
