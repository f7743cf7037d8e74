package pipeline

import "time"

// Flags say what a record is beyond its bytes.
type Flags uint8

const (
	// Stderr marks a record of the container's standard error; without it, it is standard output.
	Stderr Flags = 1 << iota
	// Truncated marks a line of which only the first max_line bytes were kept.
	Truncated
	// Unfinished marks a line that was given out before its end came: the file or the container ended first.
	Unfinished
	// Unparsed marks a line in no format we know, kept whole with the time of the record before it.
	Unparsed
)

// A Record is one line: where its body lies in the block's buffer, and its time. It holds no pointer, so a block of
// them costs the garbage collector nothing.
type Record struct {
	Time  int64  // nanoseconds since the Unix epoch, as the runtime wrote it
	Off   uint32 // body: Buf[Off : Off+Len], without the newline
	Len   uint32
	Pos   uint32 // the line's place in its file, from the segment's Start; its record id is made of it
	Flags Flags
}

// A Segment is a run of records of one target and one generation, and the range of the file that they cover.
// Verdicts are given by segment.
type Segment struct {
	Target     *LaneTarget
	Generation GenerationID
	Start, End int64 // the range of the file, in bytes; End is where the cursor goes when all of it is settled
	First, N   int   // Block.Records[First : First+N]
	Bytes      int64 // of the records' bodies
	CutBytes   int64 // of bodies that max_line cut off in this range
	Epoch      uint32
	Any, All   Flags // the union and the intersection of the records' flags

	// Verdict is the sender's, set before the block goes home.
	Verdict Verdict

	// Refusals goes with Delivered: what of the segment never will be; nil almost always.
	Refusals []Refusal

	// Doubtful goes with Delivered: the store left out some records of the request and did not say whose.
	Doubtful bool

	// Spooled goes with InSpool: the number of the spool's record that holds the segment. They only ever rise.
	Spooled uint64

	// RetryAfter goes with Back: how long the store asked the target to wait, and a bit at random; 0 if it did not say.
	RetryAfter time.Duration

	// Paced goes with Back: the lane itself held the segment, to keep to the store's limit. RetryAfter is all there is to
	// wait, and nothing has failed.
	Paced bool

	admission     // the encoder's and the sender's own
	open      int // records that want a verdict yet; the sender's own

	// What follows is the reader's own, to settle the segment with. No other stage looks at it.
	Mark  any    // the generation it was read from
	Time  int64  // the last record's time
	Skip  bool   // End lies inside a line that is cut off
	Parts []Part // of lines that are open at End; nil almost always
}

// A Block is one buffer of raw log bytes with the records cut in it. It has one owner at a time: the stage that holds
// it. See the package comment for its round.
type Block struct {
	Buf      []byte // as long as it will ever be; a stage writes to it only while it owns the block
	Data     int    // Buf[:Data] holds bytes as read from the files
	Spare    int    // behind the room for data: up to here, bodies that had to be joined or rewritten
	Records  []Record
	Segments []Segment

	room int
}

// Body is the record's text.
func (b *Block) Body(r *Record) []byte { return b.Buf[r.Off : r.Off+r.Len : r.Off+r.Len] }

// Of is the records of a segment.
func (b *Block) Of(s *Segment) []Record { return b.Records[s.First : s.First+s.N] }

// bytesPerRecord is how long lines are at the least, on average, for a block not to be full of records before it is full of
// bytes. A runtime writes 40 bytes before a body.
const bytesPerRecord = 64

// NewBlock makes a block with room for size bytes as read and for spare bytes of joined bodies behind them.
func NewBlock(size, spare int) *Block {
	b := &Block{
		Buf:      make([]byte, size+spare),
		Records:  make([]Record, 0, size/bytesPerRecord),
		Segments: make([]Segment, 0, 16),
		room:     size,
	}
	b.Reset()
	return b
}

// Room is how many bytes of Buf are for data as read; bodies that are rewritten go behind it.
func (b *Block) Room() int { return b.room }

// Reset empties the block for its next round. The buffers stay.
func (b *Block) Reset() {
	b.Data, b.Spare = 0, b.room
	b.Records = b.Records[:0]
	clear(b.Segments)
	b.Segments = b.Segments[:0]
}

// A Verdict says what became of a segment.
type Verdict uint8

const (
	// Unsent: the lane stopped before the segment was sent; nothing moves.
	Unsent Verdict = iota
	// Delivered: the far end has for good all but the Refusals, and those it will never take; the cursor moves.
	Delivered
	// InSpool: the lane's spool has it on disk; the cursor moves, and the lines stay pending.
	InSpool
	// Back: not now. The target is rewound to the segment's start and waits; the file is the retry buffer.
	Back
	// Stale: an earlier segment of the target went Back while this one was under way; it will be read again.
	Stale
)

// A Refusal is so much of a segment that will never be delivered, and why.
type Refusal struct {
	Reason Reason
	Count
}

// A Reason says why lines were dropped. The ledger counts by it.
type Reason uint8

const (
	BadRequest    Reason = iota // the store answered 400
	TooLarge                    // the store answered 413
	Unprocessable               // the store answered 422
	Rejected                    // the store took the request and said that it left these out
	ServerError                 // the store answers these with the same 5xx again and again, and takes others
	MaxLine                     // beyond logs.max_line (bytes only, the line itself is kept)
	Vanished                    // read, sent back by the store, and gone from the disk before it could be read again
	SpoolFull                   // the oldest of a full spool, where when_full is drop_oldest
	SpoolDamaged                // in the spool, and damaged there
	NumReasons
)

var reasonNames = [NumReasons]string{
	"bad_request", "too_large", "unprocessable", "rejected", "server_error", "max_line", "vanished", "spool_full", "spool_damaged",
}

func (r Reason) String() string { return reasonNames[r] }

// A LossReason says why bytes were lost before they were read.
type LossReason uint8

const (
	LostDeleted   LossReason = iota // the file was deleted, and nobody held it open, before it was read
	LostTruncated                   // the file was truncated before it was read
	LostGivenUp                     // the file was deleted, and held open for as long as the owner allows
	NumLossReasons
)

var lossNames = [NumLossReasons]string{"deleted", "truncated", "given_up"}

func (r LossReason) String() string { return lossNames[r] }
