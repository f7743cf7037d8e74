package config

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	promconfig "github.com/prometheus/common/config"
)

// The types of sinks.
const (
	TypeLoki    = "loki"
	TypeOTLP    = "otlp"
	TypeHTTP    = "http"
	TypeFile    = "file"
	TypeConsole = "console"

	TypeRemoteWrite = "remote_write"
)

var sinkTypes = []string{TypeLoki, TypeOTLP, TypeHTTP, TypeRemoteWrite, TypeFile, TypeConsole}

// What a sink is sent.
const (
	SignalLogs    = "logs"
	SignalMetrics = "metrics"
)

// Compressions of request bodies.
const (
	Snappy       = "snappy"
	Gzip         = "gzip"
	Zstd         = "zstd"
	Uncompressed = "none"
)

// lokiStreamRate is what Loki takes of one stream in a second unless it is configured otherwise. It writes 3MB and means
// powers of 1024, where we write 3MiB. A rate of which five seconds don't hold a block of lines would never let it pass:
// lokiBlock, and the longest line that is joined in it, with a quarter more for what Loki counts beside them.
const (
	lokiStreamRate = 3 * MiB
	lokiBlock      = 256 * KiB
)

// lokiMaxBatch is the largest batch for Loki: it refuses a request of more than 4 MiB uncompressed, and beside the
// lines there are times and labels in it.
const lokiMaxBatch = 3 * MiB

// Sinks are sorted by name. In the file they are a mapping of names, so that several files' values can be merged.
type Sinks []Sink

// A Sink is one place where logs or metrics go. A key is accepted for the types that its `for` tag names, for all without one.
type Sink struct {
	Name string `yaml:"-"`
	Type string `yaml:"type" oneof:"loki,otlp,http,remote_write,file,console"`

	// URL is where requests go, complete with the protocol's own path. It holds no user and no password.
	// Of an otlp sink with two signals it is what their paths begin with; see SignalURL.
	URL promconfig.URL `yaml:"url" for:"loki,otlp,http,remote_write"`

	// Signals are SignalLogs, SignalMetrics or both; remote_write takes metrics, and the others logs.
	Signals []string `yaml:"signals" for:"otlp"`

	// Tenant goes as X-Scope-OrgID; empty: no such header.
	Tenant string `yaml:"tenant" for:"loki,remote_write"`

	// Labels and StructuredMetadata are the fields that Loki gets as stream labels and as structured metadata of every
	// line: names of LokiFields or of the owner's labels. Nil Labels: all of namespace, pod, container, node_name,
	// stream, filename and the owner's labels that a target has.
	Labels             []string `yaml:"labels" for:"loki"`
	StructuredMetadata []string `yaml:"structured_metadata" for:"loki"`

	// Compression is Snappy for Loki, Gzip, Zstd or Uncompressed for OTLP and HTTP, and empty for the others.
	Compression string `yaml:"compression" for:"loki,otlp,http"`

	// Timeout is how long one request may take.
	Timeout time.Duration `yaml:"timeout" for:"loki,otlp,http,remote_write" range:"1s,10m"`

	// MaxWait is how long a line may wait for others to be sent with; MaxBatch is how many bytes of lines are sent
	// together.
	MaxWait  time.Duration `yaml:"max_wait" for:"loki,otlp,http,file,console" range:"1ms,1m"`
	MaxBatch Size          `yaml:"max_batch" for:"loki,otlp,http,file,console" range:"64KiB,16MiB"`

	// MaxRate is how many bytes of lines are sent in a second; 0: no limit.
	MaxRate Size `yaml:"max_rate" for:"loki,otlp,http,file,console"`

	// StreamRate is how many bytes a second Loki takes of one stream, and it takes five times that at once; 0: no stream
	// is held back. Certain sends each stream by itself, so that Loki's answer is that stream's own.
	StreamRate Size `yaml:"stream_rate" for:"loki"`
	Certain    bool `yaml:"certain" for:"loki"`

	// MaxShards is how many requests may be under way at once.
	MaxShards int `yaml:"max_shards" for:"loki,otlp,http" range:"1,64"`

	// Spool keeps lines on disk while the sink fails, and metrics likewise, each up to its bound.
	Spool Spool `yaml:"spool" for:"loki,otlp,http,remote_write"`

	// DeadLetter keeps lines that the sink refuses for good.
	DeadLetter DeadLetter `yaml:"dead_letter" for:"loki,otlp,http"`

	// RecordID adds to each line an id that stays the same when the line is sent again.
	RecordID bool `yaml:"record_id" for:"loki,otlp,http,file,console"`

	// Path is the folder of a file sink, MaxBytes the bound of all that is in it, SegmentBytes the size at which a
	// file is closed and the next begun.
	Path         string `yaml:"path" for:"file"`
	MaxBytes     Size   `yaml:"max_bytes" for:"file" range:"1MiB,1PiB"`
	SegmentBytes Size   `yaml:"segment_bytes" for:"file" range:"64KiB,16GiB"`

	// HTTP holds TLS, authorization, headers and proxy. Its paths are absolute or count from the working directory.
	HTTP promconfig.HTTPClientConfig `yaml:",inline" for:"loki,otlp,http,remote_write"`

	inState bool // Path follows the state folder
}

