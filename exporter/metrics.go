package exporter

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

const (
	maxScrapes   = 10          // at once; one more is told to come back
	scrapeLasts  = time.Minute // to send an answer to a client that hardly reads
	answerBuffer = 32 << 10
	sayAgain     = 5 * time.Minute // what comes and goes must not fill leatd's own log
)

// metrics answers scrapes: text, OpenMetrics or protobuf, whichever the client likes best; compressed if it likes; only
// what it chooses by collect[], exclude[] (as node_exporter knows them) or name[].
type metrics struct {
	registry *Registry
	log      *slog.Logger
	scrapes  chan struct{} // a place for each scrape that is under way
	codings  []*coding

	mu   sync.Mutex
	told bool      // the log has heard that gathering everything fails
	when time.Time // when it heard of it last
}

func newMetrics(r *Registry, log *slog.Logger) *metrics {
	return &metrics{registry: r, log: log, scrapes: make(chan struct{}, maxScrapes), codings: codings()}
}

// A scrape is what one answer is made of.
type scrape struct {
	others []*dto.MetricFamily // sorted by name; shared with other scrapes
	ledger *Ledger             // nil if it was not asked for
	wanted func(name string) bool
}

func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case m.scrapes <- struct{}{}:
		defer func() { <-m.scrapes }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, fmt.Sprintf("%d scrapes are under way, try again later", maxScrapes), http.StatusServiceUnavailable)
		return
	}
	s, err := m.gather(r)
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody listens any more
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// Not every writer can have a deadline; one that cannot is no network connection.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(scrapeLasts))

	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	h := w.Header()
	h.Set("Content-Type", string(format))
	h.Add("Vary", "Accept")
	h.Add("Vary", "Accept-Encoding")
	var out io.Writer = w
	for _, c := range m.codings {
		if accepts(r.Header, c.name) {
			h.Set("Content-Encoding", c.name)
			z := c.begin(w)
			defer c.end(z)
			defer z.Close()
			out = z
			break
		}
	}
	if err := s.write(bufio.NewWriterSize(out, answerBuffer), format); err != nil {
		// The client is gone, or its time is over. The status is sent: only a broken connection says that this is not all.
		m.registry.trouble.WithLabelValues(encoding).Inc()
		m.log.Debug("scrape: " + err.Error())
		panic(http.ErrAbortHandler)
	}
}

// gather asks for what the request wants. The error is the client's own.
func (m *metrics) gather(r *http.Request) (s scrape, err error) {
	q := r.URL.Query()
	s.wanted = wanted(q["name[]"])
	collect, exclude := q["collect[]"], q["exclude[]"]
	if len(collect) == 0 {
		s.ledger = m.registry.ledger
	}
	if len(collect) == 0 && len(exclude) == 0 {
		s.others, err = m.registry.gather(r.Context())
		if r.Context().Err() == nil {
			m.remark(err)
		}
		return s, nil
	}
	g, err := m.registry.choose(collect, exclude)
	if err != nil {
		return s, err
	}
	if s.others, err = begin(g, nil).wait(r.Context()); err != nil {
		m.registry.trouble.WithLabelValues(gathering).Inc() // a scrape of everything says what it is
	}
	return s, nil
}

// write writes everything, merged by name.
func (s *scrape) write(b *bufio.Writer, format expfmt.Format) error {
	encoder := expfmt.NewEncoder(b, format)
	kind := format.FormatType()
	others := s.others
	var own []family
	var p *page
	switch {
	case s.ledger == nil:
	case kind == expfmt.TypeTextPlain || kind == expfmt.TypeOpenMetrics:
		own, p = s.ledger.families, s.ledger.open()
		defer s.ledger.close(p)
	default:
		others = merge(others, s.ledger.Gather())
	}
	for len(own) > 0 || len(others) > 0 {
		if len(others) == 0 || len(own) > 0 && own[0].name < others[0].GetName() {
			if s.wanted(own[0].name) {
				own[0].writeText(b, p, kind == expfmt.TypeOpenMetrics)
			}
			own = own[1:]
			continue
		}
		if s.wanted(others[0].GetName()) {
			if err := encoder.Encode(others[0]); err != nil {
				return err
			}
		}
		others = others[1:]
	}
	if c, ok := encoder.(expfmt.Closer); ok {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return b.Flush()
}

// remark counts what went wrong in gathering everything, and logs it once, whatever its words: they name what came last
// and its value, and that is another one each time. What could be gathered is served.
func (m *metrics) remark(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		if m.told {
			m.log.Info("metrics: all can be gathered again")
		}
		m.told = false
		return
	}
	m.registry.trouble.WithLabelValues(gathering).Inc()
	if now := time.Now(); !m.told && (m.when.IsZero() || now.Sub(m.when) >= sayAgain) {
		m.told, m.when = true, now
		m.log.Warn("metrics: some could not be gathered and are left out of /metrics", "err", err)
	}
}

// wanted tells which families a client asked for by name[]; all if it named none.
func wanted(names []string) func(string) bool {
	return func(name string) bool { return len(names) == 0 || slices.Contains(names, name) }
}
