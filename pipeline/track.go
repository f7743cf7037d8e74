package pipeline

import "time"

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

// expire removes rows that have been settled for long; their sums stay.
func (l *Lane) expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	live := l.targets[:0]
	for _, t := range l.targets {
		if !t.gone.IsZero() {
			f := t.Account.Snapshot()
			lives := rowLives
			if f.hurt() {
				lives = rowLivesHurt
			}
			if now.Sub(t.gone) >= lives {
				l.retired.add(&f)
				continue
			}
		}
		live = append(live, t)
	}
	clear(l.targets[len(live):])
	l.targets = live
}

// Rows appends a snapshot of every target's account, each consistent in itself.
func (l *Lane) Rows(dst []Row) []Row {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.targets {
		dst = append(dst, Row{Target: t.Target, Figures: t.Account.Snapshot()})
	}
	return dst
}

// Sums are what the lane has dropped and lost since the process began.
func (l *Lane) Sums() Sums {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.retired
	for _, t := range l.targets {
		f := t.Account.Snapshot()
		s.add(&f)
	}
	return s
}

func (s *Sums) add(f *Figures) {
	for r := range f.Dropped {
		s.Dropped[r].Add(f.Dropped[r].Lines, f.Dropped[r].Bytes)
	}
	for r := range f.Lost {
		s.Lost[r] += f.Lost[r]
	}
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
	return f.Gaps > 0
}
