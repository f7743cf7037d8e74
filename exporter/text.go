package exporter

import (
	"bufio"
	"strconv"
	"strings"
)

// writeText writes one family of a page in the text format or, but for the end of it, in OpenMetrics.
// A family without a sample is left out, as a gathered one would be.
func (f *family) writeText(w *bufio.Writer, p *page, openMetrics bool) {
	started := false
	p.walk(f, func(lane *lanePage, l *labels, value string, v float64) {
		if !started {
			started = true
			f.writeHead(w, openMetrics)
		}
		b := append(append(w.AvailableBuffer(), f.name...), '{')
		if l != nil {
			b = append(b, l.head...)
		}
		if f.label != "" {
			b = append(appendLabel(b, f.label, value), ',')
		}
		b = append(b, lane.tail...)
		w.Write(append(appendNumber(b, v), '\n')) // w keeps the first error until Flush
	})
}

func (f *family) writeHead(w *bufio.Writer, openMetrics bool) {
	name, kind := f.name, "gauge"
	if f.counter {
		kind = "counter"
		if openMetrics {
			name = strings.TrimSuffix(name, "_total")
		}
	}
	for _, s := range []string{"# HELP ", name, " ", f.help, "\n# TYPE ", name, " ", kind, "\n"} {
		w.WriteString(s)
	}
}

// appendNumber writes whole numbers without an exponent, so that they can be read by eye.
func appendNumber(b []byte, v float64) []byte {
	if n := int64(v); float64(n) == v {
		return strconv.AppendInt(b, n, 10)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// walk gives every sample of a family. l is nil for a family of the lane alone.
func (p *page) walk(f *family, sample func(lane *lanePage, l *labels, value string, v float64)) {
	for i := range p.lanes {
		lane := &p.lanes[i]
		if f.lane != nil {
			f.lane(lane, p.now, func(value string, v float64) { sample(lane, nil, value, v) })
			continue
		}
		var l *labels
		put := func(value string, v float64) { sample(lane, l, value, v) }
		for j := range lane.lines {
			l = lane.lines[j].labels
			f.row(&lane.lines[j].figures, p.now, put)
		}
	}
}
