package pipeline

import "time"

// A Reader fills one shard's blocks. It is owned by the shard's reading goroutine, which alone calls it.
type Reader interface {
	// Fill reads into b, in turn from all targets that have data, after what b already holds. It returns Full when b
	// should go on its way, Dry when all there is was read.
	Fill(b *Block) Fullness

	// Settle takes a block that came home and applies the verdicts of its segments: cursors move, targets are rewound.
	Settle(b *Block)

	// Rest is how long the reader may sleep after a Dry block if nobody rings: poll while it has files to poll, longer
	// when all are quiet.
	Rest(poll time.Duration) time.Duration

	// Woken tells whether the bell was rung for the reader since the last Fill: while it is true, nobody sleeps.
	Woken() bool

	// Look refreshes what the accounts say of unread bytes. It is called now and then while there is no block to fill.
	Look()

	// Cursors appends the cursors that have moved since the last call.
	Cursors(dst []Cursor) []Cursor

	// Targets is how many targets the reader has. A shard that is given up ends when it has none.
	Targets() int
}

// Fullness is what Fill says of the block.
type Fullness bool

const (
	Dry  Fullness = false
	Full Fullness = true
)

// An Intake deals targets out to the readers of a lane's shards. Its calls come from one goroutine.
type Intake interface {
	// Open makes the reader of a shard. The intake rings the bell when a target of that shard may have data. The beat is
	// that of the goroutine which will call the reader: busy when it does, and to be made to wait around each access to
	// a disk, which may be dead.
	Open(shard int, bell *Bell, beat *Beat) Reader

	// Deal says over how many shards the targets are spread from now on. A target moves when nothing of it is under way.
	Deal(shards int)
}
