package exporter

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatd/leat/pipeline"
)

// fakeLane is a lane with accounts that a test writes.
type fakeLane struct {
	name  string
	mu    sync.Mutex
	rows  []*fakeRow
	sums  pipeline.Sums
	stats fakeStats

	lifetimes map[string]pipeline.Totals
	ended     pipeline.Totals
	spool     *pipeline.SpoolFigures
}

type fakeRow struct {
	target  *pipeline.Target
	account pipeline.Account
}

func (l *fakeLane) Name() string           { return l.name }
func (l *fakeLane) Sums() pipeline.Sums    { return l.sums }
func (l *fakeLane) Stats() *pipeline.Stats { return new(pipeline.Stats) }

func (l *fakeLane) Lifetime() (map[string]pipeline.Totals, pipeline.Totals) {
	return l.lifetimes, l.ended
}

func (l *fakeLane) SpoolFigures() (f pipeline.SpoolFigures, spooling, configured bool) {
	if l.spool == nil {
		return f, false, false
	}
	return *l.spool, true, true
}

func (l *fakeLane) Rows(dst []pipeline.Row) []pipeline.Row {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rows {
		dst = append(dst, pipeline.Row{Target: r.target, Figures: r.account.Snapshot()})
	}
	return dst
}

func (l *fakeLane) add(t *pipeline.Target, f pipeline.Figures) *fakeRow {
	r := &fakeRow{target: t}
	r.account.Update(func(own *pipeline.Figures) { *own = f })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append(l.rows, r)
	return r
}

func (l *fakeLane) remove(rows ...*fakeRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = slices.DeleteFunc(l.rows, func(x *fakeRow) bool { return slices.Contains(rows, x) })
}

// fakeStats stand for pipeline.Stats, which only a lane at work can fill.
type fakeStats struct {
	requests           map[string]int64
	sentBytes, retries int64
	up                 bool
	shards             int
	leftOut            [pipeline.NumReasons]int64
	unkept             int64
}

func (s *fakeStats) Requests() map[string]int64 { return s.requests }
func (s *fakeStats) SentBytes() int64           { return s.sentBytes }
func (s *fakeStats) Retries() int64             { return s.retries }
func (s *fakeStats) Up() bool                   { return s.up }
func (s *fakeStats) Shards() int                { return s.shards }

func (s *fakeStats) LeftOut() [pipeline.NumReasons]int64 { return s.leftOut }
func (s *fakeStats) Unkept() int64                       { return s.unkept }

func pod(namespace, name, container string) *pipeline.Target {
	return &pipeline.Target{Key: namespace + "_" + name + "/" + container,
		Namespace: namespace, Pod: name, UID: "u", Container: container, Node: "n1"}
}

// ledgerOf makes a ledger of fakes, with their stats.
func ledgerOf(by LogsBy, lanes ...*fakeLane) *Ledger { return boundedLedger(by, 0, lanes...) }

func boundedLedger(by LogsBy, maxSeries int, lanes ...*fakeLane) *Ledger {
	var list []Lane
	for _, l := range lanes {
		list = append(list, l)
	}
	ledger := NewLedger(by, maxSeries, list...)
	for _, b := range ledger.books {
		b.stats = &b.lane.(*fakeLane).stats
	}
	return ledger
}

// workload is two sinks with everything that a ledger can show.
func workload(now time.Time) []*fakeLane {
	central := &fakeLane{name: "central", stats: fakeStats{
		requests: map[string]int64{"204": 41, "400": 1, "error": 3}, sentBytes: 123456, retries: 3, up: true, shards: 2,
		leftOut: [pipeline.NumReasons]int64{pipeline.Rejected: 4}, unkept: 6}}
	full := pipeline.Figures{
		Read:      pipeline.Count{Lines: 1_500_000, Bytes: 200_000_000},
		Delivered: pipeline.Count{Lines: 1_499_890, Bytes: 199_990_000},
		Pending:   pipeline.Count{Lines: 100, Bytes: 9_000},
		Unread:    4096, Gaps: 1, Unparsed: 3, Truncated: 2, Doubtful: 12,
		Oldest: now.Add(-2500 * time.Millisecond).UnixNano(),
	}
	full.Dropped[pipeline.BadRequest] = pipeline.Count{Lines: 10, Bytes: 500}
	full.Dropped[pipeline.MaxLine] = pipeline.Count{Bytes: 500}
	full.Lost[pipeline.LostDeleted] = 77
	central.add(pod("shop", "web-0", "app"), full)
	central.add(pod("shop", "web-0", "side\"car\\\n"), pipeline.Figures{Oldest: now.Add(time.Hour).UnixNano()})
	central.add(pod("infra", "dns-\xff1", "dns"), pipeline.Figures{Oldest: -1 << 62})
	central.add(&pipeline.Target{Key: "/var/log/auth.log", Path: "/var/log/auth.log"},
		pipeline.Figures{Read: pipeline.Count{Lines: 1, Bytes: 2}, Delivered: pipeline.Count{Lines: 1, Bytes: 2}})
	central.sums = pipeline.Sums{
		Read: pipeline.Count{Lines: 1_500_006, Bytes: 200_000_052}, Delivered: pipeline.Count{Lines: 1_499_891, Bytes: 199_990_002},
		Pending: pipeline.Count{Lines: 105, Bytes: 9_050}, Dropped: full.Dropped, Lost: full.Lost, Gaps: 1, Doubtful: 12,
	}
	central.spool = &pipeline.SpoolFigures{
		Bytes: 5 << 20, MaxBytes: 1 << 30, Left: 1 << 20, Records: 7, Damaged: 1, Oldest: now.Add(-90 * time.Second).UnixNano()}
	// A second life of the same pod name.
	central.add(pod("shop", "web-0", "app"), pipeline.Figures{
		Read: pipeline.Count{Lines: 5, Bytes: 50}, Pending: pipeline.Count{Lines: 5, Bytes: 50},
		Oldest: now.Add(-time.Second).UnixNano()})
	return []*fakeLane{central, {name: "archive"}}
}

// samples reads a text by its sample names and labels.
func samples(t testing.TB, text string) map[string]float64 {
	t.Helper()
	m := make(map[string]float64)
	for line := range strings.Lines(text) {
		if line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, twice := m[line[:i]]; twice {
			t.Errorf("%s is there twice", line[:i])
		}
		m[line[:i]] = v
	}
	return m
}

// checkIdentity checks read = delivered + dropped + pending for every series of a scrape, in lines and in bytes.
func checkIdentity(t testing.TB, samples map[string]float64) (checked int) {
	t.Helper()
	for key, read := range samples {
		name, labels, _ := strings.Cut(key, "{")
		unit, ok := strings.CutPrefix(name, "leat_log_read_")
		if !ok {
			continue
		}
		own, _, _ := strings.Cut(labels, `sink=`)
		dropped := 0.0
		for r := range pipeline.NumReasons {
			dropped += samples["leat_log_dropped_"+unit+"{"+own+`reason="`+r.String()+`",`+labels[len(own):]]
		}
		delivered := samples["leat_log_delivered_"+unit+"{"+labels]
		pending := samples["leat_log_pending_"+strings.TrimSuffix(unit, "_total")+"{"+labels]
		if read != delivered+dropped+pending {
			t.Errorf("%s: read %v, delivered %v + dropped %v + pending %v", key, read, delivered, dropped, pending)
		}
		checked++
	}
	return checked
}
