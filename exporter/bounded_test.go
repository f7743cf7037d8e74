package exporter

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/leatd/leat/pipeline"
)

func delivered(lines int64) pipeline.Figures {
	c := pipeline.Count{Lines: lines, Bytes: 10 * lines}
	return pipeline.Figures{Read: c, Delivered: c}
}

// readBy is who has a series of the lines read, and how many.
func readBy(t testing.TB, l *Ledger) map[string]float64 {
	m := map[string]float64{}
	for key, v := range samples(t, text(t, l, false)) {
		if labels, ok := strings.CutPrefix(key, "leat_log_read_lines_total"); ok {
			m[strings.ReplaceAll(labels, `,sink="s"`, "")] = v
		}
		if strings.HasPrefix(key, "leat_ledger_merged_series{") {
			m["merged"] = v
		}
	}
	return m
}

// TestOthers: who comes when there are as many series as there may be is summed up with the others, and stays there
// until he leaves.
func TestOthers(t *testing.T) {
	lane := &fakeLane{name: "s"}
	l := boundedLedger(ByContainer, 2, lane)
	expect := func(step string, want map[string]float64) {
		t.Helper()
		if got := readBy(t, l); !maps.Equal(got, want) {
			t.Errorf("%s:\n%v, want\n%v", step, got, want)
		}
	}
	label := func(name string) string { return fmt.Sprintf(`{container="c",namespace="n",pod="%s"}`, name) }
	const other, files = `{container="other",namespace="other",pod="other"}`, `{path="other"}`
	expect("nobody", map[string]float64{"merged": 0})
	a := lane.add(pod("n", "a", "c"), delivered(1))
	b := lane.add(pod("n", "b", "c"), delivered(10))
	expect("two", map[string]float64{"merged": 0, label("a"): 1, label("b"): 10})
	c := lane.add(pod("n", "c", "c"), delivered(100))
	d := lane.add(pod("n", "d", "c"), delivered(1000))
	file := lane.add(&pipeline.Target{Key: "/f", Path: "/f"}, delivered(5))
	again := lane.add(pod("n", "c", "c"), delivered(200)) // the same name once more: it is merged already
	expect("six", map[string]float64{"merged": 3, label("a"): 1, label("b"): 10, other: 1300, files: 5})
	lane.remove(c)
	expect("its second life is left", map[string]float64{"merged": 3, label("a"): 1, label("b"): 10, other: 1300, files: 5})
	lane.remove(a, b)
	expect("room", map[string]float64{"merged": 3, other: 1300, files: 5})
	lane.remove(d, file)
	expect("what has left stays in the sum", map[string]float64{"merged": 1, other: 1300})
	lane.add(pod("n", "d", "c"), delivered(7))
	expect("who comes back has a series, for there is room", map[string]float64{"merged": 1, label("d"): 7, other: 1300})
	lane.remove(again)
	expect("the others are gone", map[string]float64{"merged": 0, label("d"): 7})
}

// TestOthersByNamespace: namespaces are bounded as well. The series of all host files has no label that could say other,
// and a namespace that is called other is one of the others.
func TestOthersByNamespace(t *testing.T) {
	lane := &fakeLane{name: "s"}
	l := boundedLedger(ByNamespace, 1, lane)
	lane.add(pod("first", "p", "c"), delivered(1))
	lane.add(pod("second", "p", "c"), delivered(2))
	lane.add(pod("third", "p", "c"), delivered(4))
	lane.add(pod("other", "p", "c"), delivered(8))
	lane.add(&pipeline.Target{Key: "/f", Path: "/f"}, delivered(16))
	lane.add(&pipeline.Target{Key: "/g", Path: "/g"}, delivered(32))
	got := map[string]float64{}
	for key, v := range readBy(t, l) {
		got[strings.ReplaceAll(key, `sink="s"`, "")] = v
	}
	want := map[string]float64{"merged": 2, `{namespace="first"}`: 1, `{namespace="other"}`: 14, "{}": 48}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestOthersAtRandom lets containers come, go, and come back, more than there may be series, and follows every series: it
// adds up, its counters never go back while it is there, and all of them together are what was read.
func TestOthersAtRandom(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		lane := &fakeLane{name: "s"}
		most := 3 + r.IntN(4)
		l := boundedLedger(ByContainer, most, lane)
		var rows []*fakeRow
		var seen map[string]float64
		for step := range 200 {
			switch {
			case len(rows) > 0 && r.IntN(3) == 0:
				i := r.IntN(len(rows))
				lane.remove(rows[i])
				rows = slices.Delete(rows, i, i+1)
			case len(rows) < 15:
				rows = append(rows, lane.add(pod("n", fmt.Sprint("p", r.IntN(12)), "c"), delivered(r.Int64N(100))))
			}
			for _, row := range rows {
				row.account.Update(func(f *pipeline.Figures) { f.Read.Add(1, 10); f.Delivered.Add(1, 10) })
			}
			now := samples(t, text(t, l, false))
			checkIdentity(t, now)
			if now[`leat_ledger_unbalanced_series{sink="s"}`] != 0 {
				t.Error("a series does not add up")
			}
			for key, v := range seen {
				if n, ok := now[key]; ok && strings.Contains(key, "_total") && n < v {
					t.Fatalf("seed %d, step %d: %s went from %v back to %v", seed, step, key, v, n)
				}
			}
			seen = now
			// A name that several pods share keeps what the first of them had; so do the others. So it is at least that.
			sum, least, names := 0.0, 0.0, map[string]bool{}
			for key, v := range now {
				if strings.HasPrefix(key, "leat_log_read_lines_total") {
					sum += v
					names[key] = true
				}
			}
			for _, row := range rows {
				f := row.account.Snapshot()
				least += float64(f.Read.Lines)
			}
			if sum < least || len(names) > most+1 {
				t.Fatalf("seed %d, step %d: %v lines in %d series, want %v or more in at most %d", seed, step, sum, len(names), least, most+1)
			}
		}
		lane.remove(rows...)
		l.close(l.open())
		if b := l.books[0]; len(b.owners)+len(b.series)+len(b.merged) != 0 {
			t.Errorf("seed %d: %d owners, %d series, %d merged are kept of nothing", seed, len(b.owners), len(b.series), len(b.merged))
		}
	}
}
