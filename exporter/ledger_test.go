package exporter

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"

	"github.com/leatd/leat/pipeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func text(t testing.TB, l *Ledger, openMetrics bool) string {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	p := l.open()
	defer l.close(p)
	for i := range l.families {
		l.families[i].writeText(w, p, openMetrics)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	for _, by := range []LogsBy{ByContainer, ByNamespace, ByNone} {
		for _, openMetrics := range []bool{false, true} {
			name := fmt.Sprintf("%s.%s", []string{"container", "namespace", "none"}[by],
				map[bool]string{false: "txt", true: "openmetrics"}[openMetrics])
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					golden(t, name, text(t, ledgerOf(by, workload(time.Now())...), openMetrics))
				})
			})
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and look at the difference. Got:\n%s", file, got)
	}
}

// TestTextIsWhatTheLibraryWrites encodes the gathered families by the Prometheus library and compares: both ways out must
// say the same. Only the form of numbers may differ.
func TestTextIsWhatTheLibraryWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, by := range []LogsBy{ByContainer, ByNamespace, ByNone} {
			l := ledgerOf(by, workload(time.Now())...)
			for _, openMetrics := range []bool{false, true} {
				var want bytes.Buffer
				for _, mf := range l.Gather() {
					encode := expfmt.MetricFamilyToText
					if openMetrics {
						encode = func(w io.Writer, mf *dto.MetricFamily) (int, error) {
							return expfmt.MetricFamilyToOpenMetrics(w, mf)
						}
					}
					if _, err := encode(&want, mf); err != nil {
						t.Fatal(err)
					}
				}
				ours, theirs := strings.Split(text(t, l, openMetrics), "\n"), strings.Split(want.String(), "\n")
				if len(ours) != len(theirs) || len(ours) < 100 && by == ByContainer {
					t.Fatalf("%d lines, the library has %d", len(ours), len(theirs))
				}
				for i := range ours {
					if plain(t, ours[i]) != plain(t, theirs[i]) {
						t.Errorf("line %d: %q, the library has %q", i+1, ours[i], theirs[i])
					}
				}
			}
		}
	})
}

// plain brings a sample's number into one form.
func plain(t *testing.T, line string) string {
	if line == "" || line[0] == '#' {
		return line
	}
	i := strings.LastIndexByte(line, ' ')
	v, err := strconv.ParseFloat(line[i+1:], 64)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return line[:i] + fmt.Sprintf(" %v", v)
}

func TestLint(t *testing.T) {
	r := NewRegistry("1.2.3", "abc", ledgerOf(ByContainer, workload(time.Now())...))
	problems, err := testutil.GatherAndLint(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestFamiliesAreSorted(t *testing.T) {
	if !slices.IsSortedFunc(families(), func(a, b family) int { return strings.Compare(a.name, b.name) }) {
		t.Error("families are not sorted by name: a scrape merges them by it")
	}
	for _, f := range families() {
		if (f.row == nil) == (f.lane == nil) {
			t.Errorf("%s: exactly one of row and lane must be set", f.name)
		}
		if f.counter != strings.HasSuffix(f.name, "_total") {
			t.Errorf("%s: counters and only they end in _total", f.name)
		}
	}
}

// TestNamesAreTaken registers a metric that the ledger has, with its very labels and with others.
func TestNamesAreTaken(t *testing.T) {
	r := NewRegistry("", "", ledgerOf(ByContainer))
	for _, labels := range [][]string{{"sink"}, {"other"}} {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "leat_sink_up", Help: "Something else."}, labels)
		if err := r.Register(g); err == nil {
			t.Errorf("leat_sink_up with %v could be registered beside the ledger's", labels)
		}
	}
}

func TestParseLogsBy(t *testing.T) {
	for s, want := range map[string]LogsBy{"container": ByContainer, "namespace": ByNamespace, "none": ByNone} {
		if got, err := ParseLogsBy(s); err != nil || got != want {
			t.Errorf("ParseLogsBy(%q) = %v, %v", s, got, err)
		}
	}
	if _, err := ParseLogsBy("pod"); err == nil || !strings.Contains(err.Error(), `"pod"`) {
		t.Errorf("ParseLogsBy(pod): %v", err)
	}
}

