package sinks

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/leatd/leat/pipeline"
)

// DeadLetters keeps the lines that a store refused for good, in a folder like that of a File sink: zstd-compressed
// segments of newline-delimited JSON, bounded, the oldest removed first. `zstd -dc *.ndjson.zst` prints them. A line has
// what the http sink would have sent, its id, and
//
//	leat.refused  when the store refused it
//	leat.reason   the reason in the ledger
//	leat.words    the store's own words
//	leat.base64   the line's bytes, if they are not UTF-8 and "msg" therefore shows them with U+FFFD
//
// The folder is made when the first line is refused. It implements pipeline.DeadLetters.
type DeadLetters struct {
	name, path string

	mu       sync.Mutex // holds what is below
	segments segmentFolder
	format   NDJSONFormat
	encoder  pipeline.Encoder // nil before the first letter
}

// deadSegments is how many segments the bound is divided into: so much of it goes at a time.
const deadSegments = 8

// NewDeadLetters makes the dead letters of the sink with that name, in a folder of at most maxBytes. It touches no disk
// yet.
func NewDeadLetters(name, path string, maxBytes int64) *DeadLetters {
	return &DeadLetters{
		name: name, path: path, format: NDJSONFormat{Compression: "zstd", RecordID: true},
		segments: segmentFolder{path: path, segmentBytes: maxBytes / deadSegments, maxBytes: maxBytes, now: time.Now, create: createFile},
	}
}

// Keep implements pipeline.DeadLetters. All letters are one frame, and on disk when it returns.
func (d *DeadLetters) Keep(letters []pipeline.Letter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.encoder == nil {
		d.encoder = d.format.NewEncoder()
	}
	d.encoder.Begin()
	for i := range letters {
		d.add(&letters[i])
	}
	frame := d.encoder.End()
	if int64(len(frame)) > d.segments.maxBytes {
		return d.complain(fmt.Errorf("%d bytes at once are more than max_bytes (%d)", len(frame), d.segments.maxBytes))
	}
	if err := os.MkdirAll(d.path, 0o750); err != nil {
		return d.complain(err)
	}
	if err := d.segments.put(frame); err != nil {
		return d.complain(err)
	}
	return nil
}

// add encodes a letter. What is said of all of its lines goes behind the description of their target.
func (d *DeadLetters) add(l *pipeline.Letter) {
	seg := *l.Segment
	describe := func(more ...string) {
		described := d.format.Describe(seg.Target.Target)
		for _, b := range []*[]byte{&described.Stdout, &described.Stderr} {
			if *b == nil {
				continue
			}
			for i := 0; i < len(more); i += 2 {
				*b = appendMember(*b, more[i], more[i+1])
			}
		}
		seg.Target = &pipeline.LaneTarget{Target: seg.Target.Target, Described: described}
	}
	why := []string{
		"leat.refused", l.Time.UTC().Format(time.RFC3339Nano), "leat.reason", l.Reason.String(), "leat.words", l.Words,
	}
	valid := func(i int) bool { return utf8.Valid(l.Block.Body(&l.Records[i])) }
	for from := 0; from < len(l.Records); {
		to := from + 1
		if !valid(from) {
			describe(append(why, "leat.base64", base64.StdEncoding.EncodeToString(l.Block.Body(&l.Records[from])))...)
		} else {
			for to < len(l.Records) && valid(to) {
				to++
			}
			describe(why...)
		}
		d.encoder.Add(l.Block, &seg, l.Records[from:to])
		from = to
	}
}

// Where says where the letters are.
func (d *DeadLetters) Where() string { return filepath.Join(d.path, "*"+segmentSuffix) }

// Close closes the segment and gives the folder's lock back.
func (d *DeadLetters) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segments.close()
	return nil
}

func (d *DeadLetters) complain(err error) error {
	return complainOf(d.name, d.path, "sinks."+d.name+".dead_letter", err)
}
