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

func (d *daemon) get(path string) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+d.address+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	resp, err := scraper.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (d *daemon) metrics() scrape {
	d.t.Helper()
	_, body := d.get("/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		d.t.Fatalf("/metrics: %v", err)
	}
	return families
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

// balanced checks the ledger: read = delivered + dropped + pending.
func (d *daemon) balanced() {
	d.t.Helper()
	s := d.metrics()
	for _, unit := range []string{"lines", "bytes"} {
		read := s.sum("leat_log_read_" + unit + "_total")
		delivered, dropped := s.sum("leat_log_delivered_"+unit+"_total"), s.sum("leat_log_dropped_"+unit+"_total")
		if pending := s.sum("leat_log_pending_" + unit); read != delivered+dropped+pending {
			d.t.Errorf("the ledger does not add up: %v %s read, %v delivered, %v dropped, %v pending", read, unit, delivered, dropped, pending)
		}
	}
}
