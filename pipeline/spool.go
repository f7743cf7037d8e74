package pipeline

import "errors"

// A Spool keeps a lane's blocks on disk while its sink fails, because the kubelet deletes rotated files. Package spool
// makes one. Any goroutine may call its methods.
type Spool interface {
	// Append writes segments behind all that the spool holds, in their order, all of them or none. When it returns nil
	// they are on disk for good, and their field Spooled says where. ErrSpoolFull asks to come again later; so does any
	// other error, which is the disk's.
	Append(pieces []Piece) error

	// Empty tells that all that was ever appended is settled, or given up and counted.
	Empty() bool

	// Open makes the reader of the shard that empties the spool. Its targets are the lane's own rows of the ledger: track
	// begins one, forget ends it. It is called once.
	Open(track func(*Target) *LaneTarget, forget func(*LaneTarget), bell *Bell, beat *Beat) Reader

	// State is what has to be saved with the cursors, in the same write: one JSON value on one line.
	State() []byte

	// Saved says that what State returned last is on disk. Not before does the spool remove what is settled.
	Saved()

	// Totals are what was settled out of the spool, however often leatd was restarted, of targets by their key and of those
	// that ended. They are saved with State; those of the cursors do not hold them.
	Totals() (targets map[string]Totals, ended Totals)

	// Figures are the spool's own, for the exporter.
	Figures() SpoolFigures
}

// ErrSpoolFull is the answer of a spool that has reached its bound.
var ErrSpoolFull = errors.New("the spool is full")

// A Piece is one segment of a block.
type Piece struct {
	Block   *Block
	Segment *Segment
}

// SpoolFigures are what a spool says of itself.
type SpoolFigures struct {
	Bytes    int64 // on disk
	MaxBytes int64 // the bound of Bytes
	Left     int64 // of Bytes, not yet read by the spool's shard
	Records  int64 // appended since the process began
	Damaged  int64 // records that could not be read, since the process began
	Oldest   int64 // time of the oldest record of a log in it, ns since the epoch; 0 if it is empty
}
