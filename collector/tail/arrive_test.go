package tail

import (
	"fmt"
	"slices"

	"github.com/leatd/leat/pipeline"
)

// An arrival is a line that a lane's sink, or its spool, has for good, and what a kill would make of it.
type arrival struct {
	body    string
	spooled bool // by the spool: a kill changes nothing
	saved   bool // the saved cursor covers it
}

func bodies(got []arrival) (all []string) {
	for i := range got {
		all = append(all, got[i].body)
	}
	return all
}

// A record is what a spool keeps of a segment, beyond its lines.
type record struct {
	key    string
	number uint64
	at     pipeline.Position
	time   int64
	parts  []pipeline.Part
}

// divert enters a segment into the spool: it is on disk for good, and so is the place behind it.
func (l *rigLane) divert(seg *pipeline.Segment) {
	l.number++
	seg.Spooled = l.number
	key := seg.Target.Key
	l.spool = append(l.spool, record{key, l.number, pipeline.Position{ID: seg.Generation, Offset: seg.End, Skip: seg.Skip}, seg.Time, slices.Clone(seg.Parts)})
	held := l.inSpool[seg.Target]
	held.Add(int64(seg.N), seg.Bytes+seg.CutBytes)
	l.inSpool[seg.Target] = held
	l.spooledLines[key] += int64(seg.N)
}

// cover is what the spool's records say of places in files, as pipeline.Store.Cover does it.
func (l *rigLane) cover() {
	for _, rec := range l.spool {
		c := l.saved[rec.key]
		if rec.number <= c.Spooled {
			continue
		}
		c.Generations = slices.Clone(c.Generations)
		i := slices.IndexFunc(c.Generations, func(p pipeline.Position) bool { return p.ID == rec.at.ID })
		if i < 0 {
			c.Generations = append(c.Generations, rec.at)
		} else {
			rec.at.Name = c.Generations[i].Name
			c.Generations[i] = rec.at
		}
		c.Key, c.Spooled, c.Time, c.Parts = rec.key, rec.number, rec.time, rec.parts
		l.saved[rec.key] = c
	}
}

// keep enters cursors as saved, and with them all that has arrived.
func (l *rigLane) keep(cursors []pipeline.Cursor) {
	for _, c := range cursors {
		if c.Gone {
			delete(l.saved, c.Key)
			l.spool = slices.DeleteFunc(l.spool, func(r record) bool { return r.key == c.Key })
			continue
		}
		if was := l.saved[c.Key]; c.Spooled < was.Spooled {
			l.rig.t.Fatalf("lane %d %s: the cursor's place in the spool went back from %d to %d", l.name, c.Key, was.Spooled, c.Spooled)
		}
		ids := map[pipeline.GenerationID]bool{}
		for _, p := range c.Generations {
			if ids[p.ID] {
				l.rig.t.Fatalf("lane %d: generation %s stands twice in a cursor: %+v", l.name, p.ID, c)
			}
			ids[p.ID] = true
		}
		l.saved[c.Key] = c
		if *traceFlag {
			fmt.Printf("lane %d saves %+v\n", l.name, c)
		}
	}
	for _, got := range l.got {
		for stream := range got {
			for i := range got[stream] {
				got[stream][i].saved = true
			}
		}
	}
}

// forget takes back what a kill makes the lane send again.
func (l *rigLane) forget() {
	for _, got := range l.got {
		for stream := range got {
			got[stream] = slices.DeleteFunc(got[stream], func(a arrival) bool { return !a.saved && !a.spooled })
		}
	}
}
