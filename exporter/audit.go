package exporter

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/leatd/leat/pipeline"
)

// An Audit is everything that the ledger can say of what became of the lines, for people and for scripts: what /audit
// serves as JSON and `leatd audit` prints. Its JSON names never change; new ones may come.
type Audit struct {
	Time    time.Time `json:"time"`
	Started time.Time `json:"started"` // when the process began to count
	Version string    `json:"version"`
	Node    string    `json:"node"`
	Verdict Verdict   `json:"verdict"`

	// CannotKnow is what no figure shows, in sentences.
	CannotKnow []string `json:"cannot_know"`

	Sinks []AuditSink `json:"sinks"` // by name
}

// An AuditSink is one sink's part of an audit.
type AuditSink struct {
	Name  string      `json:"name"`
	Up    bool        `json:"up"` // the last request did not fail
	Spool *AuditSpool `json:"spool,omitempty"`

	// LeftOutLines are those, at the least, that the store left out of requests without saying whose they were, by reason.
	// In the accounts they are delivered, and doubtful.
	LeftOutLines map[string]int64 `json:"left_out_lines"`

	SinceStart Balance       `json:"since_start"` // all that the process has met, of targets that are gone too
	Lifetime   Lifetime      `json:"lifetime"`    // as saved last, a moment ago
	Targets    []AuditTarget `json:"targets"`     // worst first
}

// An AuditSpool is what lies in a sink's spool.
type AuditSpool struct {
	Spooling       bool    `json:"spooling"` // lines go there now
	Bytes          int64   `json:"bytes"`
	LimitBytes     int64   `json:"limit_bytes"`
	UnreadBytes    int64   `json:"unread_bytes"`
	DamagedRecords int64   `json:"damaged_records"`
	LagSeconds     float64 `json:"lag_seconds"`
}

// An AuditTarget is a container's log or a host file in one sink.
type AuditTarget struct {
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	UID       string `json:"uid,omitempty"`
	Container string `json:"container,omitempty"`
	Path      string `json:"path,omitempty"`

	Balance
	UnreadBytes int64    `json:"unread_bytes"`
	LagSeconds  float64  `json:"lag_seconds"`
	Lifetime    Lifetime `json:"lifetime"`
}

// A Balance is an account that must add up: read = delivered + dropped + pending, in lines and in bytes.
type Balance struct {
	Read      Amount            `json:"read"`
	Delivered Amount            `json:"delivered"`
	Pending   Amount            `json:"pending"`
	Dropped   map[string]Amount `json:"dropped"`    // by reason
	LostBytes map[string]int64  `json:"lost_bytes"` // by reason
	Gaps      int64             `json:"gaps"`

	// DoubtfulLines were delivered in requests of which the store left out some lines, and did not say whose.
	DoubtfulLines int64 `json:"doubtful_lines"`

	// Consistent tells that the account does add up.
	Consistent bool `json:"consistent"`
}

// An Amount is a number of lines and of their bytes.
type Amount struct {
	Lines int64 `json:"lines"`
	Bytes int64 `json:"bytes"`
}

// A Lifetime is what was counted however often leatd was restarted.
type Lifetime struct {
	Delivered Amount `json:"delivered"`
	Dropped   Amount `json:"dropped"`
	LostBytes int64  `json:"lost_bytes"`
	Gaps      int64  `json:"gaps"`
}

// Audit asks the lanes.
func (l *Ledger) Audit() *Audit {
	a := &Audit{Sinks: []AuditSink{}}
	for _, b := range l.books {
		a.Sinks = append(a.Sinks, audit(b.name, b.lane, b.stats))
	}
	a.Time = time.Now().UTC()
	a.Judge(false)
	return a
}

func audit(name string, lane Lane, stats stats) AuditSink {
	lifetimes, ended := lane.Lifetime()
	s := AuditSink{Name: name, Up: stats.Up(), LeftOutLines: map[string]int64{}, Targets: []AuditTarget{}}
	for r, n := range stats.LeftOut() {
		if n > 0 {
			s.LeftOutLines[pipeline.Reason(r).String()] = n
		}
	}
	sums := lane.Sums()
	s.SinceStart = balance(&pipeline.Figures{
		Read: sums.Read, Delivered: sums.Delivered, Pending: sums.Pending,
		Dropped: sums.Dropped, Lost: sums.Lost, Gaps: sums.Gaps, Doubtful: sums.Doubtful,
	})
	whole := ended
	for _, t := range lifetimes {
		whole.Add(t)
	}
	s.Lifetime = lifetime(whole)
	now := time.Now()
	if f, spooling, configured := lane.SpoolFigures(); configured {
		s.Spool = &AuditSpool{
			Spooling: spooling, Bytes: f.Bytes, LimitBytes: f.MaxBytes, UnreadBytes: f.Left, DamagedRecords: f.Damaged,
			LagSeconds: lag(f.Oldest, now),
		}
	}

	// Rows of one key are one target's: its reader's and the spool's, or those of a log that came back.
	figures := make(map[string]*pipeline.Figures)
	targets := make(map[string]*pipeline.Target)
	for _, row := range lane.Rows(nil) {
		key := row.Target.Key
		if figures[key] == nil {
			figures[key], targets[key] = new(pipeline.Figures), row.Target
		}
		add(figures[key], &row.Figures)
	}
	for key, f := range figures {
		t := targets[key]
		s.Targets = append(s.Targets, AuditTarget{
			Namespace: valid(t.Namespace), Pod: valid(t.Pod), UID: valid(t.UID), Container: valid(t.Container), Path: valid(t.Path),
			Balance: balance(f), UnreadBytes: f.Unread, LagSeconds: lag(f.Oldest, now), Lifetime: lifetime(lifetimes[key]),
		})
	}
	slices.SortFunc(s.Targets, func(a, b AuditTarget) int { return a.Compare(&b) })
	return s
}

