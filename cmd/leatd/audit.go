package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/exporter"
)

// audit asks a running leatd what became of every line, prints it, and says by its exit code whether all is well: 0 if
// nothing was lost, 1 if something was, 2 if nobody could be asked.
func audit(ctx context.Context, flags *config.Flags, stdout, stderr io.Writer) int {
	a, err := askForAudit(ctx, flags)
	if err != nil {
		fmt.Fprintln(stderr, "leatd audit:", err)
		return exitBadInput
	}
	if err := narrow(a, flags.AuditSink, flags.AuditNamespace); err != nil {
		fmt.Fprintln(stderr, "leatd audit:", err)
		return exitBadInput
	}
	a.Judge(flags.AuditSinceStart)
	if flags.AuditJSON {
		out := json.NewEncoder(stdout)
		out.SetIndent("", "  ")
		err = out.Encode(a)
	} else {
		err = printAudit(stdout, a, flags.AuditAll)
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "leatd audit:", err)
		return exitBadInput
	case a.Verdict.Lost:
		return exitFailed
	}
	return exitOK
}

const (
	auditTakes = 20 * time.Second // at most, to answer
	auditBytes = 256 << 20        // the largest answer that is read: that of 200,000 logs
)

func askForAudit(ctx context.Context, flags *config.Flags) (*exporter.Audit, error) {
	address, err := auditURL(flags)
	if err != nil {
		return nil, err
	}
	options := promconfig.DefaultHTTPClientConfig
	if flags.AuditHTTPConfig != "" {
		loaded, _, err := promconfig.LoadHTTPConfigFile(flags.AuditHTTPConfig)
		if err != nil {
			return nil, fmt.Errorf("--http.config.file: %s: %w", flags.AuditHTTPConfig, err)
		}
		options = *loaded
	}
	client, err := promconfig.NewClientFromConfig(options, "leatd audit", promconfig.WithKeepAlivesDisabled())
	if err != nil {
		return nil, fmt.Errorf("--http.config.file: %s: %w", flags.AuditHTTPConfig, err)
	}
	ctx, cancel := context.WithTimeout(ctx, auditTakes)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("nobody listens at %s: is leatd running? name its address with --url", address)
		}
		return nil, fmt.Errorf("%w: --url names the address of leatd's metrics, --http.config.file how to reach it", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, auditBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%s answers %s: give a password or a token with --http.config.file, as in Prometheus (basic_auth, authorization)",
			address, resp.Status)
	case resp.StatusCode == http.StatusBadRequest && strings.Contains(string(body), "HTTPS"):
		return nil, fmt.Errorf("%s speaks TLS: begin --url with https://, and name its certificate with tls_config in --http.config.file", address)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers %s: is that leatd's address, and a leatd as new as this one?", address, resp.Status)
	}
	a := new(exporter.Audit)
	if err := json.Unmarshal(body, a); err != nil {
		return nil, fmt.Errorf("%s gives no audit (%w): is that leatd's address?", address, err)
	}
	return a, nil
}

// auditURL is where to ask: --url, or the first address that a leatd with these flags would listen on.
func auditURL(flags *config.Flags) (string, error) {
	if flags.AuditURL != "" {
		u, err := url.Parse(flags.AuditURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "", fmt.Errorf("--url: %q is no address: write http://HOST:PORT or https://HOST:PORT", flags.AuditURL)
		}
		return u.JoinPath("audit").String(), nil
	}
	host, port, err := net.SplitHostPort(flags.ListenAddresses[0])
	if err != nil {
		return "", fmt.Errorf("%s cannot be asked by HTTP: name an address with --url", flags.ListenAddresses[0])
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/audit", nil
}

// narrow leaves of an audit one sink, and the targets of one namespace with their sum. Empty names are all.
func narrow(a *exporter.Audit, sink, namespace string) error {
	if sink != "" {
		var names []string
		for _, s := range a.Sinks {
			names = append(names, s.Name)
		}
		a.Sinks = slices.DeleteFunc(a.Sinks, func(s exporter.AuditSink) bool { return s.Name != sink })
		if len(a.Sinks) == 0 {
			return fmt.Errorf("--sink: there is no sink %s: leatd has %s", sink, strings.Join(names, ", "))
		}
	}
	if namespace == "" {
		return nil
	}
	for i := range a.Sinks {
		s := &a.Sinks[i]
		s.Targets = slices.DeleteFunc(s.Targets, func(t exporter.AuditTarget) bool { return t.Namespace != namespace })
		s.Sum()
	}
	return nil
}
