package sinks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leatd/leat/pipeline"
)

// maxReadBack bounds what a body that is read back may become: bodies come from disk, where anything can happen to them,
// and a small one can say that it is large. A series that alone is larger than 8 MiB cannot be read back.
const maxReadBack = 8 << 20

// Fields of remote write 1.0's prometheus.WriteRequest, by their numbers.
const (
	oldSeries        = 1
	oldSeriesLabels  = 1
	oldSeriesSamples = 2
	oldSampleValue   = 1
	oldSampleTime    = 2
)

var errNotWritten = errors.New("it is not what was written")

// readSeries calls see with each series of a body that a writeEncoder made; the series is valid during the call. The
// first error of see ends it.
func readSeries(body []byte, see func(*series) error) error {
	n, err := s2.DecodedLen(body)
	if err != nil {
		return fmt.Errorf("snappy: %w", err)
	}
	if n > maxReadBack {
		return fmt.Errorf("snappy: %d bytes, at most %d: %w", n, maxReadBack, errNotWritten)
	}
	plain, err := s2.Decode(nil, body)
	if err != nil {
		return fmt.Errorf("snappy: %w", err)
	}
	var symbols []string
	if !fields(plain, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) bool {
		if num == writeSymbols {
			symbols = append(symbols, string(v))
		}
		return typ == protowire.BytesType && (num == writeSymbols || num == writeSeries)
	}) {
		return fmt.Errorf("request: %w", errNotWritten)
	}
	s := writtenReader{symbols: symbols}
	if !fields(plain, func(num protowire.Number, _ protowire.Type, v []byte, _ uint64) bool {
		if num == writeSymbols {
			return true
		}
		if !s.read(v) {
			err = fmt.Errorf("series: %w", errNotWritten)
			return false
		}
		err = see(&s.one)
		return err == nil
	}) {
		return err
	}
	return nil
}

type writtenReader struct {
	symbols []string
	labels  []pipeline.Label
	one     series
}

// symbol is the string that a reference means; ok is false for one that means none.
func (r *writtenReader) symbol(ref uint64) (s string, ok bool) {
	if ref >= uint64(len(r.symbols)) {
		return "", false
	}
	return r.symbols[ref], true
}

// read reads one series with its one sample.
func (r *writtenReader) read(b []byte) bool {
	r.one = series{}
	r.labels = r.labels[:0]
	ok := fields(b, func(num protowire.Number, typ protowire.Type, v []byte, _ uint64) bool {
		if typ != protowire.BytesType {
			return false
		}
		switch num {
		case seriesLabels:
			return r.readLabels(v)
		case seriesSamples:
			return r.readSample(v)
		case seriesMetadata:
			return r.readMetadata(v)
		}
		return false
	})
	r.one.labels = r.labels
	return ok && len(r.labels) > 0
}

func (r *writtenReader) readLabels(v []byte) bool {
	for len(v) > 0 {
		var pair [2]string
		for i := range pair {
			ref, n := binary.Uvarint(v)
			if n <= 0 {
				return false
			}
			v = v[n:]
			var ok bool
			if pair[i], ok = r.symbol(ref); !ok {
				return false
			}
		}
		r.labels = append(r.labels, pipeline.Label{Name: pair[0], Value: pair[1]})
	}
	return true
}

func (r *writtenReader) readSample(v []byte) bool {
	return fields(v, func(num protowire.Number, typ protowire.Type, _ []byte, n uint64) bool {
		switch {
		case num == sampleValue && typ == protowire.Fixed64Type:
			r.one.value = math.Float64frombits(n)
		case num == sampleTime && typ == protowire.VarintType:
			r.one.time = int64(n)
		case num == sampleStart && typ == protowire.VarintType:
			r.one.start = int64(n)
		default:
			return false
		}
		return true
	})
}

func (r *writtenReader) readMetadata(v []byte) bool {
	return fields(v, func(num protowire.Number, typ protowire.Type, _ []byte, n uint64) (ok bool) {
		if typ != protowire.VarintType {
			return false
		}
		switch num {
		case metadataType:
			r.one.kind, ok = n, true
		case metadataHelp:
			r.one.help, ok = r.symbol(n)
		case metadataUnit:
			r.one.unit, ok = r.symbol(n)
		}
		return ok
	})
}

// toRemoteWrite1 turns a body of remote write 2.0 into one of 1.0. Types, help texts and start times have no place there.
func toRemoteWrite1(body []byte) ([]byte, error) {
	var plain []byte
	err := readSeries(body, func(s *series) error {
		labels := 0
		for i := range s.labels {
			labels += fieldLen(fieldLen(len(s.labels[i].Name)) + fieldLen(len(s.labels[i].Value)))
		}
		var room [maxScalars]byte
		sample := appendDouble(room[:0], oldSampleValue, s.value)
		sample = appendNumber(sample, oldSampleTime, uint64(s.time))
		size := labels + fieldLen(len(sample))
		if len(plain)+fieldLen(size) > maxReadBack {
			return fmt.Errorf("labels: more than %d bytes: %w", maxReadBack, errNotWritten)
		}
		plain = appendHead(plain, oldSeries, size)
		for i := range s.labels {
			plain = appendPair(plain, oldSeriesLabels, s.labels[i].Name, s.labels[i].Value)
		}
		plain = appendField(plain, oldSeriesSamples, sample)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s2.EncodeSnappy(nil, plain), nil
}
