package spool

import (
	"cmp"
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A target is one container's share of the spool. All of it is guarded by the spool's mutex.
type target struct {
	*pipeline.Target                      // nil as long as only its saved state is known
	row              *pipeline.LaneTarget // its row in the ledger; nil until the reader is opened
	figures          pipeline.Figures     // what the row shows
	totals           pipeline.Totals
	quoted           []byte // the key as the saved state has it

	held    holding
	settled spot  // all before it
	oldest  int64 // no line that is held is older
	since   time.Time

	epoch    uint32
	flights  []*flight // under way, in order
	aside    bool      // the store has sent it back: it is read from here on its own, and the others pass over it
	from     place
	wait     time.Time
	attempts int

	doomed holding // in the file that is being dropped
	bound  spot    // what was settled when that began
	spared []spot  // what of it was under way then
}

// A holding is so much of the spool.
type holding struct{ segments, lines, bytes, cut int64 }

func holds(s *pipeline.Segment) holding { return holding{1, int64(s.N), s.Bytes, s.CutBytes} }

func (h *holding) add(o holding) {
	h.segments += o.segments
	h.lines += o.lines
	h.bytes += o.bytes
	h.cut += o.cut
}

func (h *holding) sub(o holding) { h.add(holding{-o.segments, -o.lines, -o.bytes, -o.cut}) }

// A spot is one segment's place in the order of a target's: the number of its record, and its index there.
type spot struct {
	number uint64
	index  int
}

func (s spot) before(o spot) bool {
	return s.number < o.number || s.number == o.number && s.index < o.index
}

// A flight is one segment under way. The shard carries it as Segment.Mark.
type flight struct {
	target *target
	place  place // of its record
	index  int
	epoch  uint32
	share  holding
	orphan bool // its file was dropped: it cannot be read again
	ruined bool // its lines could not be read: the segment goes its way without them, to be settled in its turn
}

func (f *flight) spot() spot { return spot{f.place.number, f.index} }

// spare notes what of a file that is to be dropped is settled or under way. What is under way twice, since the target went
// back, settles itself when it comes home for the last time.
func (t *target) spare(file *file) {
	t.bound, t.spared = t.settled, t.spared[:0]
	for _, f := range slices.Backward(t.flights) {
		if f.place.file == file && !slices.Contains(t.spared, f.spot()) {
			f.orphan = true
			t.spared = append(t.spared, f.spot())
		}
	}
}

// hold counts a segment in.
func (s *Spool) hold(t *target, h holding, began int64) {
	if t.held.segments == 0 {
		t.oldest = began
	}
	t.held.add(h)
	s.held += h.segments
	s.version++
}

// find counts a segment in that another life has left: this process has not read it from its log.
func (s *Spool) find(t *target, h holding, began int64) {
	t.figures.Read.Add(h.lines, h.bytes+h.cut)
	t.figures.Pending.Add(h.lines, h.bytes+h.cut)
	s.hold(t, h, began)
}

// settle counts segments out: as the answer says, which is a segment that holds as many lines.
func (s *Spool) settle(t *target, h holding, answer *pipeline.Segment) {
	t.figures.Settle(answer)
	t.totals.Settle(answer)
	t.held.sub(h)
	s.held -= h.segments
	if t.held.segments == 0 {
		t.oldest, t.since = 0, time.Now()
	}
	s.version++
	t.publish()
}

// drop counts segments out whose lines will never be delivered.
func (s *Spool) drop(t *target, h holding, why pipeline.Reason) {
	s.settle(t, h, &pipeline.Segment{
		N: int(h.lines), Bytes: h.bytes, CutBytes: h.cut,
		Refusals: []pipeline.Refusal{{Reason: why, Count: pipeline.Count{Lines: h.lines, Bytes: h.bytes}}},
	})
}

// publish shows the target's figures.
func (t *target) publish() {
	if t.row == nil {
		return
	}
	t.figures.Oldest = t.oldest
	*t.row.Account.Own() = t.figures
	t.row.Account.Publish()
}

// of is the target of a stored segment. Call it with mu held.
func (s *Spool) of(seg *stored) *target {
	if t := s.targets[string(seg.key)]; t != nil && t.Target != nil {
		return t
	}
	saved := parseIdentity(seg.identity)
	key := saved.Key
	if s.Target != nil {
		saved = cmp.Or(s.Target(saved), saved)
	}
	return s.meet(key, saved)
}

// meet is the target of a key, which is made if there is none, and given its row if it has none. Call it with mu held.
func (s *Spool) meet(key string, is *pipeline.Target) *target {
	t := s.targets[key]
	if t == nil {
		t = &target{quoted: quoteKey(key), since: time.Now()}
		s.targets[key] = t
		s.keys = nil
		s.version++
	}
	if t.Target == nil && is != nil {
		t.Target = is
		if s.track != nil {
			t.row = s.track(is)
		}
	}
	return t
}

// done tells that nothing of a target is in the spool, nor behind the position, where its settled segments have to be known.
// Call it with mu held.
func (s *Spool) done(t *target, position uint64) bool {
	return t.held.segments == 0 && len(t.flights) == 0 && t.settled.number < position
}

// keep is how long a target without lines keeps its row: it may get some again as long as the sink fails, and a row costs
// five minutes of the exporter's memory after its end.
const keep = time.Minute

// shed lets go of targets that have had nothing in the spool for a while. Their totals live on in a sum.
func (s *Spool) shed(now time.Time) {
	if now.Before(s.shedding) {
		return
	}
	s.shedding = now.Add(keep / 2)
	position := s.position()
	for key, t := range s.targets {
		if s.done(t, position) && now.Sub(t.since) >= keep {
			s.retire(key, t)
		}
	}
}

// retire lets go of a target.
func (s *Spool) retire(key string, t *target) {
	s.ended.Add(t.totals)
	if t.row != nil {
		s.forget(t.row)
	}
	delete(s.targets, key)
	s.keys = nil
	s.version++
}
