package receiver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leatd/leat/collector/simulate"
	"github.com/leatd/leat/sinks/sinktest"
)

// A Question says what must have come.
type Question struct {
	Lines  map[string]int64 // that were written, by NAMESPACE/POD/CONTAINER; they are numbered from 0
	Stores int              // how many stores must have them, each for itself; 0 is one
	From   int64            // latencies are taken of lines that were written at or after it, nanoseconds since the Unix epoch
}

// A Report is what the bodies hold, over all stores.
type Report struct {
	Status
	Lines      int64 // that were asked for, and came; each counted once a store
	Bytes      int64 // of their texts
	Missing    int64 // that were asked for, and did not
	Duplicate  int64 // lines that had come before
	OutOfOrder int64 // lines that came after a later one of their container; with Loki, of their stream
	Foreign    int64 // lines that nobody wrote
	P50, P99   time.Duration
	Trouble    []string // a few of the lines' sources with what is wrong with them, and bodies that could not be read
}

// OK says that every line came exactly once and in order, and nothing else.
func (r Report) OK() bool {
	return r.Missing+r.Duplicate+r.OutOfOrder+r.Foreign == 0 && len(r.Trouble) == 0
}

// maxTrouble is how much of it is told.
const maxTrouble = 5

// Check looks into everything that has come so far. A line's latency is from the time that it carries, which is when it
// was written, to the arrival of the body that it came in.
func (r *Receiver) Check(q Question) Report {
	r.mu.Lock()
	arrivals := slices.Clone(r.arrivals)
	r.mu.Unlock()
	report := Report{Status: r.Status()}
	stores := map[string]*shelf{}
	var latencies []int64
	for _, a := range arrivals {
		s := stores[a.store]
		if s == nil {
			s = &shelf{from: q.From}
			s.verify.PerStream = strings.HasPrefix(a.kind, "loki") // it keeps the streams apart
			s.decoder = sinktest.NewDecoder(s.line)
			for key, n := range q.Lines {
				s.verify.Expect(key, n)
			}
			stores[a.store] = s
		}
		s.at = a.at
		if err := s.decoder.Decode(a.kind, a.encoding, a.body); err != nil {
			report.trouble(fmt.Sprintf("a body of %d bytes: %v", len(a.body), err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		s := stores[name]
		latencies = append(latencies, s.latencies...)
		for _, result := range s.verify.Results() {
			report.add(name, result)
		}
	}
	var each int64
	for _, n := range q.Lines {
		each += n
	}
	for n := len(stores); n < max(q.Stores, 1); n++ {
		report.Missing += each
		report.trouble(fmt.Sprintf("nothing came to %d of %d stores", max(q.Stores, 1)-n, max(q.Stores, 1)))
	}
	report.P50, report.P99 = quantiles(latencies)
	return report
}

func (r *Report) add(store string, v simulate.Result) {
	r.Lines += v.Arrived
	r.Bytes += v.Bytes
	r.Missing += v.Missing
	r.Duplicate += v.Duplicate
	r.OutOfOrder += v.OutOfOrder
	r.Foreign += v.Foreign
	if !v.OK() {
		r.trouble(storeName(store) + ": " + v.String())
	}
}

func (r *Report) trouble(what string) {
	if len(r.Trouble) < maxTrouble {
		r.Trouble = append(r.Trouble, what)
	}
}

// A shelf is what is known of one store while its bodies are read.
type shelf struct {
	verify    simulate.Verifier
	decoder   *sinktest.Decoder
	at        int64 // when the body at hand came
	from      int64
	latencies []int64 // nanoseconds
}

func (s *shelf) line(source *sinktest.Source, at int64, line []byte) {
	key, ok := source.Data.(string)
	if !ok {
		key = source.Namespace + "/" + source.Pod + "/" + source.Container
		source.Data = key
	}
	stream := simulate.Stdout
	if source.Stream == "stderr" {
		stream = simulate.Stderr
	}
	s.verify.Add(key, stream, line)
	if at >= s.from {
		s.latencies = append(s.latencies, s.at-at)
	}
}

// quantiles are the median and the 99th percentile, by the nearest rank.
func quantiles(ns []int64) (p50, p99 time.Duration) {
	if len(ns) == 0 {
		return 0, 0
	}
	slices.Sort(ns)
	rank := func(percent int) time.Duration { return time.Duration(ns[(len(ns)*percent+99)/100-1]) }
	return rank(50), rank(99)
}
