package sinks_test

import (
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/leatd/leat/sinks"
	"github.com/leatd/leat/sinks/sinktest"
)

func remote(url string, timeout time.Duration) sinks.Remote {
	cfg := config.DefaultHTTPClientConfig
	cfg.BasicAuth = &config.BasicAuth{Username: sinktest.User, Password: sinktest.Password}
	return sinks.Remote{Name: "central", URL: url, HTTP: cfg, Timeout: timeout, Version: "1.2.3"}
}

// opened gives a constructor's sink to a test.
func opened[S sinktest.Sink](tb testing.TB, s S, err error) sinktest.Sink {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for name, kind := range map[string]sinktest.Kind{
		"loki": {Name: "loki", Path: "/loki/api/v1/push", New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewLoki(remote(url, timeout), sinks.LokiFormat{}, 0)
			return opened(tb, s, err)
		}},
		"otlp gzip": {Name: "otlp", Path: "/v1/logs", New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewOTLP(remote(url, timeout), sinks.OTLPFormat{})
			return opened(tb, s, err)
		}},
		"otlp zstd": {Name: "otlp", Path: "/v1/logs", New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewOTLP(remote(url, timeout), sinks.OTLPFormat{Compression: "zstd"})
			return opened(tb, s, err)
		}},
		"http": {Name: "http", Path: "/", New: func(tb testing.TB, url string, timeout time.Duration) sinktest.Sink {
			s, err := sinks.NewHTTP(remote(url, timeout), sinks.NDJSONFormat{})
			return opened(tb, s, err)
		}},
	} {
		t.Run(name, func(t *testing.T) { sinktest.Run(t, kind) })
	}
}
