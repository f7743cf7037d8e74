package spool

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

var (
	seedFlag  = flag.Uint64("spool.seed", 0, "run one random schedule, this one")
	fromFlag  = flag.Uint64("spool.from", 1, "the first of the random schedules")
	runsFlag  = flag.Int("spool.runs", 300, "how many random schedules")
	traceFlag = flag.Bool("spool.trace", false, "say what happens in it")
)

// TestModel plays random schedules of appends, reads, verdicts, saves, stops, kills, power cuts, disk faults and damage, and
// holds what arrives against what was acknowledged.
//
//	go test -run TestModel -spool.seed N -spool.trace   one schedule again
//	go test -run TestModel -spool.runs 10000            many
func TestModel(t *testing.T) {
	if *seedFlag != 0 {
		synctest.Test(t, func(t *testing.T) { schedule(t, *seedFlag) })
		return
	}
	for i := range uint64(*runsFlag) {
		seed := *fromFlag + i
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { schedule(t, seed) })
		}) {
			t.Fatalf("seed %d failed; see it again with -spool.seed %d -spool.trace", seed, seed)
		}
	}
}

// A play is one schedule: a lane's tail reader, its saver and its store, in a few lines each.
type play struct {
	t       *testing.T
	rnd     *rand.Rand
	opts    Options
	disk    *memDisk
	faults  int // in 1000 calls
	damages bool
	cut     bool            // the power was: what had been truncated may be there again
	spoilt  map[string]bool // files that were damaged

	life    int
	g       *rig
	tails   map[string]*pipeline.LaneTarget // of this life: the rows of the tail readers
	flying  []*pipeline.Block
	floor   map[*pipeline.LaneTarget]uint32
	size    int
	targets []*pipeline.Target
	logs    map[string]*source

	state []byte
	older map[string]source // what the save before the last one had; its state is under ""
	log   bytes.Buffer
}

// A source is one target's log.
type source struct {
	cursor, saved cursor         // of the tail reader
	state         []byte         // of the spool, in the key "" of play.older
	got           map[int64]int  // lines that arrived
	last          int64          // the highest that arrived in this life
	settled       int64          // all up to it were delivered when the state was saved
	hurt          map[int64]bool // lines in records that were damaged
	dropped       int64          // by the ledger, in all lives
}

type cursor struct {
	at      int64
	spooled uint64
}

func (p *play) trace(format string, args ...any) {
	if *traceFlag {
		p.t.Logf("life %d: "+format, append([]any{p.life}, args...)...)
	}
}

func schedule(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := &play{t: t, rnd: rnd, disk: newMemDisk(), logs: make(map[string]*source), spoilt: make(map[string]bool)}
	p.opts = Options{
		Dir: "spool", MaxBytes: []int64{1 << 20, 64 << 10, 12 << 10}[rnd.IntN(3)], SegmentBytes: []int64{0, 2 << 10, 8 << 10}[rnd.IntN(3)],
		DropOldest: rnd.IntN(4) == 0, Log: slog.New(slog.NewTextHandler(&p.log, nil)),
	}
	p.faults = []int{0, 0, 5, 50}[rnd.IntN(4)]
	p.damages = rnd.IntN(3) == 0
	for i := range 1 + rnd.IntN(5) {
		is := aTarget(i)
		p.targets = append(p.targets, is)
		p.logs[is.Key] = &source{got: make(map[int64]int), hurt: make(map[int64]bool), last: -1, settled: -1}
	}
	p.start()
	for range 50 + rnd.IntN(300) {
		p.act()
		p.check()
	}
	p.finish()
	if t.Failed() {
		t.Logf("%+v, faults %d\n%s", p.opts, p.faults, &p.log)
	}
}

func (p *play) act() {
	switch k := p.rnd.IntN(100); {
	case k < 35:
		p.guard(p.append)
	case k < 60:
		p.guard(p.fill)
	case k < 80:
		p.home(15)
	case k < 90:
		p.guard(p.save)
	case k < 96:
		time.Sleep(time.Duration(p.rnd.IntN(3000)) * time.Millisecond)
	case k < 98:
		p.stop()
	default:
		p.kill(!p.opts.DropOldest && p.rnd.IntN(2) == 0)
	}
}