func balance(f *pipeline.Figures) Balance {
	b := Balance{
		Read: Amount(f.Read), Delivered: Amount(f.Delivered), Pending: Amount(f.Pending),
		Dropped: map[string]Amount{}, LostBytes: map[string]int64{}, Gaps: f.Gaps, DoubtfulLines: f.Doubtful, Consistent: balanced(f),
	}
	for r, d := range f.Dropped {
		if d != (pipeline.Count{}) {
			b.Dropped[pipeline.Reason(r).String()] = Amount(d)
		}
	}
	for r, n := range f.Lost {
		if n != 0 {
			b.LostBytes[pipeline.LossReason(r).String()] = n
		}
	}
	return b
}

func lifetime(t pipeline.Totals) Lifetime {
	return Lifetime{Amount(t.Delivered), Amount(t.Dropped), t.LostBytes, t.Gaps}
}

// Name is what people call the target.
func (t *AuditTarget) Name() string {
	if t.Path != "" {
		return t.Path
	}
	return t.Namespace + "/" + t.Pod + "/" + t.Container
}

// Compare puts the worse target first: an account that does not add up, then what is lost, what is doubtful, what waits
// longest.
func (t *AuditTarget) Compare(o *AuditTarget) int {
	worst := func(t *AuditTarget) [5]int64 {
		dropped, lost := t.Losses()
		w := [5]int64{1: t.Gaps, 2: dropped.Bytes + lost, 3: t.DoubtfulLines, 4: int64(t.LagSeconds * 1e3)}
		if !t.Consistent {
			w[0] = 1
		}
		return w
	}
	a, b := worst(t), worst(o)
	return cmp.Or(slices.Compare(b[:], a[:]), cmp.Compare(t.Name(), o.Name()), cmp.Compare(t.UID, o.UID))
}

// Losses are what was dropped and how many bytes were lost, over all reasons.
func (b *Balance) Losses() (dropped Amount, lost int64) {
	for _, d := range b.Dropped {
		dropped.add(d)
	}
	for _, n := range b.LostBytes {
		lost += n
	}
	return dropped, lost
}

// Sum makes the sink's own figures those of the targets that it holds.
func (s *AuditSink) Sum() {
	s.SinceStart, s.Lifetime = balance(new(pipeline.Figures)), Lifetime{}
	for i := range s.Targets {
		s.SinceStart.add(&s.Targets[i].Balance)
		l := &s.Targets[i].Lifetime
		s.Lifetime.Delivered.add(l.Delivered)
		s.Lifetime.Dropped.add(l.Dropped)
		s.Lifetime.LostBytes += l.LostBytes
		s.Lifetime.Gaps += l.Gaps
	}
}

func (b *Balance) add(o *Balance) {
	b.Read.add(o.Read)
	b.Delivered.add(o.Delivered)
	b.Pending.add(o.Pending)
	for reason, d := range o.Dropped {
		sum := b.Dropped[reason]
		sum.add(d)
		b.Dropped[reason] = sum
	}
	for reason, n := range o.LostBytes {
		b.LostBytes[reason] += n
	}
	b.Gaps += o.Gaps
	b.DoubtfulLines += o.DoubtfulLines
	b.Consistent = b.Consistent && o.Consistent
}

func (a *Amount) add(o Amount) { a.Lines, a.Bytes = a.Lines+o.Lines, a.Bytes+o.Bytes }

// auditPage serves a ledger's audit.
type auditPage struct {
	ledger        *Ledger
	version, node string
	started       time.Time
}

func (p *auditPage) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a := p.ledger.Audit()
	a.Version, a.Node, a.Started = valid(p.version), valid(p.node), p.started
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(a) // an error is the client's, who has gone
}
