package exporter

import (
	dto "github.com/prometheus/client_model/go"
)

// Gather returns the ledger's families as a prometheus.Registry would, sorted by name. Label pairs are shared by the
// samples of a series.
func (l *Ledger) Gather() []*dto.MetricFamily {
	p := l.open()
	defer l.close(p)
	pairs := make(map[*labels][]*dto.LabelPair)
	families := make([]*dto.MetricFamily, 0, len(l.families))
	for i := range l.families {
		f := &l.families[i]
		kind := dto.MetricType_GAUGE
		if f.counter {
			kind = dto.MetricType_COUNTER
		}
		mf := &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &kind}
		p.walk(f, func(lane *lanePage, own *labels, value string, v float64) {
			mf.Metric = append(mf.Metric, f.metric(pairs, lane, own, value, v))
		})
		if len(mf.Metric) > 0 {
			families = append(families, mf)
		}
	}
	return families
}

func (f *family) metric(pairs map[*labels][]*dto.LabelPair, lane *lanePage, own *labels, value string, v float64) *dto.Metric {
	// One allocation for what a sample is made of.
	m := new(struct {
		metric  dto.Metric
		counter dto.Counter
		gauge   dto.Gauge
		value   float64
	})
	m.value = v
	if f.counter {
		m.counter.Value, m.metric.Counter = &m.value, &m.counter
	} else {
		m.gauge.Value, m.metric.Gauge = &m.value, &m.gauge
	}
	if own != nil && f.label == "" {
		m.metric.Label = pairs[own]
		if m.metric.Label == nil {
			m.metric.Label = labelPairs(lane, own, "", "")
			pairs[own] = m.metric.Label
		}
		return &m.metric
	}
	m.metric.Label = labelPairs(lane, own, f.label, value)
	return &m.metric
}

func labelPairs(lane *lanePage, own *labels, name, value string) []*dto.LabelPair {
	pairs := make([]*dto.LabelPair, 0, 5)
	put := func(name, value string) { pairs = append(pairs, &dto.LabelPair{Name: &name, Value: &value}) }
	if own != nil {
		own.each(put)
	}
	if name != "" {
		put(name, value)
	}
	put("sink", lane.name)
	return pairs
}
