package pipeline

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A fakeIntake holds targets whose logs are lines in memory, and deals them out to fake readers. An offset is the number
// of a line. A line that begins with "#" becomes no record: it is a file range without one. One that begins with "@" and
// a time as RFC 3339 has that time; one that begins with "!" is of standard error.
type fakeIntake struct {
	t     *testing.T
	mu    sync.Mutex
	lane  *Lane
	all   []*fakeTarget
	open  []*fakeReader
	over  int // shards
	deals []int
	looks int
	quiet bool
	deaf  bool // readers don't ask whether a target is held

	verdicts []string // in the order of coming home: "a[0:3] delivered"
	gone     []Cursor // to be reported by the next reader that is asked
}

type fakeTarget struct {
	*LaneTarget
	n             int
	lines         []string
	owner         *fakeReader
	read, settled int
	seen          int // lines that were counted
	epoch         uint32
	underway      int
	wait          time.Time
	spooled       uint64
	moved         bool
}

func newFakeIntake(t *testing.T) *fakeIntake { return &fakeIntake{t: t} }

// add writes lines to a target's log, which begins with the first of them.
func (in *fakeIntake) add(key string, lines ...string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.put(key, lines...)
}

// addAll writes lines "a:1 b:2", of which no reader sees one before all are there.
func (in *fakeIntake) addAll(lines string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, line := range strings.Fields(lines) {
		key, text, _ := strings.Cut(line, ":")
		in.put(key, text)
	}
}

func (in *fakeIntake) put(key string, lines ...string) {
	ft := in.find(key)
	if ft == nil {
		ft = &fakeTarget{LaneTarget: in.lane.Track(&Target{Key: key}), n: len(in.all)}
		in.all = append(in.all, ft)
		if in.over > 0 {
			ft.owner = in.open[ft.n%in.over]
		}
	}
	ft.lines = append(ft.lines, lines...)
	if ft.owner != nil {
		ft.owner.wake()
	}
}

// beQuiet lets the files be watched: they are not polled, whoever writes rings the bell.
func (in *fakeIntake) beQuiet() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.quiet = true
}

func (in *fakeIntake) find(key string) *fakeTarget {
	for _, ft := range in.all {
		if ft.Key == key {
			return ft
		}
	}
	return nil
}

func (in *fakeIntake) Open(shard int, bell *Bell, beat *Beat) Reader {
	in.mu.Lock()
	defer in.mu.Unlock()
	r := &fakeReader{in: in, bell: bell}
	in.open = append(in.open[:shard:shard], r)
	return r
}

func (in *fakeIntake) Deal(shards int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.lane.shards {
		if s.retire.Load() {
			in.t.Error("a shard may have ended before its targets are dealt to others: what it is dealt meanwhile is lost")
		}
	}
	in.over = shards
	in.deals = append(in.deals, shards)
	for _, ft := range in.all {
		if ft.owner == nil {
			ft.owner = in.open[ft.n%in.over]
		}
	}
	for _, r := range in.open {
		r.wake()
	}
}

func (in *fakeIntake) underway(key string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.find(key).underway
}

func (in *fakeIntake) settled(key string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.find(key).settled
}

// history is the verdicts so far, one a line, and forgets them.
func (in *fakeIntake) history() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := strings.Join(in.verdicts, "\n")
	in.verdicts = nil
	return s
}

// check holds the ledger against itself.
func (in *fakeIntake) check() {
	in.t.Helper()
	for _, row := range in.lane.Rows(nil) {
		checkIdentity(in.t, row.Target.Key, row.Figures)
	}
}

func checkIdentity(t *testing.T, key string, f Figures) {
	t.Helper()
	sum := f.Delivered
	sum.Add(f.Pending.Lines, f.Pending.Bytes)
	for _, d := range f.Dropped {
		sum.Add(d.Lines, d.Bytes)
	}
	if sum != f.Read {
		t.Errorf("%s: read %+v, delivered + dropped + pending %+v", key, f.Read, sum)
	}
}

type fakeReader struct {
	in    *fakeIntake
	bell  *Bell
	woken atomic.Bool
	next  int                    // whose turn it is
	then  atomic.Pointer[func()] // happens once, just after Woken has found nothing
}

func (r *fakeReader) wake() { r.woken.Store(true); r.bell.Ring() }

func (r *fakeReader) Woken() bool {
	if r.woken.Load() {
		return true
	}
	if then := r.then.Swap(nil); then != nil {
		(*then)()
	}
	return false
}

func (r *fakeReader) Fill(b *Block) Fullness {
	r.woken.Store(false)
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	var own []*fakeTarget
	for _, ft := range r.in.all {
		switch to := r.in.open[ft.n%r.in.over]; {
		case ft.owner == r && to == r:
			own = append(own, ft)
		case ft.owner == r && ft.underway == 0:
			ft.owner = to
			to.wake()
		}
	}
	for i := range own {
		if r.fill(b, own[(r.next+i)%len(own)]) == Full {
			r.next += i + 1
			return Full
		}
	}
	return Dry
}

