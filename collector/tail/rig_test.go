package tail

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/pipeline"
)

// A rig moves blocks as pipeline's shards do, but in one goroutine and in an order that a seed decides: a failure can be
// seen again.
type rig struct {
	t    *testing.T
	rnd  *rand.Rand
	now  time.Time
	opts Options
	size int  // of blocks
	park bool // events come when they come: not to be had again by a seed

	set   *Set
	lanes []*rigLane
}

// A rigLane is one lane, its shards, and what it has delivered and saved over all lives.
type rigLane struct {
	rig    *rig
	name   int
	lane   *Lane
	shards []*rigShard
	dealt  int
	fresh  bool
	saved  map[string]pipeline.Cursor
	rows   []*pipeline.LaneTarget
	floor  map[*pipeline.LaneTarget]uint32
	got    map[string]*[2][]arrival
	ids    map[string]string
	calm   bool // the sink takes everything

	spool        []record
	number       uint64                                  // of its last record
	inSpool      map[*pipeline.LaneTarget]pipeline.Count // in this life
	spooledLines map[string]int64                        // ever
}

type rigShard struct {
	reader   pipeline.Reader
	block    *pipeline.Block
	free     []*pipeline.Block
	made     int
	underway []*pipeline.Block
}

func (l *rigLane) Track(t *pipeline.Target) *pipeline.LaneTarget {
	lt := &pipeline.LaneTarget{Target: t}
	l.rows = append(l.rows, lt)
	return lt
}
func (l *rigLane) Forget(*pipeline.LaneTarget) {}
func (l *rigLane) Fresh() bool                 { return l.fresh }
func (l *rigLane) Cursor(key string) (pipeline.Cursor, bool) {
	c, ok := l.saved[key]
	return c, ok
}

func newRig(t *testing.T, rnd *rand.Rand, o Options, lanes int) *rig {
	r := &rig{t: t, rnd: rnd, now: time.Now(), opts: o, size: 4 << 10}
	for i := range lanes {
		r.lanes = append(r.lanes, &rigLane{rig: r, name: i, saved: map[string]pipeline.Cursor{}, fresh: true,
			got: map[string]*[2][]arrival{}, ids: map[string]string{}, spooledLines: map[string]int64{}})
	}
	return r
}

// start begins a life.
func (r *rig) start() {
	if *traceFlag {
		fmt.Println("start")
	}
	r.set = NewSet(r.opts)
	r.set.parker.off = !r.park
	r.set.now = func() time.Time { return r.now }
	r.set.jitter = func(d time.Duration) time.Duration { return time.Duration(r.rnd.Int64N(int64(d))) }
	for _, l := range r.lanes {
		l.cover()
		l.lane = r.set.Lane(l, l)
		l.inSpool = map[*pipeline.LaneTarget]pipeline.Count{}
		l.rows, l.shards, l.floor = nil, nil, map[*pipeline.LaneTarget]uint32{}
		l.deal(1)
	}
}

func (l *rigLane) deal(n int) {
	for len(l.shards) < n {
		l.shards = append(l.shards, &rigShard{reader: l.lane.Open(len(l.shards), pipeline.NewBell(), nil)})
	}
	l.dealt = n
	l.lane.Deal(n)
}

// fill lets a shard's reader work.
func (l *rigLane) fill(s *rigShard) {
	if s.block == nil {
		switch {
		case len(s.free) > 0:
			s.block, s.free = s.free[0], s.free[1:]
		case s.made < 4:
			s.made++
			s.block = pipeline.NewBlock(l.rig.size, l.rig.opts.MaxLine+4<<10)
		default:
			s.reader.Look()
			return
		}
	}
	full := s.reader.Fill(s.block)
	if bool(full) || len(s.block.Segments) > 0 && l.rig.rnd.IntN(3) == 0 {
		s.underway = append(s.underway, s.block)
		s.block = nil
	}
}

// refused is what becomes of a segment of which the store takes only some lines, or none.
const refused pipeline.Verdict = 100

func (l *rigLane) refuse(b *pipeline.Block, seg *pipeline.Segment) {
	all := b.Of(seg)
	for from := l.rig.rnd.IntN(len(all) + 1); from < len(all); {
		n := 1 + l.rig.rnd.IntN(len(all)-from)
		r := pipeline.Refusal{Reason: pipeline.Reason(l.rig.rnd.IntN(2)), Count: pipeline.Count{Lines: int64(n)}}
		for _, rec := range all[from : from+n] {
			r.Bytes += int64(rec.Len)
		}
		seg.Refusals = append(seg.Refusals, r)
		from += n
	}
}

// home gives the oldest block under way its verdicts.
func (l *rigLane) home(s *rigShard) {
	if len(s.underway) == 0 {
		return
	}
	b := s.underway[0]
	s.underway = s.underway[1:]
	verdicts := map[*pipeline.LaneTarget]pipeline.Verdict{}
	diverts := !l.calm && l.rig.rnd.IntN(8) == 0
	if diverts {
		l.save() // as a lane does before anything goes to the spool
	}
	for i := range b.Segments {
		seg := &b.Segments[i]
		v, ruled := verdicts[seg.Target]
		if !ruled {
			v = pipeline.Delivered
			switch k := l.rig.rnd.IntN(100); {
			case l.calm:
			case k < 8:
				v = pipeline.Back
				seg.Paced = k%2 == 0
			case k < 11:
				v = refused
			case diverts && k < 70:
				v = pipeline.InSpool
			}
			verdicts[seg.Target] = v
		}
		switch {
		case seg.Epoch < l.floor[seg.Target]:
			seg.Verdict = pipeline.Stale
			continue
		case v == pipeline.Back:
			l.floor[seg.Target] = seg.Epoch + 1
		case v == refused:
			v = pipeline.Delivered
			l.refuse(b, seg)
			l.take(b, seg)
		case v == pipeline.InSpool:
			seg.Verdict = v
			l.take(b, seg)
			l.divert(seg)
		default:
			l.take(b, seg)
		}
		seg.Verdict = v
	}
	s.reader.Settle(b)
	b.Reset()
	s.free = append(s.free, b)
}

