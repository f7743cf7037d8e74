package demo

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/pipeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", name, got, want)
	}
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func count(lines, bytes int64) pipeline.Count { return pipeline.Count{Lines: lines, Bytes: bytes} }

// fixed is a board with a bit of everything: large numbers, pending lines, a loss, drops, lines of a name too long.
func fixed(troubled bool) *Board {
	written := []Written{
		{"frontend", simulate.Written{Lines: 12_345, Bytes: 2_345_678}},
		{"checkout", simulate.Written{Lines: 987, Bytes: 180_011}},
		{"a-workload-with-a-long-name", simulate.Written{Lines: 1_234_567_890, Bytes: 190_000_000_000}},
		{"idle", simulate.Written{}},
	}
	row := func(name string, read, delivered, pending pipeline.Count, oldest time.Duration) pipeline.Row {
		r := pipeline.Row{Target: &pipeline.Target{Key: name}}
		r.Read, r.Delivered, r.Pending = read, delivered, pending
		if oldest > 0 {
			r.Oldest = at.Add(-oldest).UnixNano()
		}
		return r
	}
	rows := []pipeline.Row{
		row("frontend", count(12_345, 2_345_678), count(12_345, 2_345_678), count(0, 0), 0),
		row("checkout", count(987, 180_011), count(987, 180_011), count(0, 0), 0),
		row("a-workload-with-a-long-name", count(1_234_567_890, 190_000_000_000), count(1_234_567_890, 190_000_000_000), count(0, 0), 0),
	}
	if troubled {
		rows[0] = row("frontend", count(12_340, 2_345_000), count(12_000, 2_300_000), count(340, 45_000), 230*time.Millisecond)
		rows[0].Lost[pipeline.LostDeleted] = 1_234_567
		rows[1] = row("checkout", count(987, 180_011), count(900, 170_000), count(80, 9_000), 245*time.Second)
		rows[1].Dropped[pipeline.BadRequest] = count(7, 1_011)
	}
	b := NewBoard(Sources{
		Written:  func() []Written { return written },
		Workload: func(t *pipeline.Target) string { return t.Key },
		Rows:     func() []pipeline.Row { return rows },
	})
	b.samples = []sample{{at.Add(-2 * time.Second), map[string]pipeline.Count{
		"frontend": rows[0].Delivered, "checkout": rows[1].Delivered, "a-workload-with-a-long-name": count(1_234_000_000, 189_900_000_000),
		"total": count(1_234_000_000, 189_900_000_000),
	}}}
	b.samples[0].delivered["checkout"] = count(rows[1].Delivered.Lines-171, rows[1].Delivered.Bytes-30_000)
	return b
}

func screen(b *Board, columns, rows int, colour bool) *Screen {
	s := &Screen{
		Header: Header{"leatd demo", "/tmp/leat-demo/pods", "/tmp/leat-demo/kept", "http://localhost:9110/metrics"},
		Board:  b, Events: new(Events), terminal: true, colour: colour,
		size: func() (int, int) { return columns, rows },
	}
	for i, text := range []string{"pod frontend-x2v8k started", "rotated, 6 late writes, older gzipped, oldest deleted", "a \x1b[31mtext\x07 that\tplays with the terminal and is much longer than there is room"} {
		s.Events.Add(at.Add(time.Duration(i)*time.Second), "frontend", text)
	}
	s.Events.add(event{at: at.Add(9 * time.Second), who: "leatd", text: "store: answered 503, tried again", alarm: true})
	s.Events.counts = Counts{Rotations: 12, Gzips: 9, Restarts: 1, PodsGone: 1_234}
	return s
}

func TestFrame(t *testing.T) {
	tests := []struct {
		name          string
		columns, rows int
		colour        bool
		troubled      bool
		say           string
	}{
		{"frame-80x24", 80, 24, false, true, ""},
		{"frame-80x24-colour", 80, 24, true, true, ""},
		{"frame-80x24-stopping", 80, 24, true, false, "Draining: 12 lines to go."},
		{"frame-80x14", 80, 14, false, true, ""},
		{"frame-120x24", 120, 24, false, true, ""},
		{"frame-50x8", 50, 8, false, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := screen(fixed(tt.troubled), tt.columns, tt.rows, tt.colour)
			if tt.say != "" {
				s.Say(tt.say)
			}
			frame := s.frame(s.Board.Look(at), 83*time.Second)
			body := strings.TrimSuffix(strings.TrimPrefix(frame, home), frameEnd)
			lines := strings.Split(body, lineEnd)
			if len(lines) != tt.rows {
				t.Errorf("%d lines on a terminal of %d", len(lines), tt.rows)
			}
			for _, line := range lines {
				if n := utf8.RuneCountInString(line); !tt.colour && n > tt.columns {
					t.Errorf("%d columns on a terminal of %d: %s", n, tt.columns, line)
				}
			}
			golden(t, tt.name, strings.ReplaceAll(strings.Join(lines, "\n"), "\x1b", "␛")+"\n")
		})
	}
}

