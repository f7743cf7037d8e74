package demo

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/pipeline"
)

// Pods come and go: a workload is the sum over them, and rows that disappear keep what they last said.
func TestBoard(t *testing.T) {
	var rows []pipeline.Row
	var sums pipeline.Sums
	b := NewBoard(Sources{
		Written: func() []Written {
			return []Written{{"web", simulate.Written{Lines: 100, Bytes: 1000}}, {"job", simulate.Written{Lines: 30, Bytes: 300}}}
		},
		Workload: func(t *pipeline.Target) string { return t.Container },
		Rows:     func() []pipeline.Row { return rows },
		Sums:     func() pipeline.Sums { return sums },
	})
	row := func(key, workload string, lines, pending int64, oldest time.Duration) pipeline.Row {
		r := pipeline.Row{Target: &pipeline.Target{Key: key, Container: workload}}
		r.Read, r.Delivered, r.Pending = count(lines, 10*lines), count(lines-pending, 10*(lines-pending)), count(pending, 10*pending)
		r.Unread = 5
		if oldest > 0 {
			r.Oldest = at.Add(-oldest).UnixNano()
		}
		return r
	}
	rows = []pipeline.Row{row("a", "web", 100, 10, time.Second), row("b", "job", 10, 0, 3*time.Second), row("c", "job", 8, 2, 2*time.Second)}
	table := b.Look(at)
	web, job := table.Lines[0], table.Lines[1]
	if web.Read != count(100, 1000) || web.Pending != count(10, 100) || web.Lag != time.Second || web.Rate != 0 {
		t.Errorf("web: %+v", web)
	}
	if job.Read != count(18, 180) || job.Delivered != count(16, 160) || job.Lag != 3*time.Second || job.Written != count(30, 300) {
		t.Errorf("job: %+v", job)
	}
	if tt := table.Total; tt.Read != count(118, 1180) || tt.Written != count(130, 1300) || tt.Lag != 3*time.Second || tt.Unread != 15 || table.Settled() {
		t.Errorf("total: %+v", tt)
	}

	// b's row has gone; a is read on; another target came and went between the looks, and lost something.
	rows = []pipeline.Row{row("a", "web", 100, 0, 0), row("c", "job", 20, 0, 0)}
	sums.Lost[pipeline.LostTruncated] = 7
	sums.Dropped[pipeline.BadRequest] = count(3, 33)
	table = b.Look(at.Add(2 * time.Second))
	job = table.Lines[1]
	if job.Read != count(30, 300) || job.Lag != 0 || job.Rate != 7 || job.ByteRate != 70 || table.Lines[0].Rate != 5 {
		t.Errorf("job after its pod went: %+v", job)
	}
	if tt := table.Total; tt.Rate != 12 || tt.Lost != 7 || tt.Dropped != count(3, 33) || tt.Unread != 10 || !table.Settled() {
		t.Errorf("total: %+v", tt)
	}
	// The window has moved on: nothing was delivered within it.
	b.Look(at.Add(5 * time.Second))
	if r := b.Look(at.Add(8 * time.Second)).Total.Rate; r != 0 {
		t.Errorf("rate %v long after the last line", r)
	}
	if n := len(b.samples); n > 3 {
		t.Errorf("%d samples are kept", n)
	}
}

func TestEvents(t *testing.T) {
	e := new(Events)
	n := simulate.Node{Root: t.TempDir() + "/pods", OnEvent: func(ev simulate.Event) { e.observe(at, "web", ev) }}
	c, err := n.Start(simulate.Spec{Namespace: "shop", Pod: "web-0", Name: "nginx", MaxFiles: 3, MaxSize: 10, Late: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 9 {
		if err := c.Write(simulate.Stdout, []byte("a line"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ev := range e.latest(50) {
		got = append(got, ev.who+": "+ev.text)
	}
	want := []string{
		"web: pod web-0 started",
		"web: rotated, 1 late write",
		"web: rotated, 1 late write, older gzipped",
		"web: rotated, 1 late write, older gzipped, oldest deleted",
		"web: rotated, 1 late write, older gzipped, oldest deleted",
		"web: restarted, now writes 1.log",
		"web: pod web-0 is gone, with its files",
	}
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%q\nwant\n%q", got, want)
	}
	if got, want := e.Counts(), (Counts{Rotations: 4, Gzips: 3, Restarts: 1, PodsGone: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	for range 3 * keptEvents {
		e.Add(at, "web", "again")
	}
	if n := len(e.latest(1000)); n != keptEvents {
		t.Errorf("%d events are kept", n)
	}
}

func TestHandler(t *testing.T) {
	e := new(Events)
	log := slog.New(e.Handler(slog.LevelInfo)).With("sink", "file").WithGroup("store").With("code", 503)
	log.Debug("not this")
	log.Info("started", "took", time.Second)
	log.Warn("refused")
	if err := e.Handler(slog.LevelInfo).Handle(context.Background(), slog.Record{Message: "no time"}); err != nil {
		t.Fatal(err)
	}
	got := e.latest(9)
	if len(got) != 3 || got[0].text != "started sink=file store.code=503 store.took=1s" || got[0].alarm ||
		got[1].text != "refused sink=file store.code=503" || !got[1].alarm || got[2].at.IsZero() {
		t.Errorf("%+v", got)
	}
}
