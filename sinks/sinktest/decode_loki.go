package sinktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

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
	return d.labelled(labels), nil
}

// labelled is the source that a stream's labels name.
func (d *decoder) labelled(labels map[string]string) *Source {
	return d.source(labels["namespace"], labels["pod"], labels["container"], labels["stream"], labels["filename"])
}

// lokiJSON reads {"streams": [{"stream": {label: value}, "values": [["nanoseconds", "line", metadata]]}]}.
func (d *decoder) lokiJSON(body []byte) error {
	var request struct {
		Streams []struct {
			Stream map[string]string
			Values [][]json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return fmt.Errorf("loki: %w", err)
	}
	for _, stream := range request.Streams {
		source := d.labelled(stream.Stream)
		for _, value := range stream.Values {
			if len(value) < 2 {
				return fmt.Errorf("loki: an entry of %d values", len(value))
			}
			at, err := unquote(value[0])
			if err != nil {
				return fmt.Errorf("loki: time: %w", err)
			}
			line, err := unquote(value[1])
			if err != nil {
				return fmt.Errorf("loki: line: %w", err)
			}
			nanos, err := strconv.ParseInt(string(at), 10, 64)
			if err != nil {
				return fmt.Errorf("loki: time: %w", err)
			}
			d.see(source, nanos, line)
		}
	}
	return nil
}