// take enters the records of a segment as arrived.
func (l *rigLane) take(b *pipeline.Block, seg *pipeline.Segment) {
	key := seg.Target.Key
	got := l.got[key]
	if got == nil {
		got = new([2][]arrival)
		l.got[key] = got
	}
	for _, rec := range b.Of(seg) {
		stream := 0
		if rec.Flags&pipeline.Stderr != 0 {
			stream = 1
		}
		body := string(b.Body(&rec))
		got[stream] = append(got[stream], arrival{body: body, spooled: seg.Verdict == pipeline.InSpool})
		id := fmt.Sprintf("%s %s %d", key, seg.Generation, seg.Start+int64(rec.Pos))
		if was, ok := l.ids[id]; ok && was != body {
			l.rig.t.Fatalf("record id %s stands for %.40q and %.40q", id, was, body)
		}
		l.ids[id] = body
		if *traceFlag {
			fmt.Printf("%s %s+%d lane %d flags %b epoch %d: %.20q, %d bytes\n", key, seg.Generation, seg.Start+int64(rec.Pos), l.name, rec.Flags, seg.Epoch, body, len(body))
		}
	}
}

// save keeps the cursors that have moved.
func (l *rigLane) save() {
	var moved []pipeline.Cursor
	for _, s := range l.shards {
		moved = s.reader.Cursors(moved)
	}
	l.keep(moved)
}

// step does some of what goroutines do at any time.
func (r *rig) step() {
	l := r.lanes[r.rnd.IntN(len(r.lanes))]
	s := l.shards[r.rnd.IntN(len(l.shards))]
	switch k := r.rnd.IntN(20); {
	case k < 9:
		l.fill(s)
	case k < 17:
		l.home(s)
	case k < 18:
		l.save()
	case k < 19 && r.rnd.IntN(4) == 0:
		l.deal(1 + r.rnd.IntN(3))
	default:
		r.now = r.now.Add(time.Duration(r.rnd.IntN(200)) * time.Millisecond)
		r.set.tick()
	}
	r.balanced()
}

// round lets every shard of every lane work once.
func (r *rig) round() {
	r.set.tick()
	for _, l := range r.lanes {
		for _, s := range l.shards {
			l.fill(s)
			for len(s.underway) > 0 {
				l.home(s)
			}
		}
	}
	r.balanced()
}

func (r *rig) balanced() {
	for _, l := range r.lanes {
		for _, lt := range l.rows {
			f := lt.Account.Snapshot()
			sum := f.Delivered
			sum.Add(f.Pending.Lines, f.Pending.Bytes)
			for _, d := range f.Dropped {
				sum.Add(d.Lines, d.Bytes)
			}
			if f.Read != sum || f.Pending.Lines < 0 || f.Pending.Bytes < 0 || f.Unread < 0 {
				r.t.Fatalf("lane %d %s: read %+v, but delivered + dropped + pending = %+v: %+v", l.name, lt.Key, f.Read, sum, f)
			}
		}
	}
}

// stop ends a life. If it is a kill, what was not saved has not been.
func (r *rig) stop(kill bool) {
	if *traceFlag {
		fmt.Println("stop, kill", kill)
	}
	for _, l := range r.lanes {
		if !kill {
			for _, s := range l.shards {
				if s.block != nil {
					s.underway = append(s.underway, s.block)
				}
				for len(s.underway) > 0 {
					l.home(s)
				}
			}
			l.save()
		}
		l.forget()
		l.fresh = false
		if kill {
			clear(l.ids) // what is sent again may have lost pieces that only leatd held
		}
	}
	r.exit()
}

// exit closes what the end of a process would close.
func (r *rig) exit() {
	files := map[*file]bool{}
	for _, l := range r.lanes {
		for g, src := range l.lane.sources {
			src.unpark()
			for _, f := range *g.files.Load() {
				files[f] = true
			}
		}
	}
	for f := range files {
		if !f.closed() {
			unix.Close(f.fd)
		}
	}
}

func (r *rig) dump() string {
	var b strings.Builder
	for _, l := range r.lanes {
		for _, src := range l.lane.sources {
			fmt.Fprintf(&b, "lane %d %s: gone %v busy %v parked %v leaving %v underway %d version %d of %d epoch %d wait %v\n", l.name, src.target.Key, src.log.gone.Load(), src.busy, src.parked != nil, src.leaving, src.underway, src.version, src.log.version.Load(), src.epoch, src.wait.Sub(r.now))
			for _, g := range src.gens {
				fmt.Fprintf(&b, "  %s %s fd %d read %d settled %d size %d done %v released %v twins %d listed %v identified %v order %+v\n", g.file.name(), g.id, g.file.fd, g.read, g.settled, g.size, g.done, g.released, len(g.twins), g.file.listed.Load(), g.identified, g.file.order)
			}
		}
	}
	return b.String()
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// calm lets the sinks take everything from now on.
func (r *rig) calm() {
	for _, l := range r.lanes {
		l.calm = true
	}
}

// rounds lets everything work for a while.
func rounds(r *rig, n int) {
	for range n {
		r.round()
		r.now = r.now.Add(300 * time.Millisecond)
	}
}
