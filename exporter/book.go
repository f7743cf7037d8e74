package exporter

import (
	"slices"

	"github.com/leatd/leat/pipeline"
)

// A book turns the rows of one lane into series: several rows may share one, and series outlive rows.
// The ledger's lock guards it.
type book struct {
	name  string
	tail  []byte
	lane  Lane
	stats stats
	by    LogsBy
	most  int // series; 0 is no bound

	rows, before []pipeline.Row // of this scrape and of the one before
	owners       map[*pipeline.Target]*owner
	series       map[identity]*series
	merged       map[identity]*merged // those without a series of their own
	order        []*series            // sorted by labels
	round        uint64               // counts scrapes
}

// An owner is a target that has a row.
type owner struct {
	series *series
	merged *merged // what it would have a series of; nil if it has one
	row    int     // in rows
	round  uint64  // in which it was last seen
}

// A merged identity came when there were as many series as there may be: its figures are in the series of the others. It
// stays there as long as it has owners, even when there is room again: the others' counters would go back if it left
// them for a series of its own.
type merged struct {
	identity
	owners int
}

// A series is the sum of its owners' figures, and what owners who left have settled.
type series struct {
	labels *labels // never changed: pages point to it
	owners int
	past   *pipeline.Figures // nil while nobody has left
	line   int               // where it stands in order, and in the page
}

func newBook(lane Lane, by LogsBy, most int) *book {
	b := &book{
		name:   valid(lane.Name()),
		lane:   lane,
		stats:  lane.Stats(),
		by:     by,
		most:   most,
		owners: make(map[*pipeline.Target]*owner),
		series: make(map[identity]*series),
		merged: make(map[identity]*merged),
	}
	b.tail = append(appendLabel(nil, "sink", b.name), "} "...)
	if by == ByNone {
		// There from the start, and never removed: it stands for the sink, not for who came and went.
		s := b.find(identity{})
		s.owners++
	}
	return b
}

// copyTo asks the lane and writes down what it says.
func (b *book) copyTo(p *lanePage) {
	b.round++
	b.rows, b.before = b.lane.Rows(b.before[:0]), b.rows
	seen := 0
	for i := range b.rows {
		if b.admit(b.rows[i].Target, i) {
			seen++
		}
	}
	if seen < len(b.owners) {
		b.dismiss()
	}
	b.sort()

	p.name, p.tail = b.name, b.tail
	p.lines = slices.Grow(p.lines[:0], len(b.order))[:len(b.order)]
	for i, s := range b.order {
		p.lines[i] = line{labels: s.labels}
		if s.past != nil {
			p.lines[i].figures = *s.past
		}
	}
	for i := range b.rows {
		add(&p.lines[b.owners[b.rows[i].Target].series.line].figures, &b.rows[i].Figures)
	}
	p.merged = int64(len(b.merged))
	p.unbalanced = 0
	for i := range p.lines {
		p.unbalanced += oneIf(!balanced(&p.lines[i].figures))
	}
	p.sums = b.lane.Sums()
	p.take(b.stats)
	p.spool = nil
	if f, spooling, configured := b.lane.SpoolFigures(); configured {
		p.spoolOf, p.spooling = f, oneIf(spooling)
		p.spool = &p.spoolOf
	}
}

// balanced tells that figures add up, in lines and in bytes.
func balanced(f *pipeline.Figures) bool {
	sum := f.Delivered
	sum.Add(f.Pending.Lines, f.Pending.Bytes)
	for _, d := range f.Dropped {
		sum.Add(d.Lines, d.Bytes)
	}
	return sum == f.Read
}

// admit notes whose row that is, and tells whether its owner is seen for the first time in this round.
func (b *book) admit(t *pipeline.Target, row int) bool {
	o := b.owners[t]
	if o == nil {
		o = b.assign(identify(t, b.by))
		o.series.owners++
		b.owners[t] = o
	}
	first := o.round != b.round
	o.row, o.round = row, b.round
	return first
}

// dismiss lets go of owners without a row, and of series without an owner.
func (b *book) dismiss() {
	for t, o := range b.owners {
		if o.round == b.round {
			continue
		}
		delete(b.owners, t)
		if m := o.merged; m != nil {
			if m.owners--; m.owners == 0 {
				delete(b.merged, m.identity)
			}
		}
		s := o.series
		if s.owners--; s.owners == 0 {
			delete(b.series, s.labels.identity)
			b.order = nil
			continue
		}
		if s.past == nil {
			s.past = new(pipeline.Figures)
		}
		f := b.before[o.row].Figures
		settle(&f)
		add(s.past, &f)
	}
}

// assign gives the rows of an identity their series: its own, or once there are too many, that of the others.
func (b *book) assign(id identity) *owner {
	m := b.merged[id]
	if m == nil {
		if b.series[id] != nil || b.most == 0 || len(b.series) < b.most || id == id.others() {
			return &owner{series: b.find(id)}
		}
		m = &merged{identity: id}
		b.merged[id] = m
	}
	m.owners++
	return &owner{series: b.find(id.others()), merged: m}
}

func (b *book) find(id identity) *series {
	s := b.series[id]
	if s == nil {
		s = &series{labels: newLabels(id)}
		b.series[id] = s
		b.order = nil
	}
	return s
}

// sort makes the order anew if series came or went.
func (b *book) sort() {
	if b.order != nil {
		return
	}
	b.order = make([]*series, 0, len(b.series))
	for _, s := range b.series {
		b.order = append(b.order, s)
	}
	slices.SortFunc(b.order, func(x, y *series) int { return x.labels.compare(&y.labels.identity) })
	for i, s := range b.order {
		s.line = i
	}
}

// settle leaves of figures what stays when their owner is gone. A row leaves minutes after its last verdict, so what is
// pending in it and in those that leave with it comes to nothing, unless nobody scraped in that time: then the sums must
// still agree.
func settle(f *pipeline.Figures) {
	f.Read = f.Delivered
	for _, d := range f.Dropped {
		f.Read.Add(d.Lines, d.Bytes)
	}
	f.Pending, f.Unread, f.Oldest = pipeline.Count{}, 0, 0
}

// add sums figures. The oldest record of two targets is the older one.
func add(sum, f *pipeline.Figures) {
	sum.Read.Add(f.Read.Lines, f.Read.Bytes)
	sum.Delivered.Add(f.Delivered.Lines, f.Delivered.Bytes)
	sum.Pending.Add(f.Pending.Lines, f.Pending.Bytes)
	for r := range f.Dropped {
		sum.Dropped[r].Add(f.Dropped[r].Lines, f.Dropped[r].Bytes)
	}
	for r := range f.Lost {
		sum.Lost[r] += f.Lost[r]
	}
	sum.Unread += f.Unread
	sum.Gaps += f.Gaps
	sum.Unparsed += f.Unparsed
	sum.Truncated += f.Truncated
	sum.Doubtful += f.Doubtful
	if f.Oldest != 0 && (sum.Oldest == 0 || f.Oldest < sum.Oldest) {
		sum.Oldest = f.Oldest
	}
}
