package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The file of cursors is JSON for people, one target a line, sorted by key:
//
//	{"version":1,"targets":[
//	{"target":"NS_POD_UID/CONTAINER","generations":[{"id":"0-3f…","name":"0.log","offset":4096}],…},
//	…
//	],"ended":{…},"spool":{…},"crc32c":"89abcdef"}
//
// Ended are the totals of targets that ended and have no line any more, so that the sum over all is the lane's lifetime.
// The spool's state is there if the lane has a spool; its form is the spool's own. The checksum (Castagnoli) covers every byte before its own key's comma, so a torn or edited file is known for what it
// is. A reader must take a file whole or not at all.
type cursorsDoc struct {
	Version int             `json:"version"`
	Targets []cursorJSON    `json:"targets"`
	Ended   totalsJSON      `json:"ended"`
	Spool   json.RawMessage `json:"spool"`
	Sum     string          `json:"crc32c"`
}

type cursorJSON struct {
	Target      string         `json:"target,omitempty"`
	TargetBytes []byte         `json:"target_bytes,omitempty"` // instead, in base64, where a path is no UTF-8
	Generations []positionJSON `json:"generations,omitempty"`
	Parts       []partJSON     `json:"parts,omitempty"`
	Time        int64          `json:"time,omitempty"`
	Totals      totalsJSON     `json:"totals"`
	Spooled     uint64         `json:"spooled,omitempty"`
}

type positionJSON struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Offset int64  `json:"offset"`
	Done   bool   `json:"done,omitempty"`
	Skip   bool   `json:"skip,omitempty"`
}

type partJSON struct {
	Stream string `json:"stream"`
	ID     string `json:"id"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}

type totalsJSON struct {
	DeliveredLines int64 `json:"delivered_lines"`
	DeliveredBytes int64 `json:"delivered_bytes"`
	DroppedLines   int64 `json:"dropped_lines,omitempty"`
	DroppedBytes   int64 `json:"dropped_bytes,omitempty"`
	LostBytes      int64 `json:"lost_bytes,omitempty"`
	Gaps           int64 `json:"gaps,omitempty"`
}

const cursorsVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeCursor(c Cursor) []byte {
	line, err := json.Marshal(toJSON(c))
	if err != nil {
		panic("pipeline: a cursor that JSON cannot hold: " + err.Error())
	}
	return line
}

func appendCursors(out []byte, keys []string, lines map[string][]byte, ended Totals, spool []byte) []byte {
	out = fmt.Appendf(out, `{"version":%d,"targets":[`, cursorsVersion)
	for i, key := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, '\n')
		out = append(out, lines[key]...)
	}
	out = append(out, "\n]"...)
	if ended != (Totals{}) {
		sum, err := json.Marshal(toTotalsJSON(ended))
		if err != nil {
			panic("pipeline: totals that JSON cannot hold: " + err.Error())
		}
		out = append(append(out, `,"ended":`...), sum...)
	}
	if len(spool) > 0 {
		out = append(append(out, `,"spool":`...), spool...)
	}
	return appendSum(out, checksum(out))
}

func checksum(text []byte) uint32 { return crc32.Checksum(text, castagnoli) }

func appendSum(out []byte, sum uint32) []byte { return fmt.Appendf(out, `,"crc32c":"%08x"}`+"\n", sum) }

const sumLength = len(`,"crc32c":"89abcdef"}` + "\n")

func decodeCursors(data []byte) (cursors []Cursor, ended Totals, spool []byte, err error) {
	if len(data) < sumLength {
		return nil, ended, nil, fmt.Errorf("only %d bytes long", len(data))
	}
	body := data[:len(data)-sumLength]
	if want := appendSum(nil, checksum(body)); !bytes.Equal(data[len(body):], want) {
		return nil, ended, nil, errors.New("its checksum does not fit its content")
	}
	var doc cursorsDoc
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, ended, nil, err
	}
	if doc.Version != cursorsVersion {
		return nil, ended, nil, fmt.Errorf("version %d; this leatd knows version %d", doc.Version, cursorsVersion)
	}
	cursors = make([]Cursor, 0, len(doc.Targets))
	for _, t := range doc.Targets {
		c, err := fromJSON(t)
		if err != nil {
			return nil, ended, nil, fmt.Errorf("target %q: %w", t.Target, err)
		}
		cursors = append(cursors, c)
	}
	return cursors, doc.Ended.totals(), doc.Spool, nil
}

func toJSON(c Cursor) cursorJSON {
	j := cursorJSON{Target: c.Key, Time: c.Time, Spooled: c.Spooled, Totals: toTotalsJSON(c.Totals)}
	if !utf8.ValidString(c.Key) {
		j.Target, j.TargetBytes = "", []byte(c.Key)
	}
	for _, p := range c.Generations {
		j.Generations = append(j.Generations, positionJSON{p.ID.String(), p.Name, p.Offset, p.Done, p.Skip})
	}
	for _, p := range c.Parts {
		stream := "stdout"
		if p.Stderr {
			stream = "stderr"
		}
		j.Parts = append(j.Parts, partJSON{stream, p.ID.String(), p.Offset, p.Length})
	}
	return j
}

func fromJSON(j cursorJSON) (Cursor, error) {
	c := Cursor{Key: j.Target, Time: j.Time, Spooled: j.Spooled, Totals: j.Totals.totals()}
	if len(j.TargetBytes) > 0 {
		c.Key = string(j.TargetBytes)
	}
	for _, p := range j.Generations {
		id, err := parseGenerationID(p.ID)
		if err != nil {
			return Cursor{}, err
		}
		if p.Offset < 0 {
			return Cursor{}, fmt.Errorf("generation %s: offset %d", p.ID, p.Offset)
		}
		c.Generations = append(c.Generations, Position{id, p.Name, p.Offset, p.Done, p.Skip})
	}
	for _, p := range j.Parts {
		id, err := parseGenerationID(p.ID)
		if err != nil {
			return Cursor{}, err
		}
		if p.Offset < 0 || p.Length <= 0 {
			return Cursor{}, fmt.Errorf("part of %s: offset %d, length %d", p.ID, p.Offset, p.Length)
		}
		c.Parts = append(c.Parts, Part{p.Stream == "stderr", id, p.Offset, p.Length})
	}
	return c, nil
}

func toTotalsJSON(t Totals) totalsJSON {
	return totalsJSON{t.Delivered.Lines, t.Delivered.Bytes, t.Dropped.Lines, t.Dropped.Bytes, t.LostBytes, t.Gaps}
}

func (t totalsJSON) totals() Totals {
	return Totals{
		Delivered: Count{t.DeliveredLines, t.DeliveredBytes}, Dropped: Count{t.DroppedLines, t.DroppedBytes},
		LostBytes: t.LostBytes, Gaps: t.Gaps,
	}
}

func parseGenerationID(s string) (GenerationID, error) {
	restart, hash, ok := strings.Cut(s, "-")
	n, err := strconv.Atoi(restart)
	h, err2 := strconv.ParseUint(hash, 16, 64)
	if !ok || err != nil || err2 != nil || len(hash) != 16 {
		return GenerationID{}, fmt.Errorf("generation %q is not RESTART-HASH", s)
	}
	return GenerationID{n, h}, nil
}
