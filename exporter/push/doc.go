// Package push sends what the registry shows to stores that do not scrape: every interval it gathers once, and each sink
// encodes that gathering in its own protocol and gets it in its own time.
//
// # The way of a sample
//
//	           ┌─ encode ─► queue ─► sender ─► store
//	gathering ─┤              ▲ │ keeper
//	           │              │ ▼
//	           │             disk
//	           └─ encode ─► queue …            (one target per sink)
//
// The Pusher's own goroutine gathers and encodes, and waits for nobody's store or disk. What a sink makes of a gathering is
// one or more bodies; a body is one request, kept as it will be sent. Each target has two goroutines: the sender takes the
// oldest body, hands it to the sink and settles it by the answer; the keeper writes bodies to the disk and removes those
// that are settled. A target's lock guards its queue and its account, and is never held while a disk or a store is asked,
// so a gathering that shows this package's own figures waits for neither.
//
// # What is promised
//
//   - Bodies go to a store in the order of their gatherings, one request at a time, with the times at which they were
//     gathered, however late that is. Only the witness of a poisoned body (poison.go) overtakes it.
//   - A body is sent until the store has taken it or has refused it for good. Network errors, 401, 403, 404, 429 and 5xx
//     are tried again without end; what stands in the way for ever though the store is well is given up by proof only.
//   - samples = delivered + dropped + pending at every moment, each counted where it happens.
//   - One sink never delays another one, nor the gathering. A gathering that takes longer than the interval costs its own
//     tick. Ticks come from a clock that nobody can set, and that stands still while the machine sleeps.
//   - The memory of a target is bounded: what its queue holds beside the newest gathering is at most 2 MiB, and 90 bytes for
//     each body on disk. The disk is bounded by MaxBytes, in blocks of 4 KiB as the files take them.
//
// # What is on disk, and what may be lost
//
// While the store takes bodies, they are in memory only, and no disk is touched. They are written to the disk, synced, as
// soon as a request has failed, or when a body was not taken before the next gathering; and what comes after them follows
// as long as there is something on disk, for order. So a kill costs the gathering that is under way, and what was
// gathered while the store took it; during an outage, nothing but what the disk has not synced yet. When leatd is told to
// stop it gathers a last time, ends the series where the protocol has a mark for that, delivers until the time to drain is
// up, and writes the rest to the disk. It does so at once if the store is failing by then.
//
// When the disk is full by MaxBytes the oldest bodies are dropped; when it fails, bodies stay in memory, and the oldest
// there are dropped at 2 MiB. Both are counted as spool_full. A file that is damaged or gone is counted as spool_damaged;
// so is what cannot be read for five minutes. Bodies of an earlier life go first, and count as taken in when leatd starts.
// After a kill, a body that the store had just taken may be sent again.
//
// # The files
//
// Each body is a file of its own, NUMBER-TIME-SAMPLES.push: the numbers rise over all lives, the time is in milliseconds
// since 1970, all three are decimal and the number has 16 digits. A file appears under its name when all of it is synced;
// before that it has the suffix .tmp. It holds, numbers in little endian:
//
//	 0   8  the magic "LEATPSH" and the version, 1
//	 8   4  length of the body in bytes
//	12   4  CRC-32C of bytes 0 to 11, the file's name and the body
//	16   …  the body as it is sent
//
// A body without its name is worth nothing to the account, so the sum covers both.
package push
