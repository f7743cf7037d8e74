package sinks

import (
	"bytes"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func FuzzFrameEnd(f *testing.F) {
	f.Add(frame(f, "short"))
	f.Add(frame(f, strings.Repeat("long ", 50000)))
	f.Add(frame(f, "no checksum", zstd.WithEncoderCRC(false)))
	f.Add(frame(f, "", zstd.WithZeroFrames(true)))
	f.Add(frame(f, strings.Repeat("a", 1<<20), zstd.WithSingleSegment(true)))
	f.Fuzz(func(t *testing.T, b []byte) {
		end, err := frameEnd(bytes.NewReader(b), 0, int64(len(b)))
		if err == nil && (end <= 0 || end > int64(len(b))) {
			t.Fatalf("a frame of %d in %d bytes", end, len(b))
		}
		if err != nil && end != 0 {
			t.Fatalf("%d and %v", end, err)
		}
		// what decodes as one frame ends where we say
		d, derr := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(8<<20))
		if derr != nil {
			t.Fatal(derr)
		}
		defer d.Close()
		var h zstd.Header
		if h.Decode(b) != nil || h.Skippable {
			return
		}
		if _, derr := d.DecodeAll(b, nil); derr == nil && err != nil {
			t.Fatalf("decodes, and we say %v", err)
		}
		if err == nil {
			if _, before := d.DecodeAll(b[:end-1], nil); before == nil {
				t.Fatalf("decodes without the last byte, too")
			}
		}
	})
}
