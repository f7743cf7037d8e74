package spool

import (
	"bytes"
	"os"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/leatd/leat/pipeline"
)

// FuzzHeader: whatever a header holds, reading it ends, and what is taken can be written and read again.
func FuzzHeader(f *testing.F) {
	b := pipeline.NewBlock(4<<10, 4<<10)
	addSegment(b, &pipeline.LaneTarget{Target: aTarget(1)}, 1, 5, 3)
	addSegment(b, &pipeline.LaneTarget{Target: &pipeline.Target{Key: "/\xff", Path: "/\xff", Raw: true}}, 2, 2, 3)
	var scratch []byte
	f.Add(appendHeader(nil, &scratch, piecesOf(b)))
	f.Add(appendHeader(nil, &scratch, nil))
	f.Add([]byte{1, 255, 255, 255, 255, 15})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := newHeaderReader(raw)
		if err != nil {
			return
		}
		left := r.left
		var pieces []pipeline.Piece
		for {
			s, ok := r.next()
			if !ok {
				break
			}
			is := parseIdentity(s.identity)
			if is.Key != string(s.key) {
				t.Fatalf("key %q, target %+v", s.key, is)
			}
			s.Target = &pipeline.LaneTarget{Target: is}
			s.First = 0
			pieces = append(pieces, pipeline.Piece{Block: &pipeline.Block{Records: make([]pipeline.Record, 1)}, Segment: &s.Segment})
			pieces[len(pieces)-1].Block.Records[0].Time = s.began
		}
		if len(pieces) != left || r.bad {
			t.Fatalf("%d segments of %d", len(pieces), left)
		}
		again, err := newHeaderReader(appendHeader(nil, &scratch, pieces))
		if err != nil || again.left != left {
			t.Fatalf("%v, %d segments of %d", err, again.left, left)
		}
	})
}

// FuzzBody: whatever a body holds, reading it ends and stays within it.
func FuzzBody(f *testing.F) {
	b := pipeline.NewBlock(4<<10, 4<<10)
	addSegment(b, &pipeline.LaneTarget{Target: aTarget(1)}, 1, 9, 3)
	f.Add(appendBody(nil, piecesOf(b)), 3, 5)
	f.Add(appendBody(nil, nil), 0, 0)
	f.Add([]byte{4, 0, 0, 0, 0, 255, 0, 0}, 1, 0)
	f.Fuzz(func(t *testing.T, raw []byte, skipped, read int) {
		skipped, read = skipped&0xff, read&0xff
		r, ok := newBodyReader(raw, skipped+read)
		if !ok {
			return
		}
		r.skip(skipped)
		records, from, to := r.read(nil, read, 0)
		if len(records) != read || from > to || to != len(raw) {
			t.Fatalf("%d records, bodies from %d to %d of %d", len(records), from, to, len(raw))
		}
		for _, rec := range records {
			_ = raw[rec.Off : rec.Off+rec.Len]
		}
	})
}

// FuzzFile: whatever a file of the spool holds, it is opened, read and done with, and the ledger adds up.
func FuzzFile(f *testing.F) {
	d := newMemDisk()
	g := newRig(f, Options{disk: d})
	load(f, g, 0, 2, &pipeline.LaneTarget{Target: aTarget(0)}, &pipeline.LaneTarget{Target: aTarget(1)})
	whole := d.names[g.files[0].path].data
	state := bytes.Clone(g.State())
	g.Close()
	old, err := os.ReadFile(golden)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(old, []byte(`{"position":1,"next":3}`))
	f.Add(whole, state)
	f.Add(whole[:len(whole)-9], []byte(nil))
	f.Add(whole[:headSize], []byte(`{"position":1,"next":3,"void":2}`))
	f.Add(append(bytes.Clone(whole), whole[headSize:]...), []byte(`{"position":2,"next":2,"targets":[{"target":"a","record":9}]}`))
	f.Fuzz(func(t *testing.T, data, state []byte) {
		d := newMemDisk()
		for _, name := range []string{"spool/0000000000000001.spool", "spool/0000000000000003.spool"} {
			d.names[name] = &inode{bytes.Clone(data), bytes.Clone(data)}
		}
		g := newRig(t, Options{disk: d, State: state})
		for range 100 {
			b := g.fill(4 << 10)
			if b == nil {
				break
			}
			g.settleAll(b, pipeline.Delivered)
		}
		sum := g.sum()
		all := sum.Delivered
		for _, r := range sum.Dropped {
			all.Add(r.Lines, r.Bytes)
		}
		if !g.Empty() || all != sum.Read || sum.Pending != (pipeline.Count{}) {
			t.Fatalf("empty: %v, %+v", g.Empty(), sum)
		}
		load(t, g, 0, 1, &pipeline.LaneTarget{Target: aTarget(0)})
		if b := g.fill(16 << 10); b == nil || len(b.Records) != 10 {
			t.Fatal("nothing can be appended and read any more")
		}
	})
}

// FuzzRecord: a record whose sums all fit can hold anything in its header and body, and is read or given up.
func FuzzRecord(f *testing.F) {
	b := pipeline.NewBlock(4<<10, 4<<10)
	addSegment(b, &pipeline.LaneTarget{Target: aTarget(1)}, 1, 9, 3)
	var scratch []byte
	f.Add(appendHeader(nil, &scratch, piecesOf(b)), appendBody(nil, piecesOf(b)))
	f.Add([]byte{0}, []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, header, body []byte) {
		head, packed := s2.Encode(nil, header), s2.Encode(nil, body)
		file := fileHead{newMark(), 1}
		text := file.append(nil)
		p := prelude{number: 1, previous: 1, count: 1, header: uint32(len(head)), body: uint32(len(packed)),
			unpacked: uint32(len(body)), headerSum: checksum(head), bodySum: checksum(packed)}
		text = append(append(p.append(text, file.mark), head...), packed...)
		d := newMemDisk()
		d.names["spool/0000000000000001.spool"] = &inode{text, text}
		g := newRig(t, Options{disk: d, State: []byte(`{"position":1,"next":2}`)})
		for range 10 {
			b := g.fill(4 << 10)
			if b == nil {
				break
			}
			for i := range b.Segments {
				for j := range b.Of(&b.Segments[i]) {
					b.Body(&b.Of(&b.Segments[i])[j])
				}
			}
			g.settleAll(b, pipeline.Delivered)
		}
		if sum := g.sum(); !g.Empty() || sum.Pending != (pipeline.Count{}) {
			t.Fatalf("empty: %v, %+v", g.Empty(), sum)
		}
	})
}