func (r *fakeReader) fill(b *Block, ft *fakeTarget) Fullness {
	if ft.wait.After(time.Now()) || ft.read == len(ft.lines) || ft.Held() && !r.in.deaf {
		return Dry
	}
	seg := Segment{
		Target: ft.LaneTarget, Generation: GenerationID{0, uint64(ft.n)}, Start: int64(ft.read), End: int64(ft.read),
		First: len(b.Records), Epoch: ft.epoch, Mark: ft, All: ^Flags(0),
	}
	full := Dry
	for _, line := range ft.lines[ft.read:] {
		if len(line) > b.Room()-b.Data {
			full = Full
			break
		}
		if !strings.HasPrefix(line, "#") {
			r := Record{Off: uint32(b.Data), Len: uint32(len(line)), Time: timeOf(line)}
			if strings.HasPrefix(line, "!") {
				r.Flags = Stderr
			}
			b.Records = append(b.Records, r)
			seg.Any |= r.Flags
			seg.All &= r.Flags
			seg.N++
			seg.Bytes += int64(len(line))
			if ft.read >= ft.seen {
				ft.Account.Own().Read.Add(1, int64(len(line)))
				ft.Account.Own().Pending.Add(1, int64(len(line)))
			}
		}
		b.Data += copy(b.Buf[b.Data:], line)
		ft.read++
		seg.End++
	}
	ft.seen = max(ft.seen, ft.read)
	ft.Account.Publish()
	if seg.End > seg.Start {
		b.Segments = append(b.Segments, seg)
		ft.underway++
	}
	return full
}

func timeOf(line string) int64 {
	text, _, _ := strings.Cut(line, " ")
	if at, err := time.Parse("@"+time.RFC3339, text); err == nil {
		return at.UnixNano()
	}
	return 0
}

// verdictOf is a segment's verdict in words; one that was refused as a whole is told apart.
func verdictOf(s *Segment) string {
	var refused int64
	for _, r := range s.Refusals {
		refused += r.Lines
	}
	if s.Verdict == Delivered && refused > 0 && refused == int64(s.N) {
		return "refused"
	}
	return [...]string{"unsent", "delivered", "in_spool", "back", "stale"}[s.Verdict]
}

// backFor is how long a target waits that goes Back.
func backFor(s *Segment) time.Duration {
	if s.Paced {
		return s.RetryAfter
	}
	return max(time.Second, s.RetryAfter)
}

func (r *fakeReader) Settle(b *Block) {
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	for i := range b.Segments {
		s := &b.Segments[i]
		ft := s.Mark.(*fakeTarget)
		ft.underway--
		r.in.verdicts = append(r.in.verdicts, fmt.Sprintf("%s[%d:%d] %s", ft.Key, s.Start, s.End, verdictOf(s)))
		if ft.owner != r {
			r.in.t.Errorf("%s came home to a reader that does not own it", ft.Key)
		}
		if s.Verdict != Delivered && (s.Refusals != nil || s.Doubtful) {
			r.in.t.Errorf("%s, and yet something is said of its parts", r.in.verdicts[len(r.in.verdicts)-1])
		}
		if s.Epoch != ft.epoch {
			if s.Verdict == Delivered || s.Verdict == InSpool {
				r.in.t.Errorf("%s was sent although an earlier segment had gone back", r.in.verdicts[len(r.in.verdicts)-1])
			}
			continue
		}
		f := ft.Account.Own()
		switch s.Verdict {
		case Delivered, InSpool:
			if int(s.Start) != ft.settled {
				r.in.t.Errorf("%s, but only %d are settled", r.in.verdicts[len(r.in.verdicts)-1], ft.settled)
			}
			if s.Verdict == Delivered {
				f.Settle(s)
			}
			ft.settled, ft.moved, ft.spooled = int(s.End), true, max(ft.spooled, s.Spooled)
		case Back:
			ft.epoch++
			ft.read = ft.settled
			ft.wait = time.Now().Add(backFor(s))
		case Stale:
			r.in.t.Errorf("%s of the present epoch", r.in.verdicts[len(r.in.verdicts)-1])
		}
		ft.Account.Publish()
	}
}

func (r *fakeReader) Rest(poll time.Duration) time.Duration {
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	for _, ft := range r.in.all {
		if ft.owner == r && (!r.in.quiet || ft.read < len(ft.lines)) {
			return poll
		}
	}
	return 10 * time.Second
}

func (r *fakeReader) Look() {
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	r.in.looks++
}

func (r *fakeReader) Cursors(dst []Cursor) []Cursor {
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	for _, ft := range r.in.all {
		if ft.owner == r && ft.moved {
			ft.moved = false
			dst = append(dst, Cursor{Key: ft.Key, Spooled: ft.spooled, Generations: []Position{{ID: GenerationID{0, uint64(ft.n)}, Offset: int64(ft.settled)}}})
		}
	}
	dst = append(dst, r.in.gone...)
	r.in.gone = nil
	return dst
}

func (r *fakeReader) Targets() (n int) {
	r.Fill(NewBlock(0, 0)) // hands over what is no longer its own
	r.in.mu.Lock()
	defer r.in.mu.Unlock()
	for _, ft := range r.in.all {
		if ft.owner == r {
			n++
		}
	}
	return n
}
