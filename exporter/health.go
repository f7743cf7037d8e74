package exporter

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatd/leat/pipeline"
)

// hangsAfter is how long a goroutine may be busy without passing its loop.
const hangsAfter = time.Minute

// Health watches goroutines. leatd is healthy unless one of them has been busy for a minute without passing its loop:
// only then does a restart help. One that waits, for whatever and however long, is healthy.
type Health struct {
	mu    sync.Mutex
	beats []named // in the order in which they came
}

type named struct {
	name string
	beat *pipeline.Beat
}

// Beat returns the beat of the goroutine of that name, the same one each time: a stage that comes back after it was
// stopped goes on with its old beat. A goroutine that ends must leave its beat waiting.
func (h *Health) Beat(name string) *pipeline.Beat {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.beats {
		if n.name == name {
			return n.beat
		}
	}
	b := new(pipeline.Beat)
	h.beats = append(h.beats, named{name, b})
	return b
}

// hanging lists who has been busy for too long, and for how long.
func (h *Health) hanging() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, n := range h.beats {
		since, busy := n.beat.Since()
		if !busy {
			continue
		}
		if d := time.Since(since); d >= hangsAfter {
			list = append(list, fmt.Sprintf("%s: for %s, since %s",
				n.name, d.Truncate(time.Second), time.Now().Add(-d).UTC().Format(time.RFC3339)))
		}
	}
	return list
}

func (h *Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	probe(w, "leatd is healthy.", "leatd hangs. These goroutines have not passed their loop:", h.hanging())
}

// Ready is a set of conditions that must come true once before leatd is ready. What happens later changes nothing, least
// of all the state of a sink.
type Ready struct {
	mu      sync.Mutex
	names   []string
	missing []string
}

// NewReady makes the set. Without conditions leatd is ready.
func NewReady(conditions ...string) *Ready {
	return &Ready{names: slices.Clone(conditions), missing: slices.Clone(conditions)}
}

// Set says that a condition has come true. It must be one of those that NewReady was given.
func (r *Ready) Set(condition string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.names, condition) {
		panic(fmt.Sprintf("ready: %q is not one of the conditions %q", condition, r.names))
	}
	r.missing = slices.DeleteFunc(r.missing, func(name string) bool { return name == condition })
}

func (r *Ready) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	missing := slices.Clone(r.missing)
	r.mu.Unlock()
	probe(w, "leatd is ready.", "leatd is not ready. Still to come:", missing)
}

// probe answers a probe: 200 with the good news, or 503 with the bad and what it is about, a line each.
func probe(w http.ResponseWriter, good, bad string, about []string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if len(about) == 0 {
		fmt.Fprintln(w, good)
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintf(w, "%s\n  %s\n", bad, strings.Join(about, "\n  "))
}
