package benchmarks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/klauspost/compress/s2"
)

const (
	bareBlock  = 256 << 10
	barePiece  = 64 << 10 // compressed at once: a quarter less CPU than a block at once, for 3 % more bytes
	bareLabels = `{namespace="shop",pod="cart-5d8f9c7b6-x2x9z",container="cart"}`
)

// BareLoop reads a log of size bytes, written by containerd, and turns it into Loki push requests: read 256 KiB, cut
// them into lines, parse the head of each, encode it, compress it. It says how many bytes the requests have and how many
// lines are in them.
//
// It is a lower bound for the CPU that such work costs, so it leaves out whatever can be: requests go nowhere, parts are
// not joined, standard error goes with standard output, a last line without its newline is left. A line that does not
// begin with a UTC time, or is longer than a block, ends the loop with an error. It has no cursor and promises nothing.
func BareLoop(r io.ReaderAt, size int64) (compressed, lines int64, err error) {
	return bareLoop(r, size, func([]byte) {})
}

// bareLoop gives each request to send, which must not keep it.
func bareLoop(r io.ReaderAt, size int64, send func(request []byte)) (compressed, lines int64, err error) {
	in := make([]byte, bareBlock)
	e := newBareEncoder()
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
		block := in[:kept+n]

		e.begin()
		for {
			end := bytes.IndexByte(block, '\n')
			if end < 0 {
				break
			}
			if !e.add(block[:end]) {
				return compressed, lines, fmt.Errorf("log: %d bytes before %d: no time at the head of %.80q", len(block), read, block[:end])
			}
			block = block[end+1:]
			lines++
		}
		kept = copy(in, block)

		request := e.end()
		compressed += int64(len(request))
		send(request)
	}
	return compressed, lines, nil
}

// A bareEncoder makes one request of one block: a PushRequest of one stream (loki/pkg/push/push.proto), in a snappy
// block. Snappy's elements reach back by distance, so those of pieces that were compressed alone may follow each other.
type bareEncoder struct {
	piece   []byte // entries not yet compressed
	entries int    // bytes of those that are
	request []byte

	minute  [17]byte // "2006-01-02T15:04:" of the last line
	seconds int64    // and what it means
}

// head is room for what stands before the entries and is known after them.
const head = 256

func newBareEncoder() *bareEncoder {
	return &bareEncoder{piece: make([]byte, 0, barePiece+bareBlock), request: make([]byte, 0, 2*bareBlock)}
}

func (e *bareEncoder) begin() { e.piece, e.entries, e.request = e.piece[:0], 0, e.request[:head] }

// add encodes one line as an entry: timestamp (seconds, nanoseconds), line.
func (e *bareEncoder) add(line []byte) bool {
	const stream = " stdout F "
	if len(line) < len("2006-01-02T15:04:05Z stdout F") {
		return false
	}
	if string(e.minute[:]) != string(line[:17]) {
		at, err := time.Parse("2006-01-02T15:04:", string(line[:17]))
		if err != nil {
			return false
		}
		copy(e.minute[:], line)
		e.seconds = at.Unix()
	}
	seconds := uint64(e.seconds) + uint64(line[17]-'0')*10 + uint64(line[18]-'0')
	var nanos uint64
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
		return false
	}
	body := line[min(i+1+len(stream), len(line)):]

	timestamp := 1 + varintLen(seconds)
	if nanos > 0 {
		timestamp += 1 + varintLen(nanos)
	}
	if len(e.piece)+25+len(body) > barePiece && len(e.piece) > 0 {
		e.flush()
	}
	b := append(e.piece, 0x12)
	b = appendVarint(b, uint64(2+timestamp+1+varintLen(uint64(len(body)))+len(body)))
	b = append(b, 0x0a, byte(timestamp), 0x08)
	b = appendVarint(b, seconds)
	if nanos > 0 {
		b = append(b, 0x10)
		b = appendVarint(b, nanos)
	}
	b = append(b, 0x12)
	b = appendVarint(b, uint64(len(body)))
	e.piece = append(b, body...)
	return true
}

// end closes the request: what stands before the entries is written right before them.
func (e *bareEncoder) end() []byte {
	e.flush()
	front := make([]byte, 0, head/2)
	front = append(front, 0x0a)
	front = appendVarint(front, uint64(1+varintLen(uint64(len(bareLabels)))+len(bareLabels)+e.entries))
	front = append(front, 0x0a)
	front = appendVarint(front, uint64(len(bareLabels)))
	front = append(front, bareLabels...)

	var room [head]byte
	size := binary.PutUvarint(room[:], uint64(len(front)+e.entries))
	front = s2.EncodeSnappy(room[size:], front)[varintLen(uint64(len(front))):]
	start := head - size - len(front)
	copy(e.request[start:], room[:size])
	copy(e.request[start+size:], front)
	return e.request[start:]
}

// flush appends the piece to the request, compressed, without the length that snappy puts in front: that one falls on
// bytes which are put back.
func (e *bareEncoder) flush() {
	var kept [binary.MaxVarintLen64]byte
	n := varintLen(uint64(len(e.piece)))
	start := len(e.request) - n
	copy(kept[:n], e.request[start:])
	compressed := s2.EncodeSnappy(e.request[start:cap(e.request)], e.piece)
	copy(e.request[start:], kept[:n])
	e.request = e.request[:start+len(compressed)]
	e.entries += len(e.piece)
	e.piece = e.piece[:0]
}

func varintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func appendVarint(b []byte, v uint64) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	return binary.AppendUvarint(b, v)
}
