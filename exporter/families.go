package exporter

import (
	"math"
	"time"

	"github.com/leatd/leat/pipeline"
)

// A family is one metric of the ledger. Exactly one of row and lane is set: row is called once for each series of each
// lane, lane once for each lane.
type family struct {
	name, help string
	counter    bool   // else a gauge
	label      string // the label beside those that say whose figures they are; "" if there is none

	row  func(f *pipeline.Figures, now time.Time, put put)
	lane func(l *lanePage, now time.Time, put put)
}

// put gives one sample, with the value of the family's own label if it has one.
type put func(label string, v float64)

// families is every metric of the ledger, sorted by name.
func families() []family {
	return []family{
		perLane("leat_doubtful_lines_total", "Lines delivered at most, over all containers: the store left out some of their requests, and did not say whose.", true,
			func(l *lanePage) int64 { return l.sums.Doubtful }),
		perReason("leat_dropped_lines_total", "Lines that could never be delivered to the sink, over all containers.",
			pipeline.NumReasons, func(l *lanePage, r pipeline.Reason) int64 { return l.sums.Dropped[r].Lines }),
		perLane("leat_gaps_total", "Log files that vanished before the sink had read them, nobody knows how large, over all containers.", true,
			func(l *lanePage) int64 { return l.sums.Gaps }),
		perLane("leat_ledger_merged_series", "Containers, host files or namespaces beyond metrics.logs_max_series: their figures are in the series whose labels say other.", false,
			func(l *lanePage) int64 { return l.merged }),
		perLane("leat_ledger_unbalanced_series", "Series in this very answer whose read is not delivered + dropped + pending; always 0.", false,
			func(l *lanePage) int64 { return l.unbalanced }),
		perReason("leat_left_out_lines_total", "Lines, at the least, that the store left out of requests without saying whose; they count as delivered.",
			pipeline.NumReasons, func(l *lanePage, r pipeline.Reason) int64 { return l.leftOut[r] }),
		rowCounter("leat_log_delivered_bytes_total", "Bytes of log lines that the sink has for good.",
			func(f *pipeline.Figures) int64 { return f.Delivered.Bytes }),
		rowCounter("leat_log_delivered_lines_total", "Log lines that the sink has for good.",
			func(f *pipeline.Figures) int64 { return f.Delivered.Lines }),
		{
			name: "leat_log_doubtful_lines_total", counter: true,
			help: "Delivered log lines whose request the store took in part, without saying whose lines it left out.",
			row: func(f *pipeline.Figures, _ time.Time, put put) {
				if f.Doubtful != 0 { // as with what is dropped: for most containers there is none, ever
					put("", float64(f.Doubtful))
				}
			},
		},
		rowReasons("leat_log_dropped_bytes_total", "Bytes of log lines that were read and could never be delivered.",
			pipeline.NumReasons, func(f *pipeline.Figures, r pipeline.Reason) int64 { return f.Dropped[r].Bytes }),
		rowReasons("leat_log_dropped_lines_total", "Log lines that were read and could never be delivered.",
			pipeline.NumReasons, func(f *pipeline.Figures, r pipeline.Reason) int64 { return f.Dropped[r].Lines }),
		rowCounter("leat_log_gaps_total", "Log files that vanished before they were read, nobody knows how large.",
			func(f *pipeline.Figures) int64 { return f.Gaps }),
		{
			name: "leat_log_lag_seconds",
			help: "Age of the oldest log line that was read and has no verdict yet, 0 if there is none.",
			row:  func(f *pipeline.Figures, now time.Time, put put) { put("", lag(f.Oldest, now)) },
		},
		rowReasons("leat_log_lost_bytes_total", "Bytes of log files that vanished before they were read.",
			pipeline.NumLossReasons, func(f *pipeline.Figures, r pipeline.LossReason) int64 { return f.Lost[r] }),
		rowGauge("leat_log_pending_bytes", "Bytes of log lines that were read and have no verdict yet.",
			func(f *pipeline.Figures) int64 { return f.Pending.Bytes }),
		rowGauge("leat_log_pending_lines", "Log lines that were read and have no verdict yet.",
			func(f *pipeline.Figures) int64 { return f.Pending.Lines }),
		rowCounter("leat_log_read_bytes_total", "Bytes of log lines read from disk for this sink.",
			func(f *pipeline.Figures) int64 { return f.Read.Bytes }),
		rowCounter("leat_log_read_lines_total", "Log lines read from disk for this sink.",
			func(f *pipeline.Figures) int64 { return f.Read.Lines }),
		rowCounter("leat_log_truncated_lines_total", "Log lines of which only the first logs.max_line bytes were kept.",
			func(f *pipeline.Figures) int64 { return f.Truncated }),
		rowCounter("leat_log_unparsed_lines_total", "Log lines in no known format, kept whole with the time of the line before.",
			func(f *pipeline.Figures) int64 { return f.Unparsed }),
		rowGauge("leat_log_unread_bytes", "Bytes of log files on disk that this sink has yet to read.",
			func(f *pipeline.Figures) int64 { return f.Unread }),
		perReason("leat_lost_bytes_total", "Bytes of log files that vanished before the sink had read them, over all containers.",
			pipeline.NumLossReasons, func(l *lanePage, r pipeline.LossReason) int64 { return l.sums.Lost[r] }),
		{
			name: "leat_sink_requests_total", help: "Requests to the sink by the code of its answer.",
			counter: true, label: "code",
			lane: func(l *lanePage, _ time.Time, put put) {
				for i := range l.requests {
					put(l.requests[i].code, float64(l.requests[i].n))
				}
			},
		},
		perLane("leat_sink_retries_total", "Requests that were sent because an earlier one had failed.", true,
			func(l *lanePage) int64 { return l.retries }),
		perLane("leat_sink_sent_bytes_total", "Bytes of request bodies as sent, the repeated ones included.", true,
			func(l *lanePage) int64 { return l.sentBytes }),
		perLane("leat_sink_shards", "Shards that work for the sink now.", false,
			func(l *lanePage) int64 { return l.shards }),
		perSpool("leat_sink_spooling", "1 while lines go to the sink's spool on disk, else 0.", false,
			func(l *lanePage) float64 { return float64(l.spooling) }),
		perLane("leat_sink_unkept_lines_total", "Refused lines that could not be written to the dead letters.", true,
			func(l *lanePage) int64 { return l.unkept }),
		perLane("leat_sink_up", "0 while the last request to the sink has failed, else 1.", false,
			func(l *lanePage) int64 { return l.up }),
		perSpool("leat_spool_bytes", "Bytes of the sink's spool on disk.", false,
			func(l *lanePage) float64 { return float64(l.spool.Bytes) }),
		perSpool("leat_spool_damaged_records_total", "Records of the spool that could not be read back.", true,
			func(l *lanePage) float64 { return float64(l.spool.Damaged) }),
		{
			name: "leat_spool_lag_seconds",
			help: "Age of the oldest log line in the sink's spool, 0 if it is empty.",
			lane: func(l *lanePage, now time.Time, put put) {
				if l.spool != nil {
					put("", lag(l.spool.Oldest, now))
				}
			},
		},
		perSpool("leat_spool_limit_bytes", "The most that leat_spool_bytes may be.", false,
			func(l *lanePage) float64 { return float64(l.spool.MaxBytes) }),
		perSpool("leat_spool_records_total", "Records appended to the sink's spool.", true,
			func(l *lanePage) float64 { return float64(l.spool.Records) }),
		perSpool("leat_spool_unread_bytes", "Bytes of the sink's spool that are yet to be read back.", false,
			func(l *lanePage) float64 { return float64(l.spool.Left) }),
	}
}

