package pipeline

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// bareLane is a lane that does nothing but keep rows.
func bareLane() *Lane { return &Lane{Options: Options{Sink: &fakeSink{}}} }

// TestRowsLeaveTogether: a step changes rows of one key, then time passes; the rows that are left are counted.
func TestRowsLeaveTogether(t *testing.T) {
	const tail, spool, later = 0, 1, 2
	type step struct {
		pending [3]int64 // of the rows tail, spool, later
		gone    []int
		hurt    int // a row that loses something; 0 is none, for the tail's
		after   time.Duration
		rows    int
	}
	for name, steps := range map[string][]step{
		"alone":               {{gone: []int{tail}, after: rowLives - 1, rows: 3}, {after: 1, rows: 2}},
		"one lives":           {{pending: [3]int64{5, -3}, gone: []int{tail}, after: 10 * time.Hour, rows: 3}},
		"the spool has none":  {{pending: [3]int64{5, 0}, gone: []int{tail, spool}, after: 10 * time.Hour, rows: 3}},
		"settled at once":     {{pending: [3]int64{5, -5}, gone: []int{tail, spool}, after: rowLives, rows: 1}},
		"settled later":       {{pending: [3]int64{5, -3}, gone: []int{tail, spool}, after: time.Hour, rows: 3}, {pending: [3]int64{5, -5}, after: rowLives - 1, rows: 3}, {after: 1, rows: 1}},
		"the other goes last": {{pending: [3]int64{5, -5}, gone: []int{tail}, after: time.Hour, rows: 3}, {gone: []int{spool}, after: rowLives - 1, rows: 3}, {after: 1, rows: 1}},
		"hurt":                {{pending: [3]int64{5, -5}, gone: []int{tail, spool}, hurt: spool, after: rowLives, rows: 3}, {after: rowLivesHurt, rows: 1}},
		"it came back":        {{pending: [3]int64{5, -8, 3}, gone: []int{tail, spool}, after: time.Hour, rows: 3}, {pending: [3]int64{5, -8, 3}, gone: []int{later}, after: rowLives, rows: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			l := bareLane()
			rows := make([]*LaneTarget, 3)
			for i := range rows {
				rows[i] = l.Track(&Target{Key: "a"})
			}
			now := time.Now()
			for i, s := range steps {
				for r, lt := range rows {
					lt.Account.Update(func(f *Figures) {
						if i == 0 || s.pending != [3]int64{} {
							f.Pending = Count{s.pending[r], s.pending[r]}
						}
						if s.hurt == r && r > 0 {
							f.Gaps = 1
						}
					})
				}
				for _, r := range s.gone {
					l.Forget(rows[r])
					for _, tr := range l.targets {
						if tr.LaneTarget == rows[r] {
							tr.gone = now
						}
					}
				}
				l.expire(now) // as the supervisor does, all the time
				now = now.Add(s.after)
				l.expire(now)
				if n := len(l.Rows(nil)); n != s.rows {
					t.Errorf("step %d: %d rows, want %d", i, n, s.rows)
				}
			}
			if l.retired.Pending != (Count{}) {
				t.Errorf("%+v stays pending of rows that left", l.retired.Pending)
			}
		})
	}
}

// TestRowsOfTwoWriters: the reader of the files and that of the spool write while rows come, go and are asked for. Every
// answer adds up, nothing is delivered before it is read, and no sum goes back.
func TestRowsOfTwoWriters(t *testing.T) {
	const keys, rounds, batch = 4, 15, 300
	l := bareLane()
	var writers, scrapers sync.WaitGroup
	done := make(chan struct{})
	var clock sync.Mutex // guards now, which runs ahead
	now := time.Now()
	expire := func() {
		clock.Lock()
		defer clock.Unlock()
		now = now.Add(rowLives)
		l.expire(now)
	}
	for k := range keys {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(k)))
			key := fmt.Sprint(k)
			for range rounds {
				tail, spool := l.Track(&Target{Key: key}), l.Track(&Target{Key: key})
				handed := make(chan Count, batch)
				var both sync.WaitGroup
				both.Go(func() {
					for range batch {
						n := Count{1 + random.Int64N(3), random.Int64N(100)}
						tail.Account.Update(func(f *Figures) { f.Read.Add(n.Lines, n.Bytes); f.Pending.Add(n.Lines, n.Bytes) })
						if random.IntN(3) > 0 {
							handed <- n
							continue
						}
						tail.Account.Update(func(f *Figures) { f.Settle(&Segment{N: int(n.Lines), Bytes: n.Bytes}) })
					}
					close(handed)
					l.Forget(tail)
				})
				both.Go(func() {
					for n := range handed {
						spool.Account.Update(func(f *Figures) { f.Settle(&Segment{N: int(n.Lines), Bytes: n.Bytes}) })
					}
					l.Forget(spool)
				})
				both.Wait()
				expire()
			}
		})
	}
	for range 2 {
		scrapers.Go(func() {
			var last Sums
			var rows []Row
			for {
				rows = l.Rows(rows[:0])
				pending := map[string]Count{}
				for _, r := range rows {
					checkIdentity(t, r.Target.Key, r.Figures)
					p := pending[r.Target.Key]
					p.Add(r.Pending.Lines, r.Pending.Bytes)
					pending[r.Target.Key] = p
				}
				for key, p := range pending {
					if p.Lines < 0 || p.Bytes < 0 {
						t.Errorf("%s: %+v are pending: more is delivered than was read", key, p)
					}
				}
				sums := l.Sums()
				if sums.Read.Lines != sums.Delivered.Lines+sums.Pending.Lines || sums.Read.Lines < last.Read.Lines || sums.Delivered.Lines < last.Delivered.Lines {
					t.Errorf("the sums are %+v after %+v", sums, last)
				}
				if last = sums; t.Failed() {
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	scrapers.Wait()
	expire()
	expire()
	if s := l.Sums(); len(l.targets) > 0 || s.Pending != (Count{}) || s.Read != s.Delivered || s.Read.Lines < keys*rounds*batch {
		t.Errorf("%d rows are left, the sums are %+v", len(l.targets), s)
	}
}
