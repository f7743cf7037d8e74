package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A scrape is what /metrics said at one moment.
type scrape map[string]*dto.MetricFamily

var scraper = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}

// fetch asks a leatd for a page.
func fetch(address, path string) (int, string, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := scraper.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// fetchMetrics asks a leatd for its metrics.
func fetchMetrics(address string) (scrape, error) {
	_, body, err := fetch(address, "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(strings.NewReader(body))
}

func (d *daemon) get(path string) (int, string) {
	d.t.Helper()
	code, body, err := fetch(d.address, path)
	if err != nil {
		d.t.Fatal(err)
	}
	return code, body
}

func (d *daemon) metrics() scrape {
	d.t.Helper()
	s, err := fetchMetrics(d.address)
	if err != nil {
		d.t.Fatalf("/metrics: %v", err)
	}
	return s
}

// sum adds up the series of a name that have all the labels, each NAME=VALUE.
func (s scrape) sum(name string, labels ...string) (total float64) {
	for _, m := range s[name].GetMetric() {
		has := map[string]bool{}
		for _, l := range m.Label {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		all := true
		for _, l := range labels {
			all = all && has[l]
		}
		if all {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
}

// metric waits until a sum is what it should be.
func (d *daemon) metric(want float64, name string, labels ...string) {
	d.t.Helper()
	d.eventually(fmt.Sprintf("%s%q is %v", name, labels, want), func() error {
		if got := d.metrics().sum(name, labels...); got != want {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
}

// balanced checks the ledger of every container and sink, and that leatd has found the same.
func (d *daemon) balanced() {
	d.t.Helper()
	s := d.metrics()
	if err := balances(s); err != nil {
		d.t.Error(err)
	}
	if n := s.sum("leat_ledger_unbalanced_series"); n != 0 || s["leat_ledger_unbalanced_series"] == nil {
		d.t.Errorf("leatd says that %v series do not add up", n)
	}
}
