package spool

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// stop ends a life in good order: what is under way is delivered, or goes home unsent.
func (p *play) stop() {
	unsent := p.rnd.IntN(2) == 0
	p.trace("stops, %d blocks under way, unsent: %v", len(p.flying), unsent)
	for len(p.flying) > 0 {
		if !unsent {
			p.home(15)
			continue
		}
		for i := range p.flying[0].Segments {
			p.flying[0].Segments[i].Verdict = pipeline.Unsent
		}
		p.g.reader.Settle(p.flying[0])
		p.flying = p.flying[1:]
	}
	p.check()
	p.disk.fail = nil
	p.save()
	p.bury()
	before := p.held()
	p.g.Close()
	p.damage()
	p.start()
	if after := p.held(); !p.damages && !maps.Equal(before, after) {
		p.t.Fatalf("one life leaves %v, and the next finds %v", before, after)
	}
}

// held is what the spool has of each target.
func (p *play) held() map[string]holding {
	held := make(map[string]holding)
	for key, t := range p.g.targets {
		if t.held.segments > 0 {
			held[key] = t.held
		}
	}
	return held
}

func (p *play) kill(power bool) {
	if p.opts.DropOldest { // what is under way of a dropped file would be lost with the process
		p.stop()
		return
	}
	p.trace("killed, power cut: %v", power)
	p.cut = p.cut || power
	if p.older != nil && p.rnd.IntN(5) == 0 { // the file of cursors was damaged, and the older one is taken
		p.trace("with older cursors")
		p.state = p.older[""].state
		for key, s := range p.logs {
			s.saved, s.settled = p.older[key].saved, p.older[key].settled
		}
	}
	p.bury()
	p.disk = p.disk.crash(power, p.rnd)
	p.damage()
	p.start()
}

// bury sums up what the ledger of a life says.
func (p *play) bury() {
	for _, row := range p.g.rows {
		f := row.Account.Snapshot()
		p.logs[row.Key].dropped += f.Dropped[pipeline.SpoolFull].Lines + f.Dropped[pipeline.SpoolDamaged].Lines
	}
}

// damage flips a bit of a file, and finds out whose lines may suffer.
func (p *play) damage() {
	if !p.damages || p.rnd.IntN(2) == 0 || len(p.disk.names) == 0 {
		return
	}
	p.disk.fail = nil
	path := slices.Sorted(maps.Keys(p.disk.names))[p.rnd.IntN(len(p.disk.names))]
	n := p.disk.names[path]
	if len(n.data) == 0 || p.spoilt[path] {
		return // once a file: what can be found of it after a second time is luck
	}
	p.spoilt[path] = true
	at := p.rnd.Int64N(int64(len(n.data)))
	p.trace("damaged: %s at %d of %d", path, at, len(n.data))
	file := &memFile{p.disk, n}
	first, _ := parseName(path[len("spool/"):])
	_, head, _ := readHead(file, first)
	w := walk{end: int64(len(n.data)), stubborn: true}
	w.open(file, head.mark)
	for off := int64(headSize); ; {
		pre, begin, err := w.seek(off, 0)
		if err != nil {
			break
		}
		off = begin + pre.size()
		segments, err := w.segments(&pre, begin)
		if err != nil {
			continue
		}
		for seg, ok := segments.next(); ok && begin <= at && at < off; seg, ok = segments.next() {
			p.trace("damaged at %s %d: record %d, %s %d to %d", path, at, pre.number, seg.key, seg.Start, seg.End)
			for seq := seg.Start; seq < seg.End; seq++ {
				p.logs[string(seg.key)].hurt[seq] = true
			}
		}
	}
	n.data[at] ^= 1 << p.rnd.IntN(8)
	n.synced = bytes.Clone(n.data)
}

// check holds the ledger against itself and against what the spool holds.
func (p *play) check() {
	sum := p.g.sum()
	for _, row := range p.tails {
		x := row.Account.Snapshot()
		sum.Read.Add(x.Read.Lines, x.Read.Bytes)
		sum.Delivered.Add(x.Delivered.Lines, x.Delivered.Bytes)
		sum.Pending.Add(x.Pending.Lines, x.Pending.Bytes)
		for r := range x.Dropped {
			sum.Dropped[r].Add(x.Dropped[r].Lines, x.Dropped[r].Bytes)
		}
	}
	all := sum.Delivered
	all.Add(sum.Pending.Lines, sum.Pending.Bytes)
	for _, d := range sum.Dropped {
		all.Add(d.Lines, d.Bytes)
	}
	if all != sum.Read {
		p.t.Fatalf("the ledger does not add up: %+v", sum)
	}
	var held holding
	for key, t := range p.g.targets {
		held.add(t.held)
		if t.held.segments < 0 {
			p.t.Fatalf("%s holds %+v", key, t.held)
		}
	}
	if held.segments != p.g.held || sum.Pending != (pipeline.Count{Lines: held.lines, Bytes: held.bytes + held.cut}) {
		p.t.Fatalf("pending %+v, held %+v, %d", sum.Pending, held, p.g.held)
	}
	if f := p.g.Figures(); f.Bytes > f.MaxBytes && !p.cut || f.Left > f.Bytes || f.Left < 0 {
		p.t.Fatalf("%+v", f)
	}
}

// finish reads and settles all, and looks whether everything acknowledged has arrived.
func (p *play) finish() {
	hurt := p.faults > 0 || p.damages
	p.disk.fail, p.faults, p.damages = nil, 0, false
	for i := 0; !p.g.Empty() || len(p.flying) > 0; i++ {
		if i > 10000 {
			p.t.Fatalf("the spool does not empty: %d segments, %d flying, %d aside, %+v of %d files", p.g.held, p.g.flying, len(p.g.aside), p.g.main, len(p.g.files))
		}
		p.fill()
		p.home(0)
		p.check()
		time.Sleep(time.Second)
	}
	if f := p.g.Figures(); !hurt && f.Damaged > 0 {
		p.t.Errorf("%+v", f)
	}
	p.stop() // what could not be removed in one life goes in the next
	p.save()
	if f := p.g.Figures(); f.Bytes != 0 || f.Left != 0 || f.Oldest != 0 || len(p.disk.names) != 0 {
		p.t.Errorf("empty, and %+v, %v", f, p.disk.names)
	}
	p.bury()
	for key, s := range p.logs {
		missing := int64(0)
		for seq := range s.cursor.at {
			if s.got[seq] == 0 && !s.hurt[seq] {
				p.trace("missing: %s %d", key, seq)
				missing++
			}
		}
		if p.opts.DropOldest {
			missing -= s.dropped
		}
		if missing > 0 {
			p.t.Errorf("%s: %d of %d lines are missing", key, missing, s.cursor.at)
		}
	}
	time.Sleep(2 * keep)
	p.fill()
	if len(p.g.targets) > 0 || p.g.ended != len(p.g.rows) {
		p.t.Errorf("%d targets are kept, %d of %d rows ended", len(p.g.targets), p.g.ended, len(p.g.rows))
	}
	p.g.Close()
}
