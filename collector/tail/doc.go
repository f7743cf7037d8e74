// Package tail reads log files: it turns the files that discovery finds into blocks of records, for one or more lanes.
//
// # A log is one stream over many files
//
// A runtime renames, recreates, truncates, deletes and compresses the files of a container's log. A source hides that: it
// reads the generations of a log one after the other, oldest first, each to its end. A generation is known by its restart
// number and its first line, not by its name or its inode, which are used again at once. The next generation is begun
// when the one before has no writer any more (the kernel tells: lease.go) or has been quiet for five seconds, since a
// runtime goes on writing to a file after it was renamed. A file stays open until nobody can write to it, so what is
// written even later is read then; half a line is left to its writer.
//
// A gzip file holds the generation of the plain file that it was made of: offsets are those of the decompressed bytes. Where
// several files hold the same generation, it is read from one at a time, and goes on in another where that one ends,
// goes, or is truncated (twins.go). What has been settled is remembered for a while after its file, so one that comes back
// compressed is not read again, and not even decompressed. The compressed files of a shard take turns at one decompressor.
// Those of host files are not read: nothing in their lines tells what they are.
//
// # Who owns what
//
//   - A Set is shared by all lanes. Discovery gives it names, and it opens files at once. It holds each until every lane
//     has settled all of it, so a file that is deleted meanwhile is read all the same, within a budget of bytes and time
//     (held.go).
//   - A Lane has its own source for each log, with cursors of its own. It shares nothing with other lanes but descriptors,
//     which are read by pread(2). A log that comes back under its key before the old one is settled waits for that.
//   - A Reader owns the sources of one shard and runs in the shard's reading goroutine. No other goroutine touches a
//     source; news reach it through the reader's inbox.
//   - Locks are taken in the order Set.mu, Lane.mu, Reader.inboxMu or parker.mu; none is held while a file is read by a
//     lane. A file's own lock guards what its first line says, and is held for that read.
//
// # The ledger
//
// A line is counted as read when it is cut for the first time. A rewind leaves what was counted pending; those lines are
// owed, and count nothing when they are cut again. So Read = Delivered + Dropped + Pending holds by construction, also
// where a file is not the same when it is read again: what stays owed at its end is dropped, as vanished.
//
// # Busy files are polled, quiet files are watched
//
// A file that has data is read again in turn, once a round. One that gets a line now and then is read every 600 ms, together
// with all others of its kind, so that the process sleeps in between (turn.go). One that stays quiet is parked on inotify
// (park.go) and costs nothing until it is written to. A busy file is never watched: runtimes write once a line, and one
// notification costs more than a line's whole way. Every ten seconds all that is held open is looked at, for events can be
// lost. A file that has grown for a minute without being read, while its reader has nothing else to do, is opened anew
// (watchdog.go).
//
// # Lines
//
// Whole lines are cut where read(2) put them. Their parts (CRI's P, Docker's messages without a newline) are joined per
// stream, across blocks, files and restarts of leatd. A line in no known format is kept whole, with the time of the record
// before it. A line longer than max_line is cut off there, marked and counted, and the file goes on.
//
// # What may be lost
//
// All of this is counted, as bytes where they are known and as a gap where they are not:
//
//   - bytes that are truncated away before they are read, and those of a deleted file that nobody holds open: what leatd
//     had open when it stopped or was killed, or what came and went between two looks of discovery
//   - what the budget of deleted files gives up; lines of it that the store had sent back are dropped, as vanished
//   - what stands behind the damage of a gzip file
//   - pieces of an unfinished line whose file is gone when leatd starts again
//
// If a runtime stalls for more than five seconds between the rename of a file and
// its last write to it, those last lines come after the next file's first ones, and a line of parts that straddles the two
// may be given out in pieces. Where the kernel doesn't tell of writers (no CAP_LEASE, some file systems), an unfinished
// line at the end of a stopped container waits until its file goes, and half a line that a stalled runtime left at the end
// of a renamed file is taken for a whole one. A compressed file that does not begin with a runtime's line can't be told
// from a new one: what was read of it before it was compressed is sent again.
package tail
