package sinktest

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// otlp reads an ExportLogsServiceRequest: resource_logs = 1 {resource = 1, scope_logs = 2 {log_records = 2}}. Fields come
// in any order: the Collector writes the highest number first.
func (d *decoder) otlp(body []byte) error {
	return message(body, func(num protowire.Number, logs []byte, _ uint64) error {
		if num != 1 {
			return fmt.Errorf("otlp: field %d in a request", num)
		}
		var resource []byte
		err := message(logs, func(num protowire.Number, v []byte, _ uint64) error {
			if num == 1 {
				resource = v
			}
			return nil
		})
		if err != nil {
			return err
		}
		var last *Source // of the record before; its stream is mostly the next one's, too
		var lastStream string
		return message(logs, func(num protowire.Number, scope []byte, _ uint64) error {
			if num != 2 {
				return nil
			}
			return message(scope, func(num protowire.Number, record []byte, _ uint64) error {
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