// guard runs something that may meet the crash of the process.
func (p *play) guard(do func()) {
	crashed := func() (crashed bool) {
		defer func() {
			if r := recover(); r == errCrash {
				crashed = true
			} else if r != nil {
				panic(r)
			}
		}()
		do()
		return false
	}()
	if crashed {
		p.trace("crash at a call of the disk")
		p.kill(p.rnd.IntN(2) == 0)
	}
}

// start begins a life.
func (p *play) start() {
	p.life++
	p.tails, p.floor, p.flying = make(map[string]*pipeline.LaneTarget), make(map[*pipeline.LaneTarget]uint32), nil
	p.size = []int{600, 2 << 10, 8 << 10}[p.rnd.IntN(3)]
	o := p.opts
	o.disk, o.State = p.disk, p.state
	o.jitter = func(d time.Duration) time.Duration { return time.Duration(p.rnd.Int64N(int64(d))) }
	for _, s := range p.logs {
		s.cursor, s.last = s.saved, -1
		o.After = max(o.After, s.cursor.spooled)
	}
	o.Cover = func(key string, seg *pipeline.Segment) {
		if s := p.logs[key]; seg.Spooled > s.saved.spooled { // one record may hold several of a target
			s.cursor = cursor{seg.End, seg.Spooled}
		}
	}
	o.Target = func(saved *pipeline.Target) *pipeline.Target {
		if i := slices.IndexFunc(p.targets, func(t *pipeline.Target) bool { return t.Key == saved.Key }); i >= 0 {
			return p.targets[i]
		}
		p.t.Errorf("a target that nobody knows: %+v", saved)
		return saved
	}
	p.disk.calls = 0
	crash := 0
	if p.faults > 0 && p.rnd.IntN(3) == 0 && !p.opts.DropOldest {
		crash = 1 + p.rnd.IntN(300)
	}
	reads := 0 // that failed in a row
	p.disk.fail = func(call int, op string) fault {
		if call == crash {
			return crashes
		}
		if op != "read" || reads < 2 {
			if p.rnd.IntN(1000) < p.faults {
				reads++
				return []fault{errs, half}[p.rnd.IntN(2)]
			}
		}
		reads = 0
		return works
	}
	if p.rnd.IntN(2) == 0 || crash > 0 || p.damages {
		p.disk.fail, crash = nil, crash+p.rnd.IntN(20)
	}
	fail := p.disk.fail
	s, err := New(o)
	if err != nil {
		p.disk.fail = nil
		for _, s := range p.logs {
			s.cursor = s.saved
		}
		if s, err = New(o); err != nil {
			p.t.Fatal(err)
		}
	}
	p.disk.fail = fail
	if fail == nil && crash > 0 {
		n := p.disk.calls
		p.disk.fail = func(call int, op string) fault {
			if call == n+crash {
				return crashes
			}
			return works
		}
		if p.faults == 0 || p.opts.DropOldest {
			p.disk.fail = nil
		}
	}
	p.g = &rig{Spool: s}
	p.g.reader = s.Open(func(is *pipeline.Target) *pipeline.LaneTarget {
		lt := &pipeline.LaneTarget{Target: is}
		p.g.rows = append(p.g.rows, lt)
		return lt
	}, func(*pipeline.LaneTarget) { p.g.ended++ }, pipeline.NewBell(), nil).(*reader)
	for _, is := range p.targets {
		p.tails[is.Key] = &pipeline.LaneTarget{Target: is}
	}
	p.trace("begins with %d segments, state %s", s.held, p.state)
}

