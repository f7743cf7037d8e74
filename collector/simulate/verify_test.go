package simulate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestVerifier(t *testing.T) {
	out := func(seqs ...int64) []string {
		var lines []string
		for _, s := range seqs {
			lines = append(lines, "o"+string(AppendSeq(nil, s)))
		}
		return lines
	}
	tests := []struct {
		name      string
		expect    int64
		perStream bool
		lines     []string // beginning with e: of standard error
		want      string
	}{
		{"all", 3, false, out(0, 1, 2), "t: 3 of 3 lines arrived, 0 missing, 0 duplicate, 0 out of order, 0 foreign"},
		{"nothing", 3, false, nil, "t: 0 of 3 lines arrived, 3 missing, 0 duplicate, 0 out of order, 0 foreign; first missing: 0"},
		{"one missing", 3, false, out(0, 2), "t: 2 of 3 lines arrived, 1 missing, 0 duplicate, 0 out of order, 0 foreign; first missing: 1"},
		{"the last missing", 3, false, out(0, 1), "t: 2 of 3 lines arrived, 1 missing, 0 duplicate, 0 out of order, 0 foreign; first missing: 2"},
		{"a duplicate below, one beyond a gap", 4, false, out(0, 0, 2, 2, 3), "t: 3 of 4 lines arrived, 1 missing, 2 duplicate, 0 out of order, 0 foreign; first missing: 1"},
		{"out of order", 4, false, out(0, 3, 1, 2), "t: 4 of 4 lines arrived, 0 missing, 0 duplicate, 2 out of order, 0 foreign"},
		{"sent again from the start", 3, false, out(0, 1, 0, 1, 2), "t: 3 of 3 lines arrived, 0 missing, 2 duplicate, 0 out of order, 0 foreign"},
		{"never written", 2, false, out(0, 1, 2, 900_000_000_000), `t: 2 of 2 lines arrived, 0 missing, 0 duplicate, 0 out of order, 2 foreign; first foreign: "o seq=000000002"`},
		{"no number", 1, false, append(out(0), "hello"), `t: 1 of 1 lines arrived, 0 missing, 0 duplicate, 0 out of order, 1 foreign; first foreign: "hello"`},
		{"nobody expected it", 0, false, out(0), "t: 0 of 0 lines arrived, 0 missing, 0 duplicate, 0 out of order, 1 foreign"},
		{"streams apart, not per stream", 4, false, []string{"e seq=1", "e seq=3", "o seq=0", "o seq=2"}, "t: 4 of 4 lines arrived, 0 missing, 0 duplicate, 2 out of order, 0 foreign"},
		{"streams apart, per stream", 4, true, []string{"e seq=1", "e seq=3", "o seq=0", "o seq=2"}, "t: 4 of 4 lines arrived, 0 missing, 0 duplicate, 0 out of order, 0 foreign"},
		{"out of order within a stream", 4, true, []string{"e seq=3", "e seq=1", "o seq=0", "o seq=2"}, "t: 4 of 4 lines arrived, 0 missing, 0 duplicate, 1 out of order, 0 foreign"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &Verifier{PerStream: tt.perStream}
			if tt.expect > 0 {
				v.Expect("t", tt.expect)
			}
			for _, line := range tt.lines {
				s := Stdout
				if line[0] == 'e' {
					s = Stderr
				}
				v.Add("t", s, []byte(line))
			}
			rs := v.Results()
			if len(rs) != 1 || rs[0].String() != tt.want {
				t.Errorf("got  %v\nwant %s", rs, tt.want)
			}
			clean := strings.Contains(tt.want, "0 missing, 0 duplicate, 0 out of order, 0 foreign")
			if err := v.Err(); (err == nil) != clean {
				t.Errorf("Err() = %v", err)
			}
		})
	}
}

func TestVerifierErr(t *testing.T) {
	v := new(Verifier)
	for i := range 12 {
		v.Expect(fmt.Sprintf("t%02d", i), int64(i))
	}
	err := v.Err() // t00 expects nothing
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 11 || lines[10] != "and 1 targets more" {
		t.Errorf("Err() = %v", err)
	}
}

// Against a map that remembers everything: numbers in disorder, with gaps and repetitions, over many pages.
func TestVerifierModel(t *testing.T) {
	for seed := range uint64(24) {
		rng := rand.New(rand.NewPCG(seed, 2))
		n := int64(1 + rng.IntN(5*pageLines))
		order := make([]int64, 0, n)
		for i := range n {
			if rng.IntN(1000) > int(seed%3) {
				order = append(order, i)
			}
			if rng.IntN(50) == 0 {
				order = append(order, rng.Int64N(n+10))
			}
		}
		switch span := []int{0, 30, 3 * pageLines, len(order)}[seed%4]; {
		case span == len(order):
			rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		case span > 0:
			for range len(order) {
				i := rng.IntN(len(order))
				j := min(i+rng.IntN(span), len(order)-1)
				order[i], order[j] = order[j], order[i]
			}
		}
		v := new(Verifier)
		seen := map[int64]bool{}
		want := Result{Target: "t", Expected: n, FirstGap: -1}
		highest := int64(-1)
		for _, seq := range order {
			line := AppendSeq(nil, seq)
			v.Add("t", Stdout, line)
			switch {
			case seen[seq]:
				want.Duplicate++
				continue
			case seq < highest:
				want.OutOfOrder++
			}
			if seq >= n {
				want.Foreign++
			} else {
				want.Arrived++
			}
			seen[seq] = true
			highest = max(highest, seq)
			want.Bytes += int64(len(line))
		}
		want.Missing = n - want.Arrived
		for i := range n {
			if !seen[i] {
				want.FirstGap = i
				break
			}
		}
		v.Expect("t", n)
		if got := v.Results()[0]; got != want {
			t.Fatalf("seed %d:\ngot  %+v\nwant %+v", seed, got, want)
		}
		if p := v.targets["t"]; want.Missing == 0 && want.Foreign == 0 && len(p.pages) != 0 {
			t.Errorf("seed %d: %d pages are kept though nothing is missing", seed, len(p.pages))
		}
	}
}

func TestVerifierAllocates(t *testing.T) {
	v, line, seq := new(Verifier), make([]byte, 0, 64), int64(0)
	v.Expect("t", 1)
	if n := testing.AllocsPerRun(1000, func() {
		line = AppendSeq(line[:0], seq)
		v.Add("t", Stdout, line)
		seq++
	}); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func BenchmarkVerifier(b *testing.B) {
	v, lines, seq := new(Verifier), NewLines(JSON, 1), int64(0)
	line, _ := lines.Append(nil, start)
	line = append(line, make([]byte, 32)...)[:len(line)]
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		v.Add("t", Stdout, AppendSeq(line[:len(line)-10], seq))
		seq++
	}
}
