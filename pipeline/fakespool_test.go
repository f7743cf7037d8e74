package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A fakeSpool keeps records in memory, one of them a segment. It reads them in order and fills a block with one each.
type fakeSpool struct {
	mu       sync.Mutex
	records  []*fakeRecord // not settled
	next     uint64        // of the next record
	max      int           // records; 0 is no bound
	fail     error         // what Append says
	asked    int           // calls of Append
	track    func(*Target) *LaneTarget
	targets  map[string]*LaneTarget
	bell     *Bell
	woken    atomic.Bool
	saved    int
	appended []string // "a 1 2", one entry a segment
}

type fakeRecord struct {
	number   uint64
	key      string
	segment  Segment
	lines    []string
	underway bool
	wait     time.Time // the target was sent back
}

func newFakeSpool() *fakeSpool { return &fakeSpool{next: 1, targets: make(map[string]*LaneTarget)} }

func (s *fakeSpool) Append(pieces []Piece) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.fail != nil {
		return s.fail
	}
	if s.max > 0 && len(s.records)+len(pieces) > s.max {
		return ErrSpoolFull
	}
	for _, p := range pieces {
		r := &fakeRecord{number: s.next, key: p.Segment.Target.Key, segment: *p.Segment}
		text := r.key
		for _, rec := range p.Block.Of(p.Segment) {
			line := string(p.Block.Body(&rec))
			r.lines = append(r.lines, line)
			text += " " + line
		}
		p.Segment.Spooled = s.next
		s.next++
		s.records = append(s.records, r)
		s.appended = append(s.appended, text)
	}
	s.woken.Store(true)
	s.bell.Ring()
	return nil
}

func (s *fakeSpool) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records) == 0
}

func (s *fakeSpool) Open(track func(*Target) *LaneTarget, _ func(*LaneTarget), bell *Bell, _ *Beat) Reader {
	s.track, s.bell = track, bell
	return (*fakeSpoolReader)(s)
}

func (s *fakeSpool) State() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) == 0 {
		return fmt.Appendf(nil, `{"next":%d}`, s.next)
	}
	return fmt.Appendf(nil, `{"at":%d,"next":%d}`, s.records[0].number, s.next)
}

func (s *fakeSpool) Saved() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved++
}

func (s *fakeSpool) Figures() SpoolFigures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := SpoolFigures{Records: int64(s.next - 1), MaxBytes: int64(s.max) << 20, Bytes: int64(len(s.records)) << 20}
	for _, r := range s.records {
		if !r.underway {
			f.Left += 50 << 10
		}
	}
	return f
}

func (s *fakeSpool) Totals() (map[string]Totals, Totals) { return nil, Totals{} }

// took is what was appended since the last call, one segment a line.
func (s *fakeSpool) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	for _, a := range s.appended {
		text += a + "\n"
	}
	s.appended = nil
	return text
}

func (s *fakeSpool) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

var errSpoolDisk = errors.New("write: no space left on device")

type fakeSpoolReader fakeSpool

func (r *fakeSpoolReader) Fill(b *Block) Fullness {
	r.woken.Store(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	held := make(map[string]bool)
	for _, rec := range r.records {
		switch {
		case rec.underway:
			continue
		case held[rec.key] || rec.wait.After(time.Now()):
			held[rec.key] = true
			continue
		}
		if r.targets[rec.key] == nil {
			r.targets[rec.key] = r.track(&Target{Key: rec.key})
		}
		rec.underway = true
		seg := rec.segment
		seg.Target, seg.Mark, seg.First, seg.Verdict = r.targets[rec.key], rec, 0, Unsent
		for _, line := range rec.lines {
			b.Records = append(b.Records, Record{Off: uint32(b.Data), Len: uint32(len(line))})
			b.Data += copy(b.Buf[b.Data:], line)
		}
		b.Segments = append(b.Segments, seg)
		return Full
	}
	return Dry
}

func (r *fakeSpoolReader) Settle(b *Block) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range b.Segments {
		s := &b.Segments[i]
		rec := s.Mark.(*fakeRecord)
		rec.underway = false
		switch s.Verdict {
		case Delivered:
			s.Target.Account.Update(func(f *Figures) { f.Settle(s) })
			r.records = slices.DeleteFunc(r.records, func(other *fakeRecord) bool { return other == rec })
		case Back:
			for _, other := range r.records {
				if other.key == rec.key {
					other.segment.Epoch = s.Epoch + 1
				}
			}
			rec.wait = time.Now().Add(backFor(s))
		}
	}
}

// Rest is until the first target that was sent back may be asked for again.
func (r *fakeSpoolReader) Rest(time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := time.Hour
	for _, rec := range r.records {
		if !rec.underway && !rec.wait.IsZero() {
			rest = min(rest, max(0, time.Until(rec.wait)))
		}
	}
	return rest
}

func (r *fakeSpoolReader) Woken() bool                   { return r.woken.Load() }
func (r *fakeSpoolReader) Look()                         {}
func (r *fakeSpoolReader) Cursors(dst []Cursor) []Cursor { return dst }
func (r *fakeSpoolReader) Targets() int                  { return 1 }
