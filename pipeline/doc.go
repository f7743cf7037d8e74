// Package pipeline is how lines move: what a line's way is made of, and who owns what on it.
//
// # The way
//
// A Lane carries the lines of all targets to one sink. It has one or more shards, each three goroutines:
//
//	reader ──ring──► encoder + compressor ──ring──► sender ──► store
//	  ▲                                               │
//	  └────────── ring: blocks come home with verdicts┘
//
// A Block is a buffer of raw log bytes with the records that were cut in it. A shard has a fixed number of blocks, and
// they go round: the reader fills one, the encoder makes a part of a request of it, the sender gives each of its
// segments a verdict and puts it home, where the reader applies the verdicts and fills it again.
//
// # Who owns a block, and why no lock is needed
//
// A block has one owner at every moment: the stage that took it from a ring and has not yet put it into the next. A Ring
// has one goroutine that puts and one that takes; what the first wrote before Put the second sees after Take. Nothing
// else on the way is shared, so a block needs no lock, no reference count and no allocation:
//
//   - Only the sender puts blocks home, and in the order in which they came. So a block that comes home is the
//     acknowledgement of all before it.
//   - A ring has room for all the blocks of its shard, so a put never waits; an empty home ring is the backpressure.
//   - A stage that finds its ring empty waits on its Bell, the one place on the way where a goroutine sleeps (but for the
//     sender, which waits for the store's answer, and after a failure).
//   - Targets belong to one shard. The reader alone owns their files, cursors and accounts; an Account is published by a
//     sequence lock, which its writer never waits for.
//   - A target's epoch makes going back safe. When the sender sends a segment Back it raises the target's floor, and
//     passes over what is already under way behind it; the reader rewinds when the block comes home, and reads again
//     under the new epoch. So order holds without any stage waiting for another.
//
// One request is in flight per shard, and nothing overtakes. A store that is far gets more shards, not more requests.
//
// Where an answer doesn't hold for all of a request alike, the sender takes it apart: by target where one is throttled, so
// that it costs the others nothing; by halves, down to a record, where some of it is refused (refuse.go), or gets the same
// 5xx again and again while the store takes others (trouble.go). No more is dropped than must be, and what is goes to the
// dead letters before its segment has its verdict.
//
// A store may limit each stream by itself. The encoder asks a Stream before it encodes a segment, and sends Back what has
// to wait, so that a loud container costs the others nothing here either.
//
// Each stage has a Beat. It is busy while a stage works and waits while the stage waits for a store, a disk, or room, so
// that no outage looks like a goroutine that hangs.
//
// # What is promised
//
// A target's cursor moves over a segment when the sink has it for good (Delivered; what of it the sink will never take is
// counted by reason) or the spool has it on disk (InSpool), and at no other time; when the lane has to stop before a segment was sent, nothing behind it moves either.
// Cursors are saved within five seconds, under load every 100 ms, by a goroutine of their own. After a crash, what was
// delivered since the last save is sent again; nothing is left out.
//
// For each target and lane the ledger holds Read = Delivered + Dropped + Pending at every moment, each counted where it
// happens.
//
// # What may be lost
//
// Nothing that is on disk while leatd can read it. What is deleted or truncated before it was read is counted, as lost
// bytes where they are known and as gaps where they are not.
package pipeline