// append takes lines from the logs to the spool. What it does not take is sent at once, if nothing is before it, or waits.
func (p *play) append() {
	var blocks []*pipeline.Block
	at := make(map[string]int64)
	for range 1 + p.rnd.IntN(3) {
		b := pipeline.NewBlock(4<<10, 4<<10)
		for range 1 + p.rnd.IntN(4) {
			is := p.targets[p.rnd.IntN(len(p.targets))]
			if _, ok := at[is.Key]; !ok {
				at[is.Key] = p.logs[is.Key].cursor.at
			}
			n := int64(p.rnd.IntN(8))
			addSegment(b, p.tails[is.Key], at[is.Key], at[is.Key]+n, p.rnd.IntN(100))
			at[is.Key] += n
		}
		blocks = append(blocks, b)
	}
	pieces := piecesOf(blocks...)
	err := p.g.Append(pieces)
	if err != nil {
		p.trace("append of %d segments: %v", len(pieces), err)
		if errors.Is(err, pipeline.ErrSpoolFull) || !p.g.Empty() || p.rnd.IntN(2) == 0 {
			return
		}
	}
	for _, piece := range pieces {
		p.trace("appended: %s %d to %d in record %d", piece.Segment.Target.Key, piece.Segment.Start, piece.Segment.End, piece.Segment.Spooled)
		seg, s := piece.Segment, p.logs[piece.Segment.Target.Key]
		f := seg.Target.Account.Own()
		f.Read.Add(int64(seg.N), seg.Bytes+seg.CutBytes)
		f.Pending.Add(int64(seg.N), seg.Bytes+seg.CutBytes)
		s.cursor.at = seg.End
		if err == nil {
			s.cursor.spooled = seg.Spooled
		} else {
			f.Settle(seg)
			p.arrive(piece.Block, seg)
		}
		seg.Target.Account.Publish()
	}
	if err == nil {
		p.trace("append of %d segments: records to %d", len(pieces), pieces[len(pieces)-1].Segment.Spooled)
	} else {
		p.trace("sent past the spool: %v", at)
	}
}

func (p *play) fill() {
	if b := p.g.fill(p.size); b != nil {
		p.trace("under way: %d segments, %d lines", len(b.Segments), len(b.Records))
		p.flying = append(p.flying, b)
	}
}

// home settles the oldest block that is under way, as a sender would.
func (p *play) home(back int) {
	if len(p.flying) == 0 {
		return
	}
	b := p.flying[0]
	p.flying = p.flying[1:]
	for i := range b.Segments {
		seg := &b.Segments[i]
		switch {
		case seg.Epoch < p.floor[seg.Target]:
			seg.Verdict = pipeline.Stale
		case p.rnd.IntN(100) < back:
			seg.Verdict = pipeline.Back
			p.floor[seg.Target] = seg.Epoch + 1
			wait := p.rnd.IntN(5000)
			seg.RetryAfter, seg.Paced = time.Duration(wait)*time.Millisecond, wait%2 == 0
		default:
			seg.Verdict = pipeline.Delivered
			p.arrive(b, seg)
			if seg.N > 1 && p.rnd.IntN(20) == 0 { // the store has it, and says that it will not keep one line of it
				seg.Refusals = []pipeline.Refusal{{Reason: pipeline.Rejected, Count: pipeline.Count{Lines: 1, Bytes: 1}}}
			}
		}
		p.trace("home: %s %d to %d: verdict %d", seg.Target.Key, seg.Start, seg.End, seg.Verdict)
	}
	p.g.reader.Settle(b)
}

// arrive is the store.
func (p *play) arrive(b *pipeline.Block, seg *pipeline.Segment) {
	key := seg.Target.Key
	s := p.logs[key]
	for i := range b.Of(seg) {
		r := &b.Of(seg)[i]
		seq := seg.Start + int64(i)
		if want, got := fmt.Sprintf("%s %d ", key, seq), string(b.Body(r)); !strings.HasPrefix(got, want) || r.Time != 1e18+seq*1e6 {
			p.t.Fatalf("%q arrived, want %q", got, want)
		}
		if seq <= s.last {
			p.t.Fatalf("%s: line %d arrived behind %d", key, seq, s.last)
		}
		if seq <= s.settled {
			p.t.Fatalf("%s: line %d came again, and all up to %d was delivered and saved", key, seq, s.settled)
		}
		s.last = seq
		s.got[seq]++
	}
}

func (p *play) save() {
	p.older = map[string]source{"": {state: p.state}}
	for key, s := range p.logs {
		p.older[key] = *s
	}
	settled := make(map[string]int64)
	for key, s := range p.logs {
		s.saved = s.cursor
		settled[key] = max(s.settled, s.last)
	}
	p.state = bytes.Clone(p.g.State())
	if again := p.g.State(); !bytes.Equal(again, p.state) {
		p.t.Fatalf("two states of one moment:\n%s\n%s", p.state, again)
	}
	p.trace("saved %s", p.state)
	for key, n := range settled {
		p.logs[key].settled = n
	}
	p.g.Saved()
}
