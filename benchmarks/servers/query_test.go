package servers

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A fakeLoki answers range queries from a list of lines as Loki does: the first of the range, up to the limit, by
// stream, and none at all where the answer would be larger than a message may be.
type fakeLoki struct {
	lines   []fakeLine // in order of time
	largest int        // bytes of lines in an answer, 0 for no limit
	pages   int
}

type fakeLine struct {
	time         int64
	stream, text string
}

func (f *fakeLoki) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.pages++
	at := func(name string) int64 {
		t, err := time.Parse(time.RFC3339Nano, r.FormValue(name))
		if err != nil {
			panic(err)
		}
		return t.UnixNano()
	}
	start, end := at("start"), at("end")
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil {
		panic(err)
	}
	values := make(map[string][]any)
	n, size := 0, 0
	for _, l := range f.lines {
		if l.time >= start && l.time < end && n < limit {
			values[l.stream] = append(values[l.stream], []any{strconv.FormatInt(l.time, 10), l.text, map[string]any{}})
			n++
			size += len(l.text)
		}
	}
	if f.largest > 0 && size > f.largest {
		http.Error(w, "rpc error: trying to send message larger than max", http.StatusInternalServerError)
		return
	}
	var result []any
	for stream, v := range values {
		result = append(result, map[string]any{"stream": map[string]string{"s": stream}, "values": v})
	}
	json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"resultType": "streams", "result": result}})
}

func query(t *testing.T, f *fakeLoki, start, end int64) ([]Stream, error) {
	srv := httptest.NewServer(f)
	defer srv.Close()
	l := &Loki{URL: srv.URL, client: srv.Client()}
	return l.Query(t.Context(), `{s=~".+"}`, time.Unix(0, start), time.Unix(0, end))
}

func TestQueryReadsEveryLineOnce(t *testing.T) {
	const start, end = 1_000, 2_000_000
	for _, tc := range []struct {
		name     string
		lines    int
		times    int64 // lines share so many times
		largest  int   // bytes an answer may hold; a line has 8
		atLeast  int   // pages
		tooLarge bool
	}{
		{name: "none", lines: 0, times: 1, atLeast: 1},
		{name: "one", lines: 1, times: 1, atLeast: 1},
		{name: "exactly a page", lines: pageLimit, times: 1_000_000, atLeast: 2},
		{name: "a page and one", lines: pageLimit + 1, times: 1_000_000, atLeast: 2},
		{name: "many pages", lines: 6 * pageLimit, times: 1_000_000, atLeast: 6},
		{name: "few times", lines: 4 * pageLimit, times: 20, atLeast: 4},
		{name: "more at one time than a page holds", lines: 4 * pageLimit, times: 2, atLeast: 3},
		{name: "one time", lines: 3*pageLimit + 7, times: 1, atLeast: 3},
		{name: "small answers", lines: 2 * pageLimit, times: 1_000_000, largest: 8 * 100, atLeast: 100},
		{name: "small answers and few times", lines: pageLimit, times: 100, largest: 8 * 200, atLeast: 25},
		{name: "one time too large for an answer", lines: pageLimit, times: 1, largest: 8 * 100, tooLarge: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			f := &fakeLoki{largest: tc.largest}
			for range tc.lines {
				f.lines = append(f.lines, fakeLine{time: start + random.Int64N(tc.times), stream: string('a' + rune(random.IntN(3)))})
			}
			slices.SortStableFunc(f.lines, func(a, b fakeLine) int { return int(a.time - b.time) })
			want := map[string][]Entry{}
			for i := range f.lines {
				l := &f.lines[i]
				l.text = fmt.Sprintf("%08d", i)
				want[l.stream] = append(want[l.stream], Entry{Time: l.time, Line: l.text})
			}
			// What lies outside the range must not be found.
			f.lines = append(f.lines, fakeLine{time: end, stream: "a", text: "at the end"})
			f.lines = slices.Insert(f.lines, 0, fakeLine{time: start - 1, stream: "a", text: "before"})

			streams, err := query(t, f, start, end)
			if tc.tooLarge {
				if err == nil || !strings.Contains(err.Error(), "larger than max") {
					t.Fatalf("error %v, want Loki's own", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]Entry{}
			for _, s := range streams {
				got[s.Labels["s"]] = append(got[s.Labels["s"]], s.Entries...)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("read %d, %d, %d lines, want %d, %d, %d, or in another order",
					len(got["a"]), len(got["b"]), len(got["c"]), len(want["a"]), len(want["b"]), len(want["c"]))
			}
			if f.pages < tc.atLeast {
				t.Errorf("%d pages: the test wants at least %d", f.pages, tc.atLeast)
			}
		})
	}
}

func TestQueryErrors(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		code       int
		want       string
	}{
		{"refused", "parse error : syntax error", 400, "answer 400: parse error"},
		{"a metric", `{"data":{"resultType":"matrix","result":[]}}`, 200, "only a query for lines"},
		{"not JSON", "<html>", 200, "invalid character"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.code)
				fmt.Fprint(w, tc.body)
			}))
			defer srv.Close()
			l := &Loki{URL: srv.URL, client: srv.Client()}
			_, err := l.Query(t.Context(), `{}`, time.Unix(0, 0), time.Unix(1, 0))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
}
