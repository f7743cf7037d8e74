package spool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/leatd/leat/pipeline"
)

// stateJSON is what is saved of a spool, on one line:
//
//	{"position":12,"next":40,"targets":[{"target":"NS_POD_UID/CONTAINER","record":14,"segment":3,"delivered_lines":7,…},…],"ended":{…}}
//
// All records before the position are settled. Of a target with a record, so are all segments before that record, and in
// it those before that segment. No record has had a number from next on. Those from void to next were never acknowledged.
type stateJSON struct {
	Position uint64       `json:"position"`
	Next     uint64       `json:"next"`
	Void     uint64       `json:"void"`
	Targets  []targetJSON `json:"targets"`
	Ended    totalsJSON   `json:"ended"`
}

type targetJSON struct {
	Target      string `json:"target"`
	TargetBytes []byte `json:"target_bytes"` // instead, in base64, where a path is no UTF-8
	Record      uint64 `json:"record"`
	Segment     int    `json:"segment"`
	totalsJSON
}

type totalsJSON struct {
	DeliveredLines int64 `json:"delivered_lines"`
	DeliveredBytes int64 `json:"delivered_bytes"`
	DroppedLines   int64 `json:"dropped_lines"`
	DroppedBytes   int64 `json:"dropped_bytes"`
}

// remains is what was saved of a target.
type remains struct {
	settled spot
	totals  pipeline.Totals
}

// parseState takes up what was saved. Nothing saved is the state of a spool that is new.
func parseState(text []byte) (state stateJSON, left map[string]remains, err error) {
	left = make(map[string]remains)
	if len(text) == 0 {
		return state, left, nil
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return stateJSON{}, left, fmt.Errorf("saved state: %w", err)
	}
	state.Position = min(state.Position, state.Next)
	for _, t := range state.Targets {
		key := t.Target
		if len(t.TargetBytes) > 0 {
			key = string(t.TargetBytes)
		}
		left[key] = remains{spot{t.Record, t.Segment}, t.totals()}
	}
	return state, left, nil
}

func (j totalsJSON) totals() pipeline.Totals {
	return pipeline.Totals{
		Delivered: pipeline.Count{Lines: j.DeliveredLines, Bytes: j.DeliveredBytes},
		Dropped:   pipeline.Count{Lines: j.DroppedLines, Bytes: j.DroppedBytes},
	}
}

// State is what has to be saved with the cursors: ask for them first, since what moved a cursor may have moved the spool
// before. Without a change since the last call it is the same slice again.
func (s *Spool) State() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version == s.written {
		return s.state
	}
	if s.keys == nil {
		s.keys = slices.Sorted(maps.Keys(s.targets))
	}
	s.offered = s.position()
	out := make([]byte, 0, len(s.state)+256) // the last one is with the saver
	out = appendNumber(append(out, '{'), "position", s.offered)
	out = appendNumber(append(out, ','), "next", s.next)
	if s.last < s.next {
		out = appendNumber(append(out, ','), "void", s.last)
	}
	sep := `,"targets":[`
	for _, key := range s.keys {
		t := s.targets[key]
		marked := t.settled.number >= s.offered
		if !marked && t.totals == (pipeline.Totals{}) {
			continue
		}
		out = append(append(append(out, sep...), '{'), t.quoted...)
		if marked {
			out = appendNumber(append(out, ','), "record", t.settled.number)
			out = appendNumber(append(out, ','), "segment", uint64(t.settled.index))
		}
		out = append(appendTotals(out, t.totals, true), '}')
		sep = ","
	}
	if sep == "," {
		out = append(out, ']')
	}
	out = append(out, `,"ended":{`...)
	out = append(appendTotals(out, s.ended, false), "}}"...)
	s.state, s.written = out, s.version
	return s.state
}

// position is the number of the oldest record in which something is not settled. Call it with mu held.
func (s *Spool) position() uint64 {
	oldest := s.main.number
	for _, t := range s.targets {
		if t.aside && t.held.segments > 0 {
			oldest = min(oldest, t.from.number)
		}
		for _, f := range t.flights {
			if f.epoch == t.epoch && !f.place.file.gone { // of an older epoch, it is read again
				oldest = min(oldest, f.place.number)
			}
		}
	}
	return oldest
}

// Saved says that what State returned last is on disk, so that files which are settled by it can go.
func (s *Spool) Saved() {
	s.mu.Lock()
	s.saved = max(s.saved, s.offered)
	s.mu.Unlock()
	s.sweep()
}

// Totals are the lifetime's, however often leatd was restarted: of each target that has had something in the spool
// lately, by its key, and the sum of all others. They count what was settled out of the spool and nothing else, so they
// are to be added to those of the cursors.
func (s *Spool) Totals() (targets map[string]pipeline.Totals, ended pipeline.Totals) {
	s.mu.Lock()
	defer s.mu.Unlock()
	targets = make(map[string]pipeline.Totals, len(s.targets))
	for key, t := range s.targets {
		targets[key] = t.totals
	}
	return targets, s.ended
}

// quoteKey is a target's key as a member of a JSON object.
func quoteKey(key string) []byte {
	name, value := `"target":`, any(key)
	if !utf8.ValidString(key) {
		name, value = `"target_bytes":`, []byte(key)
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic("spool: a key that JSON cannot hold: " + err.Error())
	}
	return append([]byte(name), bytes.TrimSpace(text)...)
}

func appendNumber(out []byte, name string, v uint64) []byte {
	out = append(append(append(out, '"'), name...), `":`...)
	return strconv.AppendUint(out, v, 10)
}

// appendTotals writes those that are not 0.
func appendTotals(out []byte, t pipeline.Totals, more bool) []byte {
	for _, m := range [...]struct {
		name string
		n    int64
	}{
		{"delivered_lines", t.Delivered.Lines}, {"delivered_bytes", t.Delivered.Bytes},
		{"dropped_lines", t.Dropped.Lines}, {"dropped_bytes", t.Dropped.Bytes},
	} {
		if m.n != 0 {
			if more {
				out = append(out, ',')
			}
			out = appendNumber(out, m.name, uint64(m.n))
			more = true
		}
	}
	return out
}
