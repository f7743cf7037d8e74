package pipeline

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// A limitedStore answers as Loki does: a stream that is above its limit is refused as a whole, and only the last stream of
// a request has a say in the answer. A target's stream is its name up to a dash.
type limitedStore struct {
	mu     sync.Mutex
	rate   float64                            // bytes a second; five times that at once
	trip   func() (there, back time.Duration) // of a request and its answer
	fails  func() (stored, answered bool)
	used   map[string]float64
	at     map[string]time.Time
	lines  map[string][]string      // stored, by target
	has    map[string]bool          // the same as a set
	took   map[string]time.Duration // from the line's own time until it was stored, the longest by target
	silent int                      // streams with new lines that were refused without a word
}

func newLimitedStore(rate float64) *limitedStore {
	return &limitedStore{
		rate:  rate,
		trip:  func() (there, back time.Duration) { return 0, 0 },
		fails: func() (stored, answered bool) { return true, true },
		used:  map[string]float64{}, at: map[string]time.Time{}, lines: map[string][]string{}, has: map[string]bool{}, took: map[string]time.Duration{},
	}
}

func streamOf(target string) string { name, _, _ := strings.Cut(target, "-"); return name }

func (st *limitedStore) answer(_ context.Context, body string) Answer {
	st.mu.Lock()
	there, back := st.trip()
	stored, answered := st.fails()
	st.mu.Unlock()
	time.Sleep(there)
	last := accepted
	if stored {
		last = st.push(body)
	}
	time.Sleep(back)
	if !stored || !answered {
		return down
	}
	return last
}

// push stores a request stream by stream, in the order of their first lines.
func (st *limitedStore) push(body string) (last Answer) {
	st.mu.Lock()
	defer st.mu.Unlock()
	var order []string
	streams := map[string][]string{}
	for line := range strings.Lines(body) {
		target, _, _ := strings.Cut(line, ":")
		name := streamOf(target)
		if streams[name] == nil {
			order = append(order, name)
		}
		streams[name] = append(streams[name], strings.TrimSpace(line))
	}
	silent := 0
	for i, name := range order {
		bytes, lost := 0, 0
		for _, line := range streams[name] {
			_, text, _ := strings.Cut(line, ":")
			bytes += len(text)
			if !st.has[line] {
				lost = 1
			}
		}
		now := time.Now()
		st.used[name] = max(0, st.used[name]-now.Sub(st.at[name]).Seconds()*st.rate)
		st.at[name] = now
		if last = accepted; st.used[name]+float64(bytes) > 5*st.rate {
			last = oneIsBad
			if i+1 < len(order) {
				silent += lost
			}
			continue
		}
		st.used[name] += float64(bytes)
		for _, line := range streams[name] {
			target, text, _ := strings.Cut(line, ":")
			if !st.has[line] {
				st.has[line] = true
				st.lines[target] = append(st.lines[target], text)
				st.took[target] = max(st.took[target], now.Sub(time.Unix(0, timeOf(text))))
			}
		}
	}
	st.silent += silent
	return last
}

// refusals is how many streams were refused without a word.
func (st *limitedStore) refusals() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.silent
}

// verify wants all lines of a target, once and in order.
func (st *limitedStore) verify(t *testing.T, target string, lines []string) {
	t.Helper()
	st.mu.Lock()
	defer st.mu.Unlock()
	if got := st.lines[target]; strings.Join(got, "\n") != strings.Join(lines, "\n") {
		i := 0
		for i < min(len(got), len(lines)) && got[i] == lines[i] {
			i++
		}
		t.Errorf("%s: the store has %d lines, of which %d are the first %d that were written", target, len(got), i, len(lines))
	}
}
