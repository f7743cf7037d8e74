package exporter

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A Lane is what the ledger needs of a lane.
//
// Rows may leave Rows only when their figures are final, and those with something pending only together, when it comes to
// nothing over all of them. Their targets are not seen there again.
type Lane interface {
	Name() string
	Rows(dst []pipeline.Row) []pipeline.Row
	Sums() pipeline.Sums
	Stats() *pipeline.Stats
	Lifetime() (targets map[string]pipeline.Totals, ended pipeline.Totals)
	SpoolFigures() (f pipeline.SpoolFigures, spooling, configured bool)
}

// LogsBy says how finely the ledger's series are cut.
type LogsBy uint8

const (
	ByContainer LogsBy = iota // namespace, pod and container; a host file by its path
	ByNamespace               // namespace; all host files together
	ByNone                    // the sink alone
)

// ParseLogsBy reads the setting metrics.logs_by.
func ParseLogsBy(s string) (LogsBy, error) {
	switch s {
	case "container":
		return ByContainer, nil
	case "namespace":
		return ByNamespace, nil
	case "none":
		return ByNone, nil
	}
	return 0, fmt.Errorf("metrics.logs_by: %q is not one of container, namespace, none", s)
}

// A Ledger shows the accounts of lanes. It may be used by any number of goroutines.
type Ledger struct {
	families []family // sorted by name
	pages    sync.Pool

	mu    sync.Mutex
	books []*book
}

// NewLedger makes the ledger of lanes whose names differ. Each lane has at most that many series of a family, and beside
// them one for all other containers and one for all other host files; 0 is no bound.
func NewLedger(by LogsBy, maxSeries int, lanes ...Lane) *Ledger {
	l := &Ledger{families: families()}
	for _, lane := range lanes {
		l.books = append(l.books, newBook(lane, by, maxSeries))
	}
	slices.SortFunc(l.books, func(a, b *book) int { return cmp.Compare(a.name, b.name) })
	return l
}

// A page is one scrape's copy of everything the ledger has to say.
type page struct {
	now   time.Time
	lanes []lanePage
}

// A lanePage is one lane's part of a page.
type lanePage struct {
	name      string
	tail      []byte // see labels
	lines     []line
	sums      pipeline.Sums
	requests  []answered // sorted by code
	retries   int64
	sentBytes int64
	up        int64
	shards    int64
	leftOut   [pipeline.NumReasons]int64
	unkept    int64

	unbalanced int64 // of lines, those that do not add up
	merged     int64 // identities without a line of their own
	spool      *pipeline.SpoolFigures
	spooling   int64
	spoolOf    pipeline.SpoolFigures // what spool points to, unless it is nil
}

// A line is what one series is made of: whose figures, and the figures.
type line struct {
	labels  *labels
	figures pipeline.Figures
}

type answered struct {
	code string // an HTTP status, "ok" or "error": there cannot be many
	n    int64
}

// open copies what the lanes have to say to a page. It must be closed.
func (l *Ledger) open() *page {
	p, _ := l.pages.Get().(*page)
	if p == nil {
		p = &page{lanes: make([]lanePage, len(l.books))}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, b := range l.books {
		b.copyTo(&p.lanes[i])
	}
	p.now = time.Now() // after the rows, so that none is younger
	return p
}

func (l *Ledger) close(p *page) { l.pages.Put(p) }

// stats is what the ledger shows of pipeline.Stats.
type stats interface {
	Requests() map[string]int64
	SentBytes() int64
	Retries() int64
	Up() bool
	Shards() int
	LeftOut() [pipeline.NumReasons]int64
	Unkept() int64
}

func (p *lanePage) take(s stats) {
	p.requests = p.requests[:0]
	for code, n := range s.Requests() {
		p.requests = append(p.requests, answered{valid(code), n})
	}
	slices.SortFunc(p.requests, func(a, b answered) int { return cmp.Compare(a.code, b.code) })
	p.retries, p.sentBytes, p.shards, p.up = s.Retries(), s.SentBytes(), int64(s.Shards()), oneIf(s.Up())
	p.leftOut, p.unkept = s.LeftOut(), s.Unkept()
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
