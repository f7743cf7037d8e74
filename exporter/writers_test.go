package exporter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/leatd/leat/pipeline"
)

// TestTwoWritersOfATarget: the reader of a log and that of the spool have a row each, of one identity. They write, come and
// go in any order while others scrape. Every series of every answer adds up, and no counter of a series that stays goes back.
func TestTwoWritersOfATarget(t *testing.T) {
	const pods, lives, batch = 3, 6, 40
	for _, by := range []LogsBy{ByContainer, ByNamespace, ByNone} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			t.Parallel()
			lane := &fakeLane{name: "s"}
			l := ledgerOf(by, lane)
			scrape := func() map[string]float64 {
				now := samples(t, text(t, l, false))
				checkIdentity(t, now)
				if n := now[`leat_ledger_unbalanced_series{sink="s"}`]; n != 0 {
					t.Errorf("%v series do not add up", n)
				}
				return now
			}
			var writers, scrapers sync.WaitGroup
			for p := range pods {
				writers.Go(func() {
					random := rand.New(rand.NewPCG(7, uint64(p)))
					target := func() *pipeline.Target { return pod("shop", fmt.Sprintf("web-%d", p), "app") }
					for range lives {
						rows := []*fakeRow{lane.add(target(), pipeline.Figures{}), lane.add(target(), pipeline.Figures{})}
						live(rows[0], rows[1], random, batch)
						scrape() // their last figures are seen; what is left of them is nothing pending
						if random.IntN(2) == 0 {
							rows[0], rows[1] = rows[1], rows[0]
						}
						lane.remove(rows...)
					}
				})
			}
			done := make(chan struct{})
			for range 2 {
				scrapers.Go(func() {
					seen := map[string]float64{}
					for {
						now := scrape()
						for key, v := range seen {
							if n, there := now[key]; by == ByNone && strings.Contains(key, "_total") && (!there || n < v) {
								t.Errorf("%s went from %v back to %v", key, v, n)
							}
						}
						if seen = now; t.Failed() {
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
			now := scrape()
			if by == ByNone && (now[`leat_log_pending_lines{sink="s"}`] != 0 || now[`leat_log_read_lines_total{sink="s"}`] != now[`leat_log_delivered_lines_total{sink="s"}`]) {
				t.Errorf("all is delivered, but the ledger says %v", now)
			}
		})
	}
}

// live lets two readers read, hand over and deliver lines, until none is pending.
func live(tail, spool *fakeRow, random *rand.Rand, lines int) {
	handed := make(chan int64, lines)
	var both sync.WaitGroup
	both.Go(func() {
		defer close(handed)
		for range lines {
			n := random.Int64N(100)
			tail.account.Update(func(f *pipeline.Figures) { f.Read.Add(1, n); f.Pending.Add(1, n) })
			if random.IntN(2) == 0 {
				handed <- n
				continue
			}
			tail.account.Update(func(f *pipeline.Figures) { f.Settle(&pipeline.Segment{N: 1, Bytes: n}) })
		}
	})
	both.Go(func() {
		for n := range handed {
			spool.account.Update(func(f *pipeline.Figures) { f.Settle(&pipeline.Segment{N: 1, Bytes: n}) })
		}
	})
	both.Wait()
}

// TestUnbalanced: what does not add up is counted, in lines and in bytes, by series.
func TestUnbalanced(t *testing.T) {
	lane := &fakeLane{name: "s"}
	l := ledgerOf(ByContainer, lane)
	lane.add(pod("a", "fine", "c"), pipeline.Figures{Read: pipeline.Count{Lines: 2, Bytes: 20}, Pending: pipeline.Count{Lines: 2, Bytes: 20}})
	lane.add(pod("a", "lines", "c"), pipeline.Figures{Read: pipeline.Count{Lines: 1}})
	lane.add(pod("a", "bytes", "c"), pipeline.Figures{Delivered: pipeline.Count{Bytes: 1}})
	if n := samples(t, text(t, l, false))[`leat_ledger_unbalanced_series{sink="s"}`]; n != 2 {
		t.Errorf("%v series are found, want 2", n)
	}
}
