// Package spool keeps a lane's segments on disk while its sink fails, and reads them back when the sink takes lines again.
//
// # What is promised
//
//   - What Append has returned nil for is on disk, synced, and is given out until it is settled, however often leatd is
//     killed or the node loses power. What Append has failed for is never given out in this life; in a later one it is
//     only if neither the saved state nor a later file tells that it failed, and then no cursor was saved that is past it.
//   - Order is kept per target. A target that the store sends back waits for itself; the others go on.
//   - What is settled by a saved State is never given out again.
//   - Every line that is counted in is counted out: delivered, or dropped with a reason. The rows of the spool's targets
//     and those of the readers of the logs add up at every moment.
//   - Memory has a bound that does not depend on what the spool holds: nothing is kept per record but for what is under way.
//   - The files never take more than MaxBytes, but for what a power cut brings back.
//
// # What may be lost
//
// A damaged record, and nothing else of its file. Its lines are counted as dropped by container (spool_damaged): at once if
// its header is sound, else when the spool has run empty and some of a container's lines have not turned up. Lines that
// no life has counted in before they were damaged are in the figure Damaged alone. With DropOldest, the oldest file when
// the spool is full (spool_full); if leatd is killed right then, what was under way of that file, and the count of the
// rest.
//
// # Files
//
// The folder holds files named by the number of their first record, in 16 hexadecimal digits, and ".spool". Records are
// numbered from 1 on, over all files and lives; no number is used twice. All integers are little-endian; a varint is that
// of encoding/binary, signed ones in zigzag; a string is its length as a varint and its bytes. Sums are CRC32C.
//
//	file     head, records
//	head      8  "LEATSPL" and the version, 1
//	          8  mark: drawn by lot for this file, so that no line of a log can look like a record by design
//	          8  previous: the number behind the last record that was acknowledged when the file was made
//	          4  sum of these
//	record   prelude, header, body
//	prelude   8  mark
//	          8  number
//	          8  previous
//	          4  rank: how many records of the same Append are before it
//	          4  count: how many records the Append has
//	          4  length of the header
//	          4  length of the body
//	          4  length of the body before it was compressed
//	          4  sum of the header
//	          4  sum of the body
//	          4  sum of these
//	header   s2: number of segments (varint), segments
//	segment  target (a string that holds the following: key, namespace, pod, uid, container, path, node; 1 byte, bit 0 raw;
//	         number of labels, for each name and value), restart (signed varint), hash (8), start, end - start (signed
//	         varints), lines, bytes, cut bytes (varints), time of the first line, time of the last - that (signed
//	         varints), any, all, 1 byte with bit 0 skip, number of parts (varint), parts
//	part     1 byte with bit 0 stderr, restart (signed varint), hash (8), offset, length (signed varints)
//	body     s2: 4 bytes length of the notes, notes, the bodies of all lines
//	note     time, length, place, flags: signed varint, varint, signed varint, 1 byte; time and place less those of the line
//	         before in the segment
//
// # Writing
//
// An Append is one write to the last file and one fdatasync; records never cross files. A file that is as large as it
// should be, or in which a write or sync ever failed, is not written to again, and each life begins a file of its own. So
// whatever stands behind a file's last acknowledged record came from one failed Append and ends the file. It is truncated
// away if the disk lets us; if not, or if a power cut brings it back, it is known for what it is by the head of the next
// file (previous) or by the saved state (void). Only behind both, at the end of the last file, may stand an Append that
// nobody knows the end of. It counts if all its records are whole.
//
// # Reading
//
// The reader goes from record to record by their preludes, and unpacks bodies right into the blocks. Where a prelude is
// damaged it looks for the file's mark. What a target has in a record is one or more segments; a segment comes home with a
// verdict. Those of a target are settled in order, so what is settled is a place per target, and a position before which
// all is. A target that comes Back is aside: the main way passes over it, and when its wait is over the reader goes through
// the headers again for it alone, from where it stands to where the main way is.
//
// # Locks
//
// appending is held by whoever writes or removes files, and while it is, by Append, the disk is asked. mu guards what both
// sides share, is taken after appending, and is never held while a disk is asked; so State, Saved, Empty and Figures wait for
// no disk, but for the removal of files in Saved. Rows are made under mu: the lane's lock comes after it.
package spool
