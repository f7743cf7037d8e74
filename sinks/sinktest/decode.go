package sinktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

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

func newDecoder(see func(*Source, int64, []byte)) *decoder {
	return &decoder{sources: map[[5]string]*Source{}, known: map[string]*Source{}, see: see}
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

// loki reads a PushRequest: streams = 1 {labels = 1, entries = 2 {timestamp = 1 {seconds = 1, nanos = 2}, line = 2}}.
func (d *decoder) loki(body []byte) error {
	return message(body, func(num protowire.Number, stream []byte, _ uint64) error {
		if num != 1 {
			return fmt.Errorf("loki: field %d in a PushRequest", num)
		}
		var source *Source
		return message(stream, func(num protowire.Number, v []byte, _ uint64) (err error) {
			switch num {
			case 1:
				if source = d.known[string(v)]; source == nil {
					if source, err = d.lokiSource(string(v)); err != nil {
						return err
					}
					d.known[string(v)] = source
				}
			case 2:
				if source == nil {
					return errors.New("loki: an entry stands before its stream's labels")
				}
				return d.lokiEntry(source, v)
			}
			return nil
		})
	})
}

func (d *decoder) lokiEntry(source *Source, entry []byte) error {
	var at int64
	var line []byte
	err := message(entry, func(num protowire.Number, v []byte, _ uint64) error {
		switch num {
		case 1:
			return message(v, func(num protowire.Number, _ []byte, n uint64) error {
				if num == 1 {
					at += int64(n) * 1e9
				} else {
					at += int64(n)
				}
				return nil
			})
		case 2:
			line = v
		}
		return nil
	})
	if err == nil {
		d.see(source, at, line)
	}
	return err
}

// lokiSource reads a label set as Loki does: {name="value", …}, the values quoted as in Go.
func (d *decoder) lokiSource(set string) (*Source, error) {
	labels := map[string]string{}
	rest, ok := strings.CutPrefix(set, "{")
	for ok && rest != "}" {
		name, after, found := strings.Cut(rest, "=")
		quoted, err := strconv.QuotedPrefix(after)
		if !found || err != nil {
			return nil, fmt.Errorf("loki: labels %s", set)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("loki: labels %s: %w", set, err)
		}
		if _, twice := labels[name]; twice {
			return nil, fmt.Errorf("loki: labels %s: %s is there twice", set, name)
		}
		labels[name] = value
		rest = after[len(quoted):]
		if next, more := strings.CutPrefix(rest, ", "); more {
			rest = next
		} else if rest != "}" {
			return nil, fmt.Errorf("loki: labels %s", set)
		}
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("loki: labels %s: a stream without labels is silently dropped", set)
	}
	return d.source(labels["namespace"], labels["pod"], labels["container"], labels["stream"], labels["filename"]), nil
}

// otlp reads an ExportLogsServiceRequest: resource_logs = 1 {resource = 1, scope_logs = 2 {log_records = 2}}.
func (d *decoder) otlp(body []byte) error {
	return message(body, func(num protowire.Number, logs []byte, _ uint64) error {
		if num != 1 {
			return fmt.Errorf("otlp: field %d in a request", num)
		}
		var resource []byte
		var last *Source // of the record before; its stream is mostly the next one's, too
		var lastStream string
		return message(logs, func(num protowire.Number, v []byte, _ uint64) error {
			switch num {
			case 1:
				resource, last = v, nil
			case 2:
				return message(v, func(num protowire.Number, record []byte, _ uint64) error {
					if num != 2 {
						return nil
					}
					at, text, stream, err := otlpRecord(record)
					if err != nil {
						return err
					}
					if last == nil || string(stream) != lastStream {
						lastStream = string(stream)
						if last, err = d.otlpSource(resource, lastStream); err != nil {
							return err
						}
					}
					d.see(last, at, text)
					return nil
				})
			}
			return nil
		})
	})
}

// otlpRecord reads a LogRecord: time_unix_nano = 1, body = 5, attributes = 6.
func otlpRecord(record []byte) (at int64, text, stream []byte, err error) {
	err = message(record, func(num protowire.Number, v []byte, n uint64) error {
		switch num {
		case 1:
			at = int64(n)
		case 5:
			return message(v, func(num protowire.Number, v []byte, _ uint64) error {
				if num != 1 {
					return errors.New("otlp: the body is no string")
				}
				text = v
				return nil
			})
		case 6:
			key, value, err := otlpAttribute(v)
			if string(key) == "log.iostream" {
				stream = value
			}
			return err
		}
		return nil
	})
	return at, text, stream, err
}

// otlpAttribute reads a KeyValue: key = 1, value = 2 {string_value = 1}. Other values than strings are left out.
func otlpAttribute(b []byte) (key, value []byte, err error) {
	err = message(b, func(num protowire.Number, v []byte, _ uint64) error {
		switch num {
		case 1:
			key = v
		case 2:
			return message(v, func(num protowire.Number, v []byte, _ uint64) error {
				if num == 1 {
					value = v
				}
				return nil
			})
		}
		return nil
	})
	return key, value, err
}

func (d *decoder) otlpSource(resource []byte, stream string) (*Source, error) {
	d.key = append(append(append(d.key[:0], stream...), 0), resource...)
	if s := d.known[string(d.key)]; s != nil {
		return s, nil
	}
	attributes := map[string]string{}
	err := message(resource, func(num protowire.Number, v []byte, _ uint64) error {
		if num != 1 {
			return nil
		}
		key, value, err := otlpAttribute(v)
		attributes[string(key)] = string(value)
		return err
	})
	if err != nil {
		return nil, err
	}
	s := d.source(attributes["k8s.namespace.name"], attributes["k8s.pod.name"], attributes["k8s.container.name"], stream, attributes["log.file.path"])
	d.known[string(d.key)] = s
	return s, nil
}