// A Spool is the folder where what a sink is to have waits while it fails, below the state folder.
type Spool struct {
	// MaxBytes is its bound on disk; 0: there is none, and lines wait in their files alone.
	MaxBytes Size `yaml:"max_bytes"`

	// WhenFull is Block, to stop reading, or DropOldest, which metrics always do.
	WhenFull string `yaml:"when_full" oneof:"block,drop_oldest"`
}

// A DeadLetter is the folder of a sink's refused lines, below the state folder.
type DeadLetter struct {
	// MaxBytes is its bound on disk; 0: they are counted, and not kept.
	MaxBytes Size `yaml:"max_bytes"`
}

// What a full spool does.
const (
	Block      = "block"
	DropOldest = "drop_oldest"
)

// minSpool is the least that a spool is good for: some blocks, and a file to remove while the next is written.
const minSpool = 8 * MiB

// LokiFields are the fields that leatd knows of a line, by the names that Loki's users know.
// A host file has node_name, stream and filename only; the others have all but filename.
var LokiFields = [...]string{"namespace", "pod", "container", "node_name", "stream", "pod_uid", "restart_count", "filename"}

// paths are the protocols' own, for a url that has none.
var paths = map[string]string{TypeLoki: "/loki/api/v1/push", TypeOTLP: "/v1/logs", TypeHTTP: "/", TypeRemoteWrite: "/api/v1/write"}

const otlpMetrics = "/v1/metrics"

// compressions are what each protocol knows, the default first.
var compressions = map[string][]string{
	TypeLoki: {Snappy},
	// OpenTelemetry asks every receiver for gzip and none; zstd is cheaper where the receiver has it.
	TypeOTLP: {Gzip, Zstd, Uncompressed},
	TypeHTTP: {Gzip, Zstd, Uncompressed},
}

// defaultSink is a sink of a type with every default filled in. For a type that there is not it has those of HTTP.
func defaultSink(typ string) Sink {
	s := Sink{Type: typ, MaxWait: 200 * time.Millisecond, MaxBatch: MiB, MaxShards: 1}
	switch typ {
	case TypeFile:
		s.MaxBytes, s.SegmentBytes = GiB, 64*MiB
	case TypeConsole:
	default:
		s.Timeout = 30 * time.Second
		s.MaxShards = 4
		s.Spool = Spool{MaxBytes: GiB, WhenFull: Block}
		s.DeadLetter = DeadLetter{MaxBytes: 64 * MiB}
		if typ == TypeLoki {
			s.StreamRate = lokiStreamRate
		}
		s.HTTP = promconfig.DefaultHTTPClientConfig
		switch typ {
		case TypeOTLP:
			s.Signals = []string{SignalLogs}
		case TypeRemoteWrite:
			s.MaxWait, s.MaxBatch, s.MaxShards, s.DeadLetter = 0, 0, 0, DeadLetter{}
			s.Spool.WhenFull = DropOldest
		}
		if known := compressions[typ]; known != nil {
			s.Compression = known[0]
		}
	}
	return s
}

// TakesLogs and TakesMetrics tell what the sink is sent.
func (s Sink) TakesLogs() bool {
	return s.Type != TypeRemoteWrite && (s.Type != TypeOTLP || slices.Contains(s.Signals, SignalLogs))
}

func (s Sink) TakesMetrics() bool {
	return s.Type == TypeRemoteWrite || s.Type == TypeOTLP && slices.Contains(s.Signals, SignalMetrics)
}

// ownPath is the path of a URL that has none.
func (s Sink) ownPath() string {
	switch {
	case s.TakesLogs() && s.TakesMetrics():
		return ""
	case s.Type == TypeOTLP && s.TakesMetrics():
		return otlpMetrics
	}
	return paths[s.Type]
}

// SignalURL is where a signal's requests go: the sink's URL, with the signal's own path behind it where there are two.
func (s Sink) SignalURL(signal string) string {
	if s.URL.URL == nil {
		return ""
	}
	if s.TakesLogs() && s.TakesMetrics() {
		return s.URL.URL.JoinPath(map[string]string{SignalLogs: paths[TypeOTLP], SignalMetrics: otlpMetrics}[signal]).String()
	}
	return s.URL.String()
}

// String says where the sink's lines go, without secrets: a query can hold a token, so it is left out.
func (s Sink) String() string {
	switch {
	case s.Type == TypeFile:
		return fmt.Sprintf("%s (%s, %s)", s.Name, s.Type, s.Path)
	case s.URL.URL != nil:
		return fmt.Sprintf("%s (%s, %s)", s.Name, s.Type, shown(s.URL.URL))
	}
	return fmt.Sprintf("%s (%s)", s.Name, s.Type)
}

// shown is a URL without its secrets.
func shown(u *url.URL) string {
	v := *u
	v.User, v.RawQuery = nil, ""
	return v.String()
}