// perSpool has no sample for a sink without a spool.
func perSpool(name, help string, counter bool, value func(*lanePage) float64) family {
	return family{name: name, help: help, counter: counter,
		lane: func(l *lanePage, _ time.Time, put put) {
			if l.spool != nil {
				put("", value(l))
			}
		}}
}

func rowCounter(name, help string, value func(*pipeline.Figures) int64) family {
	f := rowGauge(name, help, value)
	f.counter = true
	return f
}

func rowGauge(name, help string, value func(*pipeline.Figures) int64) family {
	return family{name: name, help: help,
		row: func(f *pipeline.Figures, _ time.Time, put put) { put("", float64(value(f))) }}
}

// rowReasons has a series only for what happened: most containers lose nothing, in any of the ways there are.
func rowReasons[R reason](name, help string, n R, value func(*pipeline.Figures, R) int64) family {
	return family{name: name, help: help, counter: true, label: "reason",
		row: func(f *pipeline.Figures, _ time.Time, put put) {
			for r := range n {
				if v := value(f, r); v != 0 {
					put(r.String(), float64(v))
				}
			}
		}}
}

// perReason has a series for every reason from the start: alerts stand on these, and an increase from nothing is none.
func perReason[R reason](name, help string, n R, value func(*lanePage, R) int64) family {
	return family{name: name, help: help, counter: true, label: "reason",
		lane: func(l *lanePage, _ time.Time, put put) {
			for r := range n {
				put(r.String(), float64(value(l, r)))
			}
		}}
}

func perLane(name, help string, counter bool, value func(*lanePage) int64) family {
	return family{name: name, help: help, counter: counter,
		lane: func(l *lanePage, _ time.Time, put put) { put("", float64(value(l))) }}
}

type reason interface {
	~uint8
	String() string
}

// lag is the age of a record's time in whole milliseconds. A record from the future is no lag, nor is none.
func lag(oldest int64, now time.Time) float64 {
	if oldest == 0 {
		return 0
	}
	// A record of the far past is further away than a Duration can say.
	ms := now.UnixMilli() - int64(math.Floor(float64(oldest)/1e6))
	return max(0, float64(ms)/1e3)
}
