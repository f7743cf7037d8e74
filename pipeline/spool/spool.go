package spool

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatd/leat/pipeline"
)

// Options are what a spool is made with.
type Options struct {
	Dir          string
	MaxBytes     int64 // on disk, of all that is in the folder
	DropOldest   bool  // when it is full: drop the oldest lines, instead of taking no more
	SegmentBytes int64 // of a file, about; default 16 MiB, or an eighth of MaxBytes if that is less

	// State is what was saved of the spool; nil the first time. After is the highest record that any cursor knows.
	State []byte
	After uint64

	// Target brings a target up to date that an earlier life has written: its labels are those of today. It may be nil.
	Target func(saved *pipeline.Target) *pipeline.Target

	// Cover is told of all intact segments on disk in their order, before any cursor is used: they need not be read from
	// their files again. It may be nil.
	Cover func(key string, s *pipeline.Segment)

	Log *slog.Logger

	disk   disk                              // of tests; default the node's
	jitter func(time.Duration) time.Duration // any below that; likewise
}

// A Spool is a pipeline.Spool. See the package comment for its locks.
type Spool struct {
	Options

	appending sync.Mutex // held by whoever writes files or removes them; guards what follows
	out       diskFile   // the last file, if it was made by this life and nothing ever failed in it; else nil
	trash     []*file    // to be removed
	stuck     bool       // the log has heard that files can't be removed
	drops     bool       // the log has heard that lines are dropped
	dropping  walk
	parcel    parcel

	woken atomic.Bool

	mu     sync.Mutex // guards what follows; never held while a disk is asked
	track  func(*pipeline.Target) *pipeline.LaneTarget
	forget func(*pipeline.LaneTarget)
	bell   *pipeline.Bell
	reader *reader

	files   []*file // oldest first; the list belongs to appending too, and changes only under both
	litter  int64   // bytes of trash
	next    uint64  // the number of the next record
	last    uint64  // behind the last acknowledged one
	main    place   // where the reader is, but for targets that are aside
	aside   []*target
	flying  int    // segments under way
	held    int64  // segments not settled
	dooming bool   // a file is being dropped
	blind   []span // of record numbers whose segments nobody could count
	targets map[string]*target
	keys    []string // sorted; nil if they have to be sorted again
	ended   pipeline.Totals
	records int64
	damaged int64

	shedding time.Time // when to look next for targets to let go

	version, written uint64 // of what is saved, and of state
	state            []byte
	offered, saved   uint64 // positions: in state, and on disk
}

// A place is where a record begins, or what is damaged before it.
type place struct {
	file   *file
	off    int64
	number uint64 // of the record that is expected there
}

// A span is the numbers from its first to before its last.
type span struct{ from, to uint64 }

const defaultSegment = 16 << 20

func (o Options) withDefaults() Options {
	o.SegmentBytes = cmp.Or(o.SegmentBytes, max(1, min(defaultSegment, o.MaxBytes/8)))
	if o.disk == nil {
		o.disk = realDisk{}
	}
	if o.jitter == nil {
		o.jitter = rand.N[time.Duration]
	}
	return o
}

// Open begins the reader. Its targets' rows are made here, and later when a target first comes: track and forget are called
// with the spool locked, so they must not call it.
func (s *Spool) Open(track func(*pipeline.Target) *pipeline.LaneTarget, forget func(*pipeline.LaneTarget), bell *pipeline.Bell, beat *pipeline.Beat) pipeline.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.track, s.forget, s.bell = track, forget, bell
	for _, t := range s.targets {
		if t.Target != nil {
			t.row = track(t.Target)
			t.publish()
		}
	}
	s.reader = &reader{Spool: s, beat: beat}
	return s.reader
}

// Empty tells that all that was ever appended is settled, or given up and counted.
func (s *Spool) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held == 0 && s.through()
}

// through tells that the reader has seen all there is, but for targets that are aside. Call it with mu held.
func (s *Spool) through() bool {
	n := len(s.files)
	return n == 0 || s.main.file == s.files[n-1] && s.main.off >= s.main.file.end
}

// Figures are the spool's own, for the exporter.
func (s *Spool) Figures() pipeline.SpoolFigures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := pipeline.SpoolFigures{Bytes: s.bytes(), MaxBytes: s.MaxBytes, Records: s.records, Damaged: s.damaged}
	ahead := false
	for _, x := range s.files {
		switch {
		case x == s.main.file:
			ahead = true
			f.Left += max(0, x.end-s.main.off)
		case ahead:
			f.Left += max(0, x.end-headSize)
		}
	}
	for _, t := range s.targets {
		if t.oldest != 0 && (f.Oldest == 0 || t.oldest < f.Oldest) {
			f.Oldest = t.oldest
		}
	}
	return f
}

// bytes is what the spool takes of the disk. Call it with mu held.
func (s *Spool) bytes() int64 {
	n := s.litter
	for _, f := range s.files {
		n += f.size
	}
	return n
}

// Close lets go of the files that are open. Nothing is lost without it. The lane must have ended.
func (s *Spool) Close() error {
	s.appending.Lock()
	defer s.appending.Unlock()
	if s.reader != nil {
		s.reader.ahead.close()
		s.reader.behind.close()
	}
	return s.seal()
}
