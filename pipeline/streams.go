package pipeline

import (
	"sync"
	"weak"
)

// Streams are those of one sink, by their labels. A stream lives as long as some target's description refers to it: that
// is minutes after the target is gone, when its bucket has long been empty.
type Streams struct {
	rate  int64
	start int64 // in ticks

	mu       sync.Mutex // taken when a target is found
	byLabels map[string]weak.Pointer[Stream]
	sweepAt  int // so many, and those that are no more are thrown out
}

const sweepLeast = 64

// NewStreams makes streams for a store that takes so many bytes a second of each, and five times that at once. What it
// counts of a line is its body and Description.PerLine.
func NewStreams(rate int64) *Streams {
	return &Streams{rate: rate, start: ticks(), byLabels: make(map[string]weak.Pointer[Stream]), sweepAt: sweepLeast}
}

// Of is the stream with those labels. Any goroutine may ask.
func (all *Streams) Of(labels string) *Stream {
	all.mu.Lock()
	defer all.mu.Unlock()
	if s := all.byLabels[labels].Value(); s != nil {
		return s
	}
	if len(all.byLabels) >= all.sweepAt {
		for key, p := range all.byLabels {
			if p.Value() == nil {
				delete(all.byLabels, key)
			}
		}
		all.sweepAt = max(sweepLeast, 2*len(all.byLabels))
	}
	s := newStream(all.rate, all.start)
	all.byLabels[labels] = weak.Make(s)
	return s
}
