package benchmarks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"
)

const bareBlock = 256 << 10

// BareLoop reads a log of size bytes, written by containerd, and turns it into Loki push requests: read 256 KiB, cut
// them into lines, parse the head of each, encode it, compress it with snappy. It says how many bytes the requests have
// and how many lines are in them.
//
// It is a lower bound for the CPU that such work costs, so it leaves out whatever can be: requests go nowhere, parts are
// not joined, standard error goes with standard output, a last line without its newline is left. A line that does not
// begin with a UTC time, or is longer than a block, ends the loop with an error. It has no cursor and promises nothing.
func BareLoop(r io.ReaderAt, size int64) (compressed, lines int64, err error) {
	return bareLoop(r, size, newBareLoki(), func([]byte) {})
}

// BareLoopOTLP is BareLoop with OTLP's ExportLogsServiceRequests and zstd at its fastest level. OTLP's strings are
// UTF-8, so this loop looks whether they are; bytes that are not end it with an error.
func BareLoopOTLP(r io.ReaderAt, size int64) (compressed, lines int64, err error) {
	return bareLoop(r, size, newBareOTLP(), func([]byte) {})
}

// A bareEncoder makes one request of one block, which has a line at least.
type bareEncoder interface {
	// begin is given the block's lines as they are on disk, and says no if they cannot be encoded.
	begin(lines []byte) bool
	add(seconds, nanos uint64, body []byte)
	end() []byte // valid until the next begin
}

// bareLoop gives each request to send, which must not keep it.
func bareLoop(r io.ReaderAt, size int64, e bareEncoder, send func(request []byte)) (compressed, lines int64, err error) {
	in := make([]byte, bareBlock)
	var head bareHead
	for read, kept := int64(0), 0; read < size; {
		// The piece of a line that ended the last block begins this one.
		n, err := r.ReadAt(in[kept:kept+int(min(int64(bareBlock-kept), size-read))], read)
		if err != nil && !errors.Is(err, io.EOF) {
			return compressed, lines, fmt.Errorf("log: read at %d: %w", read, err)
		}
		if n == 0 {
			return compressed, lines, fmt.Errorf("log: no newline in the %d bytes before %d, or fewer bytes than announced", kept, read)
		}
		read += int64(n)
		whole := bytes.LastIndexByte(in[:kept+n], '\n') + 1
		if whole == 0 {
			kept += n
			continue
		}

		if !e.begin(in[:whole]) {
			return compressed, lines, fmt.Errorf("log: %d bytes before %d: invalid UTF-8", whole, read)
		}
		for block := in[:whole]; len(block) > 0; lines++ {
			end := bytes.IndexByte(block, '\n')
			seconds, nanos, body, ok := head.cut(block[:end])
			if !ok {
				return compressed, lines, fmt.Errorf("log: %d bytes before %d: no time at the head of %.80q", len(block), read, block[:end])
			}
			e.add(seconds, nanos, body)
			block = block[end+1:]
		}
		kept = copy(in, in[whole:kept+n])

		request := e.end()
		compressed += int64(len(request))
		send(request)
	}
	return compressed, lines, nil
}

// A bareHead parses what containerd puts before a line: time, stream, flag.
type bareHead struct {
	minute  [17]byte // "2006-01-02T15:04:" of the last line
	seconds int64    // and what it means
}

// cut tells a line's time since 1970 and its body.
func (h *bareHead) cut(line []byte) (seconds, nanos uint64, body []byte, ok bool) {
	const stream = " stdout F "
	if len(line) < len("2006-01-02T15:04:05Z stdout F") {
		return 0, 0, nil, false
	}
	if string(h.minute[:]) != string(line[:17]) {
		at, err := time.Parse("2006-01-02T15:04:", string(line[:17]))
		if err != nil {
			return 0, 0, nil, false
		}
		copy(h.minute[:], line)
		h.seconds = at.Unix()
	}
	seconds = uint64(h.seconds) + uint64(line[17]-'0')*10 + uint64(line[18]-'0')
	i := 19
	if line[i] == '.' {
		unit := uint64(1e9)
		for i++; line[i]-'0' <= 9 && i < len(line)-1; i++ {
			nanos = nanos*10 + uint64(line[i]-'0')
			unit /= 10
		}
		nanos *= unit
	}
	if line[i] != 'Z' || len(line) < i+len(stream) {
		return 0, 0, nil, false
	}
	return seconds, nanos, line[min(i+1+len(stream), len(line)):], true
}

func varintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func appendVarint(b []byte, v uint64) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	return binary.AppendUvarint(b, v)
}
