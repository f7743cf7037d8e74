package pipeline

import "time"

// DeadLetters keeps records that a sink refuses for good, for whoever wants to know which they were.
type DeadLetters interface {
	// Keep returns when the letters are on disk. It keeps no block. Several goroutines may call it at once.
	Keep(letters []Letter) error
}

// A Letter is some records of one segment that were refused together.
type Letter struct {
	Block   *Block
	Segment *Segment
	Records []Record
	Reason  Reason
	Words   string    // the store's own
	Time    time.Time // when it said them
}

// A letter is a Letter whose segment has no verdict yet.
type letter struct {
	piece
	answer Answer
}

// bury keeps the dead letters of the batch. A disk that does not take them stops nothing: they are counted as refused
// either way.
func (s *sending) bury() {
	if len(s.letters) == 0 {
		return
	}
	var lines int64
	letters, now := make([]Letter, 0, len(s.letters)), time.Now()
	for _, l := range s.letters {
		if l.segment.Verdict == Delivered { // otherwise it will be sent, and refused, again
			letters = append(letters, Letter{l.block, l.segment, l.records, l.answer.Reason, words(l.answer), now})
			lines += int64(len(l.records))
		}
	}
	clear(s.letters)
	s.letters = s.letters[:0]
	if len(letters) == 0 || s.lane.DeadLetters == nil {
		return
	}
	s.sendBeat.Waiting()
	err := s.lane.DeadLetters.Keep(letters)
	s.sendBeat.Busy()
	s.lane.buried(lines, err)
}

// buried tells the operator once when dead letters can't be kept, and once when they can be again.
func (l *Lane) buried(lines int64, err error) {
	switch {
	case err == nil:
		if l.stats.unkeeping.Swap(false) {
			l.Log.Info("refused lines are kept again", "sink", l.Name(), "not_kept", l.stats.Unkept())
		}
	default:
		l.stats.unkept.Add(lines)
		if !l.stats.unkeeping.Swap(true) {
			l.Log.Error("refused lines cannot be kept in the folder dead-letter: they are counted, and gone", "sink", l.Name(), "error", err)
		}
	}
}
