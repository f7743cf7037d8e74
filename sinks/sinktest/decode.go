package sinktest

import (
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// A Source is one stream of one container, or one host file. There is one Source for it however often it is met, in
// whichever request.
type Source struct {
	Namespace, Pod, Container, Stream string
	Path                              string // of a host file

	// Data is for the use of OnLine.
	Data any

	// Lines are kept here if the receiver has no OnLine, in the order in which they came.
	Lines []Line
}

// A decoder reads uncompressed bodies of one protocol and gives every line to see. It remembers what it met before, so
// that a line costs no allocation.
type decoder struct {
	sources map[[5]string]*Source
	known   map[string]*Source // by the bytes that name a source in the protocol
	key     []byte
	see     func(s *Source, time int64, line []byte)
}

// A Decoder reads bodies of requests one after the other, and remembers their sources.
type Decoder struct {
	body
	*decoder
}

// NewDecoder gives every line to see; line is valid during the call.
func NewDecoder(see func(s *Source, time int64, line []byte)) *Decoder {
	return &Decoder{decoder: newDecoder(see)}
}

// Decode reads one body of a kind ("loki", "loki_json", "otlp", "http") with its Content-Encoding; for "loki" that is
// snappy, whatever is given.
func (d *Decoder) Decode(kind, encoding string, raw []byte) error {
	if kind == "loki" {
		encoding = "snappy"
	}
	plain, err := d.decompress(encoding, raw)
	if err != nil {
		return err
	}
	return d.decode(kind, plain)
}

// Decode reads the lines of one body, as a Decoder does.
func Decode(kind, encoding string, raw []byte) (lines []Line, err error) {
	d := NewDecoder(func(s *Source, at int64, line []byte) {
		lines = append(lines, Line{s.Namespace, s.Pod, s.Container, s.Stream, at, string(line)})
	})
	return lines, d.Decode(kind, encoding, raw)
}

func newDecoder(see func(*Source, int64, []byte)) *decoder {
	return &decoder{sources: map[[5]string]*Source{}, known: map[string]*Source{}, see: see}
}

func (d *decoder) decode(kind string, raw []byte) error {
	switch kind {
	case "loki":
		return d.loki(raw)
	case "loki_json":
		return d.lokiJSON(raw)
	case "otlp":
		return d.otlp(raw)
	}
	return d.ndjson(raw)
}

func (d *decoder) source(namespace, pod, container, stream, path string) *Source {
	key := [5]string{namespace, pod, container, stream, path}
	s := d.sources[key]
	if s == nil {
		s = &Source{Namespace: namespace, Pod: pod, Container: container, Stream: stream, Path: path}
		d.sources[key] = s
	}
	return s
}

var errProto = errors.New("not a well-formed protobuf message")

// message calls see for each field of a message: v for those with a length, n for numbers of any size.
func message(b []byte, see func(num protowire.Number, v []byte, n uint64) error) error {
	for len(b) > 0 {
		tag, size := binary.Uvarint(b)
		if size <= 0 {
			return errProto
		}
		b = b[size:]
		var v []byte
		var n uint64
		switch protowire.Type(tag & 7) {
		case protowire.BytesType:
			length, size := binary.Uvarint(b)
			if size <= 0 || length > uint64(len(b)-size) {
				return errProto
			}
			v, b = b[size:size+int(length)], b[size+int(length):]
		case protowire.VarintType:
			if n, size = binary.Uvarint(b); size <= 0 {
				return errProto
			}
			b = b[size:]
		case protowire.Fixed64Type:
			if len(b) < 8 {
				return errProto
			}
			n, b = binary.LittleEndian.Uint64(b), b[8:]
		case protowire.Fixed32Type:
			if len(b) < 4 {
				return errProto
			}
			n, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
		default:
			return errProto
		}
		if err := see(protowire.Number(tag>>3), v, n); err != nil {
			return err
		}
	}
	return nil
}
