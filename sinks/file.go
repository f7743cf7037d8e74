package sinks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/leatd/leat/pipeline"
)

// FileOptions say where the file sink keeps lines, and how much.
type FileOptions struct {
	Name string // the sink's name in the configuration; errors begin with it

	// Path is the folder; it is made if it is not there.
	Path string

	// SegmentBytes is the size at which a segment is closed and the next begun. MaxBytes bounds all segments
	// together, and must be twice as much or more.
	SegmentBytes, MaxBytes int64

	// RecordID adds "log.record.uid" to each line.
	RecordID bool
}

// File keeps lines in a folder of zstd-compressed NDJSON segments. `zstd -dc *.ndjson.zst` prints them all, in the
// order in which they came.
//
// A request is one zstd frame. It is accepted when it stands in a segment and is synced to disk. What of a frame was
// written when something failed is cut off before anything else is written; what a crash left of one is cut off at the
// next start. So a segment never holds half a frame, except the last one while it is written to.
//
// The folder never holds more than MaxBytes: before a frame would exceed that, the oldest segments are deleted. That
// is what this sink is asked to do and no loss in the ledger's sense; Deleted counts it. Nothing else is ever deleted,
// and a full disk deletes nothing: the lines wait in their files.
//
// One process uses a folder at a time, and holds a lock on its LOCK file. If the folder vanishes, nothing is accepted
// until it is there again.
type File struct {
	NDJSONFormat
	name string
	path string

	turn     chan struct{} // holds one token; whoever has it owns what is below
	segments segmentFolder
}

// NewFile opens the folder, makes it if need be, and cuts off what a crash may have left unfinished.
func NewFile(o FileOptions) (*File, error) {
	path, err := filepath.Abs(o.Path)
	switch {
	case o.Path == "" || err != nil:
		return nil, fmt.Errorf("%s: path: name a folder for the segments", o.Name)
	case o.SegmentBytes <= 0:
		return nil, fmt.Errorf("%s: segment_bytes: must be above 0", o.Name)
	case o.MaxBytes < 2*o.SegmentBytes:
		return nil, fmt.Errorf("%s: max_bytes: must be at least twice segment_bytes (%d), or there is nothing to delete", o.Name, o.SegmentBytes)
	}
	f := &File{
		NDJSONFormat: NDJSONFormat{Compression: "zstd", RecordID: o.RecordID},
		name:         o.Name, path: path, turn: make(chan struct{}, 1),
		segments: segmentFolder{path: path, segmentBytes: o.SegmentBytes, maxBytes: o.MaxBytes, now: time.Now, create: createFile},
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, f.complain(err)
	}
	if err := f.segments.open(); err != nil {
		return nil, f.complain(err)
	}
	f.turn <- struct{}{}
	return f, nil
}

// Send appends one frame. It implements pipeline.Sink.
func (f *File) Send(ctx context.Context, body []byte) pipeline.Answer {
	select {
	case <-f.turn:
		defer func() { f.turn <- struct{}{} }()
	case <-ctx.Done():
		return failedLocally(f.name, ctx.Err())
	}
	if len(body) == 0 {
		return pipeline.Answer{Code: "ok"}
	}
	if int64(len(body)) > f.segments.maxBytes {
		return pipeline.Answer{Outcome: pipeline.Refused, Reason: pipeline.TooLarge, Code: "error",
			Err: f.complain(fmt.Errorf("a request of %d bytes is larger than max_bytes (%d)", len(body), f.segments.maxBytes))}
	}
	if err := f.segments.put(body); err != nil {
		return pipeline.Answer{Outcome: pipeline.Failed, Code: "error", Err: f.complain(err)}
	}
	return pipeline.Answer{Code: "ok"}
}

// Deleted counts the segments that were deleted to hold max_bytes, and their bytes, since the start of the process.
func (f *File) Deleted() (segments, bytes int64) {
	return f.segments.deleted.Load(), f.segments.deletedBytes.Load()
}

// Torn counts the bytes of unfinished frames that were cut off after a crash, since the start of the process. They
// had never been accepted.
func (f *File) Torn() (bytes int64) { return f.segments.torn.Load() }

// Where says where lines go.
func (f *File) Where() string {
	return fmt.Sprintf("%s%c*%s (at most %d MiB)", f.path, filepath.Separator, segmentSuffix, f.segments.maxBytes>>20)
}

// Close closes the segment and gives the lock back. It waits for a Send that is under way.
func (f *File) Close() error {
	<-f.turn
	defer func() { f.turn <- struct{}{} }()
	f.segments.close()
	return nil
}

func (f *File) complain(err error) error { return complainOf(f.name, f.path, "sinks."+f.name, err) }

// complainOf adds to an error of a folder with segments what to do about it. section is where the configuration has it.
func complainOf(name, path, section string, err error) error {
	advice := "look at the folder and its disk"
	switch {
	case errors.Is(err, errInUse):
		advice = "stop the other process, or give each its own path"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		advice = "the disk is full: make room there, or lower max_bytes of " + section
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		advice = "leatd may not write there: check path of " + section + ", its owner, and whether its disk is mounted read-only"
	case errors.Is(err, syscall.ENOTDIR):
		advice = "a file stands in the way: check path of " + section
	case errors.Is(err, fs.ErrNotExist):
		advice = "the folder has vanished: make it again (mkdir -p " + path + "), is its disk mounted?"
	case errors.Is(err, syscall.EIO):
		advice = "the disk fails: look at the kernel's log"
	}
	return fmt.Errorf("%s: %w: %s", name, err, advice)
}

func failedLocally(name string, err error) pipeline.Answer {
	return pipeline.Answer{Outcome: pipeline.Failed, Code: "error", Err: fmt.Errorf("%s: %w", name, err)}
}
