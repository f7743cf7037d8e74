package pipeline

import "slices"

// A piece is what a request holds of one segment: all of its records, those of one stream, or some of them in a row.
type piece struct {
	block   *Block
	segment *Segment
	records []Record
	stderr  bool // where a request holds one stream only: it is that of standard error
}

// appendPieces appends a segment: one piece, or one for each of its streams where a request must not hold both.
func appendPieces(dst []piece, b *Block, seg *Segment, oneStream bool) []piece {
	records := b.Of(seg)
	if !oneStream || seg.Target.Described.Stderr == nil || seg.Any&Stderr == 0 {
		return append(dst, piece{block: b, segment: seg, records: records})
	}
	if seg.All&Stderr != 0 {
		return append(dst, piece{block: b, segment: seg, records: records, stderr: true})
	}
	sorted := make([]Record, 0, len(records))
	for _, stream := range [...]Flags{0, Stderr} {
		for _, r := range records {
			if r.Flags&Stderr == stream {
				sorted = append(sorted, r)
			}
		}
	}
	n := slices.IndexFunc(sorted, func(r Record) bool { return r.Flags&Stderr != 0 })
	return append(dst,
		piece{block: b, segment: seg, records: sorted[:n:n]},
		piece{block: b, segment: seg, records: sorted[n:], stderr: true})
}

// A streamKey is what must not be asked for together where the store's answer differs by it: a target, or one of its two
// streams where a request holds one only.
type streamKey struct {
	target *LaneTarget
	stderr bool
}

func (p *piece) stream() streamKey { return streamKey{p.segment.Target, p.stderr} }

// several tells that pieces belong to more than one target.
func several(pieces []piece) bool {
	return slices.ContainsFunc(pieces, func(p piece) bool { return p.segment.Target != pieces[0].segment.Target })
}

// count is how many records there are in pieces.
func count(pieces []piece) (records int) {
	for _, p := range pieces {
		records += len(p.records)
	}
	return records
}

// bytesOf is how many bytes there are in the bodies of records.
func bytesOf(records []Record) (bytes int64) {
	for i := range records {
		bytes += int64(records[i].Len)
	}
	return bytes
}

// group puts the pieces of a stream beside one another, the streams in the order of the batch.
func group(pieces []piece) {
	first := make(map[streamKey]int)
	for i := range pieces {
		if _, seen := first[pieces[i].stream()]; !seen {
			first[pieces[i].stream()] = i
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return first[a.stream()] - first[b.stream()] })
}

// halve cuts pieces with two records or more in two that have some: between two targets if there are several, else
// between two segments, else within the only one that has records; as near to the middle as that can be. What is left
// comes before what is right, in every target.
func halve(pieces []piece) (left, right []piece) {
	if several(pieces) {
		group(pieces)
	}
	total := count(pieces)
	for _, apart := range [...]func(a, b *piece) bool{
		func(a, b *piece) bool { return a.segment.Target != b.segment.Target },
		func(*piece, *piece) bool { return true },
	} {
		at, before := 0, 0
		off := total // how far the best cut is from the middle, twice
		for i := range pieces {
			if d := max(2*before-total, total-2*before); d < off && apart(&pieces[i-1], &pieces[i]) {
				at, off = i, d
			}
			before += len(pieces[i].records)
		}
		if at > 0 {
			return pieces[:at:at], pieces[at:]
		}
	}
	at := slices.IndexFunc(pieces, func(p piece) bool { return len(p.records) > 0 })
	first, second := pieces[at], pieces[at]
	middle := total / 2
	first.records, second.records = first.records[:middle:middle], second.records[middle:]
	return append(slices.Clip(pieces[:at]), first), append([]piece{second}, pieces[at+1:]...)
}
