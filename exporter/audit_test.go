package exporter

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

// TestAuditJSON is the whole of /audit.
func TestAuditJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lanes := workload(time.Now())
		lanes[0].lifetimes = map[string]pipeline.Totals{
			"shop_web-0/app": {Delivered: pipeline.Count{Lines: 2_000_000, Bytes: 300_000_000}, Dropped: pipeline.Count{Lines: 11, Bytes: 1000}, LostBytes: 77, Gaps: 1},
		}
		lanes[0].ended = pipeline.Totals{Delivered: pipeline.Count{Lines: 500, Bytes: 5000}, Gaps: 2}
		page := &auditPage{ledgerOf(ByNone, lanes...), "1.2.3", "node-\xff", time.Now().Add(-time.Hour).UTC()}
		w := httptest.NewRecorder()
		page.ServeHTTP(w, nil)
		var out bytes.Buffer
		if err := json.Indent(&out, w.Body.Bytes(), "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, "audit.json", out.String())
		if h := w.Header().Get("Content-Type"); h != "application/json" {
			t.Errorf("Content-Type %q", h)
		}
	})
}

// TestAuditOfTwoRows: the rows of a target are one account; a second pod of the same name is another.
func TestAuditOfTwoRows(t *testing.T) {
	lane := &fakeLane{name: "s"}
	lane.add(pod("a", "p", "c"), pipeline.Figures{Read: pipeline.Count{Lines: 5, Bytes: 50}, Pending: pipeline.Count{Lines: 5, Bytes: 50}})
	lane.add(pod("a", "p", "c"), pipeline.Figures{Delivered: pipeline.Count{Lines: 4, Bytes: 40}, Pending: pipeline.Count{Lines: -4, Bytes: -40}})
	other := pod("a", "p", "c")
	other.Key, other.UID = "another", "v"
	lane.add(other, pipeline.Figures{})
	targets := ledgerOf(ByContainer, lane).Audit().Sinks[0].Targets
	if len(targets) != 2 {
		t.Fatalf("%d targets", len(targets))
	}
	i := slices.IndexFunc(targets, func(t AuditTarget) bool { return t.UID == "u" })
	if b := targets[i].Balance; b.Read.Lines != 5 || b.Delivered.Lines != 4 || b.Pending != (Amount{1, 10}) || !b.Consistent {
		t.Errorf("%+v", b)
	}
}

func TestCompare(t *testing.T) {
	dropped := Balance{Consistent: true, Dropped: map[string]Amount{"too_large": {1, 100}}}
	want := []AuditTarget{
		{Path: "no sum", Balance: Balance{}},
		{Path: "gap", Balance: Balance{Consistent: true, Gaps: 1}},
		{Path: "lost", Balance: Balance{Consistent: true, LostBytes: map[string]int64{"deleted": 101}}},
		{Path: "dropped", Balance: dropped, LagSeconds: 5},
		{Path: "dropped too", Balance: dropped},
		{Path: "doubtful", Balance: Balance{Consistent: true, DoubtfulLines: 1}},
		{Path: "waits long", Balance: Balance{Consistent: true}, LagSeconds: 2.5},
		{Path: "waits", Balance: Balance{Consistent: true}, LagSeconds: 2.4},
		{Path: "a", Balance: Balance{Consistent: true}},
		{Path: "b", Balance: Balance{Consistent: true}},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b AuditTarget) int { return a.Compare(&b) })
	for i := range want {
		if got[i].Path != want[i].Path {
			t.Errorf("at %d %q, want %q", i, got[i].Path, want[i].Path)
		}
	}
}

func TestVerdict(t *testing.T) {
	fine := Balance{Consistent: true}
	for name, c := range map[string]struct {
		sink       AuditSink
		sinceStart bool
		want       string // after "LOST: s: "; empty: nothing lost
	}{
		"nothing": {sink: AuditSink{SinceStart: fine}},
		"pending": {sink: AuditSink{SinceStart: Balance{Consistent: true, Pending: Amount{5, 5}}}},
		"dropped": {sink: AuditSink{SinceStart: Balance{Consistent: true, Dropped: map[string]Amount{"x": {1, 5}, "y": {999, 5}}}}, want: "1,000 lines dropped"},
		"cut":     {sink: AuditSink{SinceStart: Balance{Consistent: true, Dropped: map[string]Amount{"max_line": {0, 1}}}}, want: "1 byte of long lines cut off"},
		"lost":    {sink: AuditSink{SinceStart: Balance{Consistent: true, LostBytes: map[string]int64{"deleted": 2}}}, want: "2 bytes gone before they were read"},
		"gap":     {sink: AuditSink{SinceStart: Balance{Consistent: true, Gaps: 1}}, want: "1 file gone, nobody knows how large"},
		"doubt":   {sink: AuditSink{SinceStart: Balance{Consistent: true, DoubtfulLines: 3}}, want: "1 or more of 3 lines left out by the store"},
		"left out": {sink: AuditSink{SinceStart: Balance{Consistent: true, DoubtfulLines: 3000}, LeftOutLines: map[string]int64{"rejected": 1000, "bad_request": 1}},
			want: "1,001 or more of 3,000 lines left out by the store"},
		"no sum": {sink: AuditSink{}, want: "the ledger does not add up, which is a defect of leatd: please report it"},
		"a target's sum": {
			sink: AuditSink{SinceStart: fine, Targets: []AuditTarget{{Balance: fine}, {}}}, want: "the ledger does not add up, which is a defect of leatd: please report it"},
		"before": {sink: AuditSink{SinceStart: fine, Lifetime: Lifetime{Dropped: Amount{1, 1}, LostBytes: 2, Gaps: 2}},
			want: "1 line dropped, 2 bytes gone before they were read, 2 files gone, nobody knows how large"},
		"not before": {sink: AuditSink{SinceStart: fine, Lifetime: Lifetime{Dropped: Amount{1, 1}, LostBytes: 2, Gaps: 2}}, sinceStart: true},
	} {
		c.sink.Name = "s"
		a := Audit{Sinks: []AuditSink{{Name: "fine", SinceStart: fine}, c.sink}}
		a.Judge(c.sinceStart)
		want := Verdict{Text: nothingLost}
		if c.want != "" {
			want = Verdict{Lost: true, Text: "LOST: s: " + c.want}
		}
		if a.Verdict != want {
			t.Errorf("%s: %+v, want %+v", name, a.Verdict, want)
		}
		for word, shown := range map[string]bool{"(gaps)": c.sink.SinceStart.Gaps+c.sink.Lifetime.Gaps > 0 && !c.sinceStart, "≤": c.sink.SinceStart.DoubtfulLines > 0} {
			if strings.Contains(strings.Join(a.CannotKnow, "\n"), word) != shown {
				t.Errorf("%s: it cannot know %q", name, a.CannotKnow)
			}
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -999: "-999", -123456: "-123,456", 1234567: "1,234,567"} {
		if got := Grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 pods", 1: "1 pod", 1200: "1,200 pods"} {
		if got := Plural(n, "pod"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
