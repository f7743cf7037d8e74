package simulate

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"sync"
)

// A Verifier checks by sequence numbers that what arrived is what was written: of each target the lines 0 to n-1, once
// and in order. It is exact at any length: it remembers every line that came, in one counter as long as they come in
// order, else in a bit each, from the first that is missing on.
type Verifier struct {
	// PerStream demands the order within each stream only, as for a store that keeps the streams apart.
	PerStream bool

	mu      sync.Mutex
	targets map[string]*progress
}

// A Result is what the Verifier found of one target.
type Result struct {
	Target     string
	Expected   int64 // lines
	Arrived    int64 // of these, each counted once
	Bytes      int64 // of all numbered lines, each counted once
	Missing    int64
	Duplicate  int64  // arrivals of a line that was there
	OutOfOrder int64  // lines that came for the first time, after one with a higher number
	Foreign    int64  // lines without a number, or with one that was never written
	FirstGap   int64  // the lowest number that is missing, -1 if none is
	Strange    string // the first foreign line, cut at 120 bytes
}

// OK says that each line arrived exactly once and in order, and nothing else.
func (r Result) OK() bool {
	return r.Missing == 0 && r.Duplicate == 0 && r.OutOfOrder == 0 && r.Foreign == 0
}

func (r Result) String() string {
	s := fmt.Sprintf("%s: %d of %d lines arrived, %d missing, %d duplicate, %d out of order, %d foreign",
		r.Target, r.Arrived, r.Expected, r.Missing, r.Duplicate, r.OutOfOrder, r.Foreign)
	if r.FirstGap >= 0 {
		s += fmt.Sprintf("; first missing: %d", r.FirstGap)
	}
	if r.Strange != "" {
		s += fmt.Sprintf("; first foreign: %q", r.Strange)
	}
	return s
}

// progress is what is known of one target.
type progress struct {
	expected  int64
	next      int64           // every line below it came
	pages     map[int64]*page // lines that came beyond next, by seq/pageLines
	highest   [2]int64        // by stream, one more than the highest number that came
	distinct  int64
	bytes     int64
	duplicate int64
	disorder  int64
	foreign   int64 // without a number
	strange   string
}

const pageLines = 4096

type page [pageLines / 64]uint64

// Expect says that the target's lines 0 to n-1 were written. It may be called at any time before Results, and again.
func (v *Verifier) Expect(target string, n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.of(target).expected = n
}

// Add takes the next line that arrived. Lines of one target must come from one goroutine at a time: their order counts.
func (v *Verifier) Add(target string, s Stream, line []byte) {
	seq, ok := Seq(line)
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.of(target)
	if !ok {
		p.foreign++
		p.note(line)
		return
	}
	p.add(v.PerStream, s, seq, len(line))
	if p.expected > 0 && seq >= p.expected {
		p.note(line)
	}
}

func (v *Verifier) of(target string) *progress {
	p := v.targets[target]
	if p == nil {
		if v.targets == nil {
			v.targets = make(map[string]*progress)
		}
		p = new(progress)
		v.targets[target] = p
	}
	return p
}

func (p *progress) note(line []byte) {
	if p.strange == "" {
		p.strange = string(line[:min(len(line), 120)])
	}
}

func (p *progress) add(perStream bool, s Stream, seq int64, length int) {
	if p.seen(seq) {
		p.duplicate++
		return
	}
	p.mark(seq)
	p.distinct++
	p.bytes += int64(length)
	if !perStream {
		s = Stdout
	}
	if seq < p.highest[s] {
		p.disorder++
	} else {
		p.highest[s] = seq + 1
	}
}

func (p *progress) seen(seq int64) bool {
	if seq < p.next {
		return true
	}
	g := p.pages[seq/pageLines]
	return g != nil && g[seq%pageLines/64]&(1<<(seq%64)) != 0
}

// mark notes a line that was not seen before, and moves next over all that came without a gap.
func (p *progress) mark(seq int64) {
	if seq == p.next && len(p.pages) == 0 {
		p.next++
		return
	}
	if p.pages == nil {
		p.pages = make(map[int64]*page)
	}
	g := p.pages[seq/pageLines]
	if g == nil {
		g = new(page)
		p.pages[seq/pageLines] = g
	}
	g[seq%pageLines/64] |= 1 << (seq % 64)
	for p.seenBeyond(p.next) {
		p.next++
		if p.next%pageLines == 0 {
			delete(p.pages, p.next/pageLines-1)
		}
	}
	if len(p.pages) == 1 && seq < p.next && p.emptyBeyond() {
		clear(p.pages)
	}
}

// seenBeyond is seen for a line at or beyond next.
func (p *progress) seenBeyond(seq int64) bool {
	g := p.pages[seq/pageLines]
	return g != nil && g[seq%pageLines/64]&(1<<(seq%64)) != 0
}

// emptyBeyond says that no line beyond next came, so that the counter alone knows everything.
func (p *progress) emptyBeyond() bool { return slices.Max(p.highest[:]) <= p.next }

// below counts the lines that came with numbers less than n.
func (p *progress) below(n int64) int64 {
	if n <= p.next {
		return n
	}
	count := p.next
	for first, g := range p.pages {
		for w, word := range g {
			seq := first*pageLines + int64(w)*64
			lo, hi := max(p.next-seq, 0), min(n-seq, 64) // the bits of this word that count
			if word == 0 || lo >= hi {
				continue
			}
			mask := ^uint64(0) << lo
			if hi < 64 {
				mask &= 1<<hi - 1
			}
			count += int64(bits.OnesCount64(word & mask))
		}
	}
	return count
}

// Results are sorted by target.
func (v *Verifier) Results() []Result {
	v.mu.Lock()
	defer v.mu.Unlock()
	var rs []Result
	for _, name := range slices.Sorted(maps.Keys(v.targets)) {
		p := v.targets[name]
		r := Result{
			Target: name, Expected: p.expected, Arrived: p.below(p.expected), Bytes: p.bytes,
			Duplicate: p.duplicate, OutOfOrder: p.disorder, FirstGap: -1, Strange: p.strange,
		}
		r.Missing = r.Expected - r.Arrived
		r.Foreign = p.foreign + p.distinct - r.Arrived
		if r.Missing > 0 {
			r.FirstGap = p.next
		}
		rs = append(rs, r)
	}
	return rs
}

// Err is nil if every target is OK, else it tells of the first ten that are not.
func (v *Verifier) Err() error {
	var errs []error
	bad := 0
	for _, r := range v.Results() {
		if r.OK() {
			continue
		}
		if bad++; bad <= 10 {
			errs = append(errs, errors.New(r.String()))
		}
	}
	if bad > 10 {
		errs = append(errs, fmt.Errorf("and %d targets more", bad-10))
	}
	return errors.Join(errs...)
}
