package pipeline

import (
	"slices"
	"time"
)

// tracked is a target's row in a lane, from the moment it is found until some time after it is settled.
type tracked struct {
	*LaneTarget
	gone time.Time // when the reader gave it up with all settled; zero while it lives
}

const (
	rowLives     = 5 * time.Minute // after the target is gone and settled
	rowLivesHurt = time.Hour       // if something of it was lost or dropped
)

// Track begins a target's account in this lane. The intake calls it when it first deals the target out.
func (l *Lane) Track(t *Target) *LaneTarget {
	lt := &LaneTarget{Target: t, Described: l.Sink.Describe(t)}
	for _, s := range lt.Described.Streams {
		if s != nil {
			s.saw(l.Store.lastTime(t.Key), time.Now())
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.targets = append(l.targets, &tracked{LaneTarget: lt})
	return lt
}

// Forget says that a target is gone and all of it settled. Its row stays for a while, so that a scraper sees its end.
func (l *Lane) Forget(lt *LaneTarget) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.targets {
		if t.LaneTarget == lt {
			t.gone = time.Now()
		}
	}
}

// expire removes rows that have been settled for long; their sums stay. The rows of a key may settle each other's lines:
// what the reader of the files has read and handed to the spool, the spool's row delivers. So those that are given up
// leave together, and not before nothing of all of them is pending.
func (l *Lane) expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	type family struct {
		pending Count
		gone    time.Time // when the last of them was given up
		hurt    bool
	}
	families := make(map[string]*family)
	for _, t := range l.targets {
		if t.gone.IsZero() {
			continue
		}
		f := families[t.Key]
		if f == nil {
			f = new(family)
			families[t.Key] = f
		}
		own := t.Account.Snapshot()
		f.pending.Add(own.Pending.Lines, own.Pending.Bytes)
		f.hurt = f.hurt || own.hurt()
		if t.gone.After(f.gone) {
			f.gone = t.gone
		}
	}
	live := l.targets[:0]
	for _, t := range l.targets {
		if f := families[t.Key]; f != nil && !t.gone.IsZero() {
			lives := rowLives
			if f.hurt {
				lives = rowLivesHurt
			}
			switch {
			case f.pending != Count{}:
				t.gone = now // it is not settled before now
			case now.Sub(f.gone) >= lives:
				own := t.Account.Snapshot()
				l.retired.add(&own)
				continue
			}
		}
		live = append(live, t)
	}
	clear(l.targets[len(live):])
	l.targets = live
}

// Rows appends a snapshot of every target's account, each consistent in itself. Rows of one key belong together; over all
// of them, no fewer lines are read than are delivered.
func (l *Lane) Rows(dst []Row) []Row {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, again := len(dst), false
	dst = slices.Grow(dst, len(l.targets))
	for _, t := range l.targets {
		f := t.Account.Snapshot()
		again = again || f.settlesForOthers()
		dst = append(dst, Row{Target: t.Target, Figures: f})
	}
	if !again {
		return dst
	}
	// The spool's row delivers what another one has pending. That one is asked once more, after it, so that their sum
	// never has more delivered than read.
	for i, t := range l.targets {
		if own := &dst[first+i].Figures; !own.settlesForOthers() {
			if f := t.Account.Snapshot(); !f.settlesForOthers() {
				*own = f
			}
		}
	}
	return dst
}

// settlesForOthers tells that what another row of the key has pending was delivered by this one.
func (f *Figures) settlesForOthers() bool { return f.Pending.Lines < 0 || f.Pending.Bytes < 0 }

// Sums are what became of the lines of all targets since the process began. What the sink left out and did not say of
// whom is dropped here, while it is delivered in the targets' accounts.
func (l *Lane) Sums() Sums {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.retired
	for r, lines := range l.stats.LeftOut() {
		s.Dropped[r].Add(lines, 0)
	}
	for _, t := range l.targets {
		f := t.Account.Snapshot()
		s.add(&f)
	}
	return s
}

// Lifetime is what became of the lane's lines however often leatd was restarted: of each target by its key, and of all
// that ended. What was delivered straight from the files is as it was saved last.
func (l *Lane) Lifetime() (targets map[string]Totals, ended Totals) {
	targets, ended = l.Store.Totals()
	if l.Spool != nil {
		spooled, more := l.Spool.Totals()
		for key, t := range spooled {
			t.Add(targets[key])
			targets[key] = t
		}
		ended.Add(more)
	}
	return targets, ended
}

func (s *Sums) add(f *Figures) {
	s.Read.Add(f.Read.Lines, f.Read.Bytes)
	s.Delivered.Add(f.Delivered.Lines, f.Delivered.Bytes)
	s.Pending.Add(f.Pending.Lines, f.Pending.Bytes)
	for r := range f.Dropped {
		s.Dropped[r].Add(f.Dropped[r].Lines, f.Dropped[r].Bytes)
	}
	for r := range f.Lost {
		s.Lost[r] += f.Lost[r]
	}
	s.Gaps += f.Gaps
	s.Doubtful += f.Doubtful
}

// hurt tells whether anything of the target did not arrive.
func (f *Figures) hurt() bool {
	for _, d := range f.Dropped {
		if d != (Count{}) {
			return true
		}
	}
	for _, n := range f.Lost {
		if n != 0 {
			return true
		}
	}
	return f.Gaps > 0 || f.Doubtful > 0
}