func TestPlain(t *testing.T) {
	s := screen(fixed(true), 80, 24, false)
	s.terminal = false
	golden(t, "plain", s.opening()+s.plain(s.Board.Look(at)))
}

func TestAccount(t *testing.T) {
	none := NewBoard(Sources{
		Written: func() []Written { return []Written{{Workload: "idle"}} },
		Rows:    func() []pipeline.Row { return nil },
	})
	dropped := fixed(false)
	rows := dropped.sources.Rows()
	rows[1].Delivered = count(980, 179_000)
	rows[1].Dropped[pipeline.TooLarge] = count(7, 1_000)
	rows[1].Dropped[pipeline.MaxLine] = count(0, 11)
	vanished := fixed(false)
	vanished.sources.Sums = func() (s pipeline.Sums) { s.Lost[pipeline.LostDeleted] = 77; return s }
	for _, tt := range []struct {
		name  string
		board *Board
		want  bool
	}{
		{"account-good", fixed(false), true},
		{"account-bad", fixed(true), false},
		{"account-none", none, true},
		{"account-dropped", dropped, true},
		{"account-vanished", vanished, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			ok, err := Account(&b, tt.board.Look(at))
			if ok != tt.want || err != nil {
				t.Errorf("Account: %v, %v", ok, err)
			}
			for line := range strings.Lines(b.String()) {
				if n := utf8.RuneCountInString(line) - 1; n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			golden(t, tt.name, b.String())
		})
	}
	if _, err := Account(broken{}, fixed(false).Look(at)); err == nil {
		t.Error("a writer's error is not told")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestRun(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			s := screen(fixed(true), 80, 24, false)
			s.terminal, s.out = terminal, &out
			ctx, cancel := context.WithTimeout(t.Context(), 4100*time.Millisecond)
			defer cancel()
			time.AfterFunc(3*time.Second, func() { s.Say("Draining.") })
			if err := s.Run(ctx); err != nil {
				t.Fatal(err)
			}
			text := out.String()
			if !terminal {
				if n := strings.Count(text, "\n"); n != 5 || strings.Contains(text, "\x1b") || strings.Count(text, "Draining.") != 1 {
					t.Errorf("%d lines in 4 s without a terminal:\n%s", n, text)
				}
				return
			}
			if !strings.HasPrefix(text, enter+home) || !strings.HasSuffix(text, frameEnd+leave) {
				t.Errorf("the terminal is not left as it was: %q", text)
			}
			if n := strings.Count(text, home); n != 21 {
				t.Errorf("%d frames in 4 s, want 21", n)
			}
			if !strings.Contains(text, hint) || !strings.Contains(text, "Draining.") {
				t.Error("the last line is wrong")
			}
		})
	}
	s := screen(fixed(true), 80, 24, false)
	s.out = broken{}
	if err := s.Run(t.Context()); err == nil {
		t.Error("a terminal that is gone is not told")
	}
}

func TestAbilities(t *testing.T) {
	for _, tt := range []struct {
		terminal        bool
		term, noColor   string
		inPlace, colour bool
	}{
		{true, "xterm", "", true, true},
		{true, "xterm", "1", true, false},
		{true, "dumb", "", false, false},
		{true, "", "", false, false},
		{false, "xterm", "", false, false},
	} {
		env := map[string]string{"TERM": tt.term, "NO_COLOR": tt.noColor}
		inPlace, colour := abilities(tt.terminal, func(k string) string { return env[k] })
		if inPlace != tt.inPlace || colour != tt.colour {
			t.Errorf("%+v: %v, %v", tt, inPlace, colour)
		}
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := NewScreen(f, func(string) string { return "xterm" }, Header{}, fixed(false), new(Events))
	if c, r := s.size(); s.Terminal() || c != 80 || r != 24 {
		t.Errorf("a file: terminal %v, %d x %d", s.Terminal(), c, r)
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range [][2]string{
		{fit(123_456_789, 11), "123,456,789"}, {fit(1_234_567_890, 10), "1234.6M"}, {fit(123_456_789, 8), "123.5M"}, {fit(12_345, 5), "12.3k"},
		{size(0), "0 B"}, {size(1023), "1023 B"}, {size(1024), "1.0 KiB"}, {size(1<<20 - 1), "1.0 MiB"}, {size(190_000_000_000), "177.0 GiB"}, {size(1 << 62), "4096.0 PiB"},
		{span(-time.Second), "0.0 s"}, {span(1449 * time.Millisecond), "1.4 s"}, {span(59_960 * time.Millisecond), "0m59s"},
		{span(245 * time.Second), "4m05s"}, {span(3*time.Hour + 12*time.Minute), "3h12m"},
		{clock(9900 * time.Millisecond), "9s"}, {clock(83 * time.Second), "1m23s"},
	} {
		if tt[0] != tt[1] {
			t.Errorf("got %q, want %q", tt[0], tt[1])
		}
	}
}
