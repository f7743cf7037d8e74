package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatd/leat/collector/tail"
	"github.com/leatd/leat/sinks"
)

// fileMetrics are the figures about files that are in no account of the ledger: those that discovery found and that
// cannot be read, those that are deleted and held open, and those that file sinks have removed.
type fileMetrics struct {
	set    *tail.Set
	lanes  []lane
	stores []store // of the lanes, in their order

	unreadable, heldFiles, heldBytes, reopened, removedFiles, removedBytes *prometheus.Desc
}

func newFileMetrics(set *tail.Set, lanes []lane, stores []store) *fileMetrics {
	sink := []string{"sink"}
	return &fileMetrics{
		set: set, lanes: lanes, stores: stores,
		unreadable: prometheus.NewDesc("leat_log_unreadable_files",
			"Log files that could not be opened when they were tried last.", nil, nil),
		heldFiles: prometheus.NewDesc("leat_log_held_deleted_files",
			"Log files that are deleted, and held open until every sink has what is in them.", nil, nil),
		heldBytes: prometheus.NewDesc("leat_log_held_deleted_bytes",
			"Bytes of deleted log files that some sink does not have yet.", nil, nil),
		reopened: prometheus.NewDesc("leat_log_reopened_files_total",
			"Log files that grew for a minute without being read, and were opened anew.", sink, nil),
		removedFiles: prometheus.NewDesc("leat_sink_removed_files_total",
			"Segments that a file sink removed to stay within its max_bytes.", sink, nil),
		removedBytes: prometheus.NewDesc("leat_sink_removed_bytes_total",
			"Bytes of the segments that a file sink removed to stay within its max_bytes.", sink, nil),
	}
}

// Describe is prometheus.Collector's.
func (m *fileMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.unreadable, m.heldFiles, m.heldBytes, m.reopened, m.removedFiles, m.removedBytes} {
		ch <- d
	}
}

// Collect is prometheus.Collector's.
func (m *fileMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter := func(d *prometheus.Desc, v int64, sink string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), sink)
	}
	gauge(m.unreadable, int64(m.set.Unreadable()))
	files, bytes := m.set.Held()
	gauge(m.heldFiles, int64(files))
	gauge(m.heldBytes, bytes)
	for i, l := range m.lanes {
		counter(m.reopened, l.intake.Reopened(), l.Name())
		if folder, ok := m.stores[i].(*sinks.File); ok {
			files, bytes := folder.Deleted()
			counter(m.removedFiles, files, l.Name())
			counter(m.removedBytes, bytes, l.Name())
		}
	}
}
