package pipeline

import (
	"runtime"
	"sync/atomic"
)

// A Count is a number of lines and of bytes of finished records' bodies.
type Count struct{ Lines, Bytes int64 }

func (c *Count) Add(lines, bytes int64) { c.Lines += lines; c.Bytes += bytes }

// Figures are everything the ledger knows of one target in one lane. At every moment
//
//	Read = Delivered + sum(Dropped) + Pending
//
// holds in lines and in bytes, and each is counted where it happens, none by subtraction.
type Figures struct {
	Read      Count // at the cut, once per position in the file
	Delivered Count // at the verdict
	Pending   Count // read and waiting for a verdict: in a block, in the spool, or to be read again
	Dropped   [NumReasons]Count
	Unread    int64 // bytes on disk beyond the read position
	Lost      [NumLossReasons]int64
	Gaps      int64 // generations that vanished, nobody knows how large
	Unparsed  int64 // lines kept in no format we know
	Truncated int64 // lines cut at max_line
	Doubtful  int64 // delivered lines whose request the store took in part, without saying whose lines it left out
	Oldest    int64 // time of the oldest record not yet settled, ns since the epoch; 0 if there is none
}

// Settle counts a segment that came home Delivered.
func (f *Figures) Settle(s *Segment) {
	delivered := Count{int64(s.N), s.Bytes}
	f.Pending.Add(-delivered.Lines, -delivered.Bytes-s.CutBytes)
	for _, r := range s.Refusals {
		delivered.Add(-r.Lines, -r.Bytes)
		f.Dropped[r.Reason].Add(r.Lines, r.Bytes)
	}
	f.Delivered.Add(delivered.Lines, delivered.Bytes)
	f.Dropped[MaxLine].Add(0, s.CutBytes)
	if s.Doubtful {
		f.Doubtful += delivered.Lines
	}
}

// An Account publishes the figures of one target in one lane. One goroutine writes it, that of the target's reader; any
// number read it. It is a sequence lock: a writer never waits, a reader that met a write looks again.
type Account struct {
	seq   atomic.Uint32
	words [figureWords]atomic.Int64
	own   Figures // the writer's copy
}

const figureWords = 6 + 2*int(NumReasons) + 1 + int(NumLossReasons) + 5

// Update changes the figures. Only the owner of the target may call it.
func (a *Account) Update(change func(f *Figures)) { change(&a.own); a.Publish() }

// Own is the writer's copy, to be changed in place before Publish. Only the owner of the target may touch it.
func (a *Account) Own() *Figures { return &a.own }

// Publish makes the writer's copy visible to Snapshot.
func (a *Account) Publish() {
	a.seq.Add(1)
	i := 0
	put := func(v int64) { a.words[i].Store(v); i++ }
	f := &a.own
	put(f.Read.Lines)
	put(f.Read.Bytes)
	put(f.Delivered.Lines)
	put(f.Delivered.Bytes)
	put(f.Pending.Lines)
	put(f.Pending.Bytes)
	for r := range f.Dropped {
		put(f.Dropped[r].Lines)
		put(f.Dropped[r].Bytes)
	}
	put(f.Unread)
	for _, v := range f.Lost {
		put(v)
	}
	put(f.Gaps)
	put(f.Unparsed)
	put(f.Truncated)
	put(f.Doubtful)
	put(f.Oldest)
	a.seq.Add(1)
}

// Snapshot returns the figures as they stood at one moment.
func (a *Account) Snapshot() (f Figures) {
	for {
		before := a.seq.Load()
		if before&1 == 1 {
			runtime.Gosched() // the writer may have lost its processor in the middle: on a single one it needs ours
			continue
		}
		i := 0
		get := func() int64 { i++; return a.words[i-1].Load() }
		f.Read.Lines, f.Read.Bytes = get(), get()
		f.Delivered.Lines, f.Delivered.Bytes = get(), get()
		f.Pending.Lines, f.Pending.Bytes = get(), get()
		for r := range f.Dropped {
			f.Dropped[r].Lines, f.Dropped[r].Bytes = get(), get()
		}
		f.Unread = get()
		for r := range f.Lost {
			f.Lost[r] = get()
		}
		f.Gaps, f.Unparsed, f.Truncated, f.Doubtful, f.Oldest = get(), get(), get(), get(), get()
		if a.seq.Load() == before {
			return f
		}
	}
}

// A Row is one target's account in one lane, as the exporter shows it. A target can have two: that of the reader of its
// files, and that of the reader of the spool. What the first has read and put there stays pending in it, and is taken off
// the Pending of the second when it is settled, which can go below zero. Only their sum means something.
type Row struct {
	Target *Target
	Figures
}

// Sums are a lane's figures over all targets it ever had since the process began. They never go back, not even when a
// target's own row is removed: alerts stand on them.
type Sums struct {
	Read, Delivered, Pending Count
	Dropped                  [NumReasons]Count
	Lost                     [NumLossReasons]int64
	Gaps, Doubtful           int64
}
