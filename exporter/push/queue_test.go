package push

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

// TestMemoryFull: the oldest bodies in memory go, but neither the one that is being sent nor any of the newest gathering.
func TestMemoryFull(t *testing.T) {
	q := newQueue(0)
	const half = mostMemory / 2
	for _, c := range []struct {
		name    string
		before  func()
		round   uint64
		dropped int64
		pending int64
	}{
		{"room for two", nil, 1, 0, 10},
		{"room for two", nil, 1, 0, 20},
		{"a gathering that is larger than the memory", nil, 1, 0, 30},
		{"another one", nil, 2, 20, 20},
		{"the oldest is being sent, all others are of the newest", func() { q.take(0) }, 2, 0, 30},
		{"the oldest is being sent, those behind it are old", nil, 3, 20, 20},
		{"the oldest is not sent any more", q.release, 3, 10, 20},
	} {
		if c.before != nil {
			c.before()
		}
		if dropped := q.put(c.round, time.Now(), make([]byte, half), 10); dropped != c.dropped || q.pending != c.pending || q.dropped[pipeline.SpoolFull] != q.samples-c.pending {
			t.Errorf("%s: %d dropped, %+v", c.name, dropped, q.account)
		}
		if err := q.wrong(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
	}
}

// TestMarksInFullMemory: the marks of the end do not drive out the gathering that they follow.
func TestMarksInFullMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newMemDisk(), 0, &fakeSink{answer: hang, parts: 3, pad: mostMemory / 2}).run()
		r.at(0)
		r.end(time.Second)
		if f := r.figures(); f.samples != 70 || f.dropped[pipeline.SpoolFull] != 20 || f.pending != 50 { // the first was being sent
			t.Errorf("%+v", f)
		}
	})
}
