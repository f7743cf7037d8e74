package node

import (
	"errors"
	"fmt"
	"log/slog"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/node_exporter/collector"

	"github.com/leatd/leat/collector/cutoff"
)

// A source is one of node_exporter's collectors, made when it can be.
type source struct {
	name string
	log  *slog.Logger
	made collector.Collector // nil until it could be made
}

// Update implements cutoff.Source.
func (s *source) Update(ch chan<- prometheus.Metric) error {
	if err := s.make(); err != nil {
		return err
	}
	err := s.made.Update(ch)
	if collector.IsNoDataError(err) {
		return cutoff.ErrNoData
	}
	return err
}

// make makes the collector if it is not made yet. Some panic on a flag that is no regular expression.
func (s *source) make() (err error) {
	if s.made != nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	made, err := collector.NewNodeCollector(s.log, s.name)
	if err != nil {
		return err
	}
	s.made = made.Collectors[s.name]
	return nil
}

// machines tells that an error is the machine's, which may heal, and no mistake in a flag.
func machines(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}