// TestCountersNeverGoBack lets pods come and go under every cut, and follows each counter.
func TestCountersNeverGoBack(t *testing.T) {
	settled := func(lines int64) pipeline.Figures {
		f := pipeline.Figures{
			Read:      pipeline.Count{Lines: lines + 1, Bytes: 10*lines + 10},
			Delivered: pipeline.Count{Lines: lines, Bytes: 10 * lines},
			Gaps:      1, Unparsed: 2, Truncated: 3,
		}
		f.Dropped[pipeline.TooLarge] = pipeline.Count{Lines: 1, Bytes: 10}
		f.Lost[pipeline.LostTruncated] = 7
		return f
	}
	for _, by := range []LogsBy{ByContainer, ByNamespace, ByNone} {
		lane := &fakeLane{name: "s"}
		l := ledgerOf(by, lane)
		seen := map[string]float64{}
		follow := func(step string) {
			now := samples(t, text(t, l, false))
			for key, v := range seen {
				if n, ok := now[key]; ok && strings.Contains(key, "_total") && n < v {
					t.Errorf("by %d, %s: %s went from %v back to %v", by, step, key, v, n)
				}
			}
			checkIdentity(t, now)
			seen = now
		}
		follow("nothing yet")
		first := lane.add(pod("shop", "web-0", "app"), settled(100))
		other := lane.add(pod("shop", "web-1", "app"), settled(1000))
		follow("two pods")
		second := lane.add(pod("shop", "web-0", "app"), settled(5))
		follow("web-0 came back")
		lane.remove(first)
		follow("its first life left")
		key := map[LogsBy]string{
			ByContainer: `leat_log_delivered_lines_total{container="app",namespace="shop",pod="web-0",sink="s"}`,
			ByNamespace: `leat_log_delivered_lines_total{namespace="shop",sink="s"}`,
			ByNone:      `leat_log_delivered_lines_total{sink="s"}`,
		}[by]
		if want := map[LogsBy]float64{ByContainer: 105, ByNamespace: 1105, ByNone: 1105}[by]; seen[key] != want {
			t.Errorf("by %d: %s is %v, want %v", by, key, seen[key], want)
		}
		// Its last lines were pending when it was last seen.
		second.account.Update(func(f *pipeline.Figures) {
			f.Read.Add(9, 90)
			f.Pending.Add(9, 90)
			f.Oldest = 1
		})
		follow("web-0 has more to deliver")
		lane.remove(other)
		follow("web-1 left")
		lane.remove(second)
		now := samples(t, text(t, l, false))
		checkIdentity(t, now)
		if _, there := now[key]; there != (by == ByNone) {
			t.Errorf("by %d: %s is there: %v", by, key, there)
		}
		// What was pending when it was last seen is nobody's now.
		if by == ByNone && (now[`leat_log_pending_lines{sink="s"}`] != 0 || now[`leat_log_lag_seconds{sink="s"}`] != 0) {
			t.Errorf("lines are pending for ever: %v", now)
		}
		if b := l.books[0]; len(b.owners) != 0 || by != ByNone && len(b.series) != 0 {
			t.Errorf("by %d: %d owners and %d series are kept of nothing", by, len(b.owners), len(b.series))
		}
	}
}

// TestRowGivenTwice breaks a lane's promise: two rows of one target. Their sum is shown, and others still come and go.
func TestRowGivenTwice(t *testing.T) {
	lane := &fakeLane{name: "s"}
	l := ledgerOf(ByContainer, lane)
	one := pipeline.Figures{Read: pipeline.Count{Lines: 1, Bytes: 1}, Delivered: pipeline.Count{Lines: 1, Bytes: 1}}
	twice := pod("a", "twice", "c")
	lane.add(twice, one)
	lane.add(twice, one)
	gone := lane.add(pod("a", "gone", "c"), one)
	text(t, l, false)
	lane.remove(gone)
	got := samples(t, text(t, l, false))
	if n := got[`leat_log_read_lines_total{container="c",namespace="a",pod="twice",sink="s"}`]; n != 2 {
		t.Errorf("two rows of a line each make %v", n)
	}
	if _, there := got[`leat_log_read_lines_total{container="c",namespace="a",pod="gone",sink="s"}`]; there {
		t.Error("who has gone is still there")
	}
}
