package servers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pageLimit is how many lines are asked for at once. An answer passes through Loki's own limit of 4 MiB a message, so
// pages of long lines become smaller.
const pageLimit = 5000

// A Stream is what Loki holds of one set of labels.
type Stream struct {
	Labels  map[string]string
	Entries []Entry // in order of time; where times are equal, those of the same metadata as Loki has them
}

// An Entry is one line with its time in nanoseconds since the Unix epoch.
type Entry struct {
	Time     int64
	Line     string
	Metadata map[string]string // structured metadata, nil if there is none
}

// Query reads every line that the query selects with a time in [start, end), however many there are: none is missing,
// none is there twice. It reads page after page, forwards. A full page may end between lines of the same time, so those
// of its last time are left to the next page, which begins with that time. The streams are in order of their labels.
func (l *Loki) Query(ctx context.Context, logQL string, start, end time.Time) ([]Stream, error) {
	found := make(map[string]*Stream)
	limit, tooFew := pageLimit, 0 // tooFew: a page of so many lines held nothing but the time it began with
	for from := start.UnixNano(); ; {
		page, err := l.page(ctx, logQL, from, end.UnixNano(), limit)
		if tooLarge(err) && limit/2 > tooFew {
			limit /= 2
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("loki: query %s from %d, %d lines a page: %w", logQL, from, limit, err)
		}
		lines, last := page.measure()
		switch {
		case lines < limit:
			page.addTo(found, end.UnixNano())
			return inOrder(found), nil
		case last == from:
			tooFew = limit
			limit *= 2
		default:
			page.addTo(found, last)
			from, tooFew = last, 0
		}
	}
}

func inOrder(found map[string]*Stream) []Stream {
	keys := make([]string, 0, len(found))
	for key := range found {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	streams := make([]Stream, len(keys))
	for i, key := range keys {
		streams[i] = *found[key]
		slices.SortStableFunc(streams[i].Entries, func(a, b Entry) int { return cmp.Compare(a.Time, b.Time) })
	}
	return streams
}

// tooLarge is Loki's answer when the page is more than a message between its parts may hold.
func tooLarge(err error) bool {
	var answer *answerError
	return errors.As(err, &answer) && strings.Contains(answer.text, "larger than max")
}

// A page is the answer to one request.
type page []struct {
	Stream map[string]string `json:"stream"`
	Values []value           `json:"values"`
}

func (l *Loki) page(ctx context.Context, logQL string, from, to int64, limit int) (page, error) {
	form := url.Values{
		"query":     {logQL},
		"start":     {stamp(from)},
		"end":       {stamp(to)},
		"limit":     {strconv.Itoa(limit)},
		"direction": {"forward"},
	}
	body, err := l.get(ctx, "/loki/api/v1/query_range?"+form.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			ResultType string `json:"resultType"`
			Result     page   `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if answer.Data.ResultType != "streams" {
		return nil, fmt.Errorf("the result is %q: only a query for lines can be read", answer.Data.ResultType)
	}
	return answer.Data.Result, nil
}

// stamp writes a time as text, since Loki takes a number of ten digits or fewer for seconds.
func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

// measure is the number of lines and the largest time.
func (p page) measure() (lines int, last int64) {
	for _, s := range p {
		lines += len(s.Values)
		for _, v := range s.Values {
			last = max(last, v.Time)
		}
	}
	return lines, last
}

// addTo adds the lines before a time to the streams by their labels. Loki answers in groups of the same metadata, which
// it repeats among the labels.
func (p page) addTo(found map[string]*Stream, before int64) {
	for _, group := range p {
		for _, v := range group.Values {
			if v.Time >= before {
				continue
			}
			labels := group.Stream
			if len(v.Metadata) > 0 {
				labels = maps.Clone(labels)
				maps.DeleteFunc(labels, func(name, value string) bool { return v.Metadata[name] == value })
			}
			key, _ := json.Marshal(labels) // in order of the names; a map of strings always can be written
			stream := found[string(key)]
			if stream == nil {
				stream = &Stream{Labels: labels}
				found[string(key)] = stream
			}
			stream.Entries = append(stream.Entries, Entry(v))
		}
	}
}

// A value is an Entry as Loki writes it: ["TIME", "LINE", {"structuredMetadata": {"NAME": "VALUE"}}].
type value Entry

func (v *value) UnmarshalJSON(text []byte) error {
	var at string
	var extra struct {
		StructuredMetadata map[string]string `json:"structuredMetadata"`
	}
	if err := json.Unmarshal(text, &[]any{&at, &v.Line, &extra}); err != nil {
		return err
	}
	v.Metadata = extra.StructuredMetadata
	var err error
	v.Time, err = strconv.ParseInt(at, 10, 64)
	return err
}
