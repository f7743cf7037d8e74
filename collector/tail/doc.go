// Package tail reads log files: it turns the files that discovery finds into blocks of records, for one or more lanes.
//
// # A log is one stream over many files
//
// A runtime renames, recreates, truncates, deletes and compresses the files of a container's log. A source hides that: it
// reads the generations of a log one after the other, oldest first, each to its end. A generation is known by its restart
// number and its first line, not by its name or its inode, which are used again at once. The next generation is begun
// when the one before has no writer any more (the kernel tells: lease.go) or has been quiet for five seconds, since a
// runtime goes on writing to a file after it was renamed. Should something be written to it even later, it is read then.
//
// # Who owns what
//
//   - A Set is shared by all lanes. Discovery gives it names, and it opens files at once. It holds each until every lane
//     has settled all of it, so a file that is deleted meanwhile is read all the same.
//   - A Lane has its own source for each log, with cursors of its own. It shares nothing with other lanes but descriptors,
//     which are read by pread(2).
//   - A Reader owns the sources of one shard and runs in the shard's reading goroutine. No other goroutine touches a
//     source; news reach it through the reader's inbox.
//
// # Busy files are polled, quiet files are watched
//
// A file that has data is read again in turn, once a round. One that stays quiet is parked on inotify (park.go) and costs
// nothing until it is written to. A busy file is never watched: runtimes write once a line, and one notification costs more
// than a line's whole way.
//
// # Lines
//
// Whole lines are cut where read(2) put them. Their parts (CRI's P, Docker's messages without a newline) are joined per
// stream, across blocks, files and restarts of leatd. A line in no known format is kept whole, with the time of the record
// before it. A line longer than max_line is cut off there, marked and counted, and the file goes on.
//
// # What may be lost
//
// Bytes that are truncated away or deleted before they are read; they are counted. If a runtime stalls for more than five
// seconds between the rename of a file and its last write to it, those last lines come after the next file's first ones.
package tail
