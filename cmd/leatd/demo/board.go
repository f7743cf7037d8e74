package demo

import (
	"sync"
	"time"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/pipeline"
)

// Written is what one workload wrote, over all its pods and their restarts.
type Written struct {
	Workload string
	simulate.Written
}

// A Board adds up, by workload, what was written and what the agent says of it. The agent's rows of pods that are gone
// disappear after some minutes; the board keeps what they last said. Any goroutine may look at it.
type Board struct {
	sources Sources

	mu      sync.Mutex
	seen    map[string]pipeline.Row // by Target.Key, the last that was seen
	samples []sample
}

// Sources are where a Board looks. All functions must be safe to call at any time.
type Sources struct {
	// Written is what the workloads wrote, in the order in which they are shown.
	Written func() []Written
	// Workload names the workload that a target belongs to.
	Workload func(t *pipeline.Target) string
	// Rows are the agent's figures of the targets that it has now, in one lane.
	Rows func() []pipeline.Row
	// Sums are the lane's own sums, which never go back; nil if they are not to be had.
	Sums func() pipeline.Sums
}

// NewBoard makes a board with nothing on it yet.
func NewBoard(s Sources) *Board {
	return &Board{sources: s, seen: make(map[string]pipeline.Row)}
}

// A Line of a board is what is known of one workload, or of all.
type Line struct {
	Name                              string
	Written, Read, Delivered, Pending pipeline.Count
	Dropped                           pipeline.Count // for all reasons together
	Reasons                           [pipeline.NumReasons]pipeline.Count
	Lost, Gaps, Unread                int64 // bytes, files of unknown size, bytes
	Lag                               time.Duration
	Rate, ByteRate                    float64 // delivered in a second
	oldest                            int64
}

// A Table is a board at one moment.
type Table struct {
	At    time.Time
	Lines []Line
	Total Line
}

// sample is what had been delivered at a moment, for the rates.
type sample struct {
	at        time.Time
	delivered map[string]pipeline.Count
}

// rateWindow is how far back rates look: long enough not to jump, short enough to follow.
const rateWindow = 3 * time.Second

// Look reads the sources. The agent is asked before the writers, so that nothing seems read that was not written.
func (b *Board) Look(now time.Time) Table {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := b.sources.Rows()
	var sums pipeline.Sums
	if b.sources.Sums != nil {
		sums = b.sources.Sums()
	}
	written := b.sources.Written()

	gone := make(map[string]bool, len(b.seen))
	for key := range b.seen {
		gone[key] = true
	}
	for _, r := range rows {
		b.seen[r.Target.Key] = r
		delete(gone, r.Target.Key)
	}
	t := Table{At: now, Total: Line{Name: "total"}}
	index := make(map[string]int)
	line := func(name string) *Line {
		i, ok := index[name]
		if !ok {
			i = len(t.Lines)
			index[name] = i
			t.Lines = append(t.Lines, Line{Name: name})
		}
		return &t.Lines[i]
	}
	for _, w := range written {
		line(w.Workload).Written.Add(w.Lines, w.Bytes)
	}
	for key, r := range b.seen {
		if gone[key] {
			r.Oldest, r.Unread = 0, 0
		}
		line(b.sources.Workload(r.Target)).add(r.Figures)
	}
	delivered := make(map[string]pipeline.Count, len(t.Lines))
	for i := range t.Lines {
		l := &t.Lines[i]
		l.Lag = lag(now, l.oldest)
		delivered[l.Name] = l.Delivered
		t.Total.join(l)
	}
	delivered[t.Total.Name] = t.Total.Delivered
	t.Total.Lag = lag(now, t.Total.oldest)
	t.Total.atLeast(sums)
	b.rates(&t, delivered)
	return t
}

func lag(now time.Time, oldest int64) time.Duration {
	if oldest == 0 {
		return 0
	}
	return max(0, now.Sub(time.Unix(0, oldest)))
}

func (l *Line) add(f pipeline.Figures) {
	plus := func(c *pipeline.Count, d pipeline.Count) { c.Add(d.Lines, d.Bytes) }
	plus(&l.Read, f.Read)
	plus(&l.Delivered, f.Delivered)
	plus(&l.Pending, f.Pending)
	for r, c := range f.Dropped {
		plus(&l.Reasons[r], c)
		plus(&l.Dropped, c)
	}
	for _, n := range f.Lost {
		l.Lost += n
	}
	l.Gaps += f.Gaps
	l.Unread += f.Unread
	if f.Oldest != 0 && (l.oldest == 0 || f.Oldest < l.oldest) {
		l.oldest = f.Oldest
	}
}

// join adds another line to the total.
func (l *Line) join(o *Line) {
	l.Written.Add(o.Written.Lines, o.Written.Bytes)
	f := pipeline.Figures{
		Read: o.Read, Delivered: o.Delivered, Pending: o.Pending, Dropped: o.Reasons,
		Unread: o.Unread, Gaps: o.Gaps, Oldest: o.oldest,
	}
	f.Lost[0] = o.Lost
	l.add(f)
}

// atLeast lifts what was lost and dropped to the lane's sums: a target may have come and gone between two looks.
func (l *Line) atLeast(sums pipeline.Sums) {
	var lost int64
	for _, n := range sums.Lost {
		lost += n
	}
	l.Lost = max(l.Lost, lost)
	l.Dropped = pipeline.Count{}
	for r, c := range sums.Dropped {
		l.Reasons[r].Lines = max(l.Reasons[r].Lines, c.Lines)
		l.Reasons[r].Bytes = max(l.Reasons[r].Bytes, c.Bytes)
		l.Dropped.Add(l.Reasons[r].Lines, l.Reasons[r].Bytes)
	}
}

// rates fills in what was delivered a second since the oldest sample within the window.
func (b *Board) rates(t *Table, delivered map[string]pipeline.Count) {
	for len(b.samples) > 1 && t.At.Sub(b.samples[0].at) > rateWindow {
		b.samples = b.samples[1:]
	}
	rate := func(l *Line) {
		if len(b.samples) == 0 {
			return
		}
		then := b.samples[0].delivered[l.Name]
		if s := t.At.Sub(b.samples[0].at).Seconds(); s > 0 {
			l.Rate = float64(l.Delivered.Lines-then.Lines) / s
			l.ByteRate = float64(l.Delivered.Bytes-then.Bytes) / s
		}
	}
	for i := range t.Lines {
		rate(&t.Lines[i])
	}
	rate(&t.Total)
	b.samples = append(b.samples, sample{at: t.At, delivered: delivered})
}

// Settled says that the agent has read and settled all that was written: once the workloads have stopped, the moment to
// stop the agent.
func (t Table) Settled() bool {
	return t.Total.Read.Lines >= t.Total.Written.Lines && t.Total.Pending.Lines == 0
}
