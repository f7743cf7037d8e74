package exporter

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A compressor is a gzip.Writer or a zstd.Encoder.
type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
}

// A coding is one way to compress an answer. One compressor is kept for the next scrape: a sync.Pool is emptied by the
// collections of garbage between two scrapes, and a new compressor is a quarter of what a scrape allocates.
type coding struct {
	name  string
	make  func() compressor
	spare chan compressor // room for one
}

// codings are those that are known, best first. gzip is klauspost's at level 1: on 22,000 series a quarter of the time of
// the standard library's default level, for 8 % more bytes. Prometheus asks for nothing else.
func codings() []*coding {
	return []*coding{
		{name: "zstd", spare: make(chan compressor, 1), make: func() compressor {
			z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
				zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true))
			if err != nil {
				panic(err) // the options are constants
			}
			return z
		}},
		{name: "gzip", spare: make(chan compressor, 1), make: func() compressor {
			z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
			if err != nil {
				panic(err) // the level is a constant
			}
			return z
		}},
	}
}

// begin lends a compressor that writes to w. It must be closed and given back.
func (c *coding) begin(w io.Writer) compressor {
	var z compressor
	select {
	case z = <-c.spare:
	default:
		z = c.make()
	}
	z.Reset(w)
	return z
}

// end takes back what begin lent.
func (c *coding) end(z compressor) {
	z.Reset(nil) // it must not keep the connection
	select {
	case c.spare <- z:
	default:
	}
}

// accepts tells whether a client takes a coding; "gzip;q=0" says that it does not.
func accepts(h http.Header, coding string) bool {
	for _, values := range h["Accept-Encoding"] {
		for v := range strings.SplitSeq(values, ",") {
			name, params, _ := strings.Cut(v, ";")
			if !strings.EqualFold(strings.TrimSpace(name), coding) {
				continue
			}
			q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			weight, err := strconv.ParseFloat(q, 64)
			return !ok || err != nil || weight > 0
		}
	}
	return false
}
