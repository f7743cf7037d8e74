package servers

import (
	"context"
	"os"
)

// Peers are the agents that leatd is compared with. Build leaves them alone: nothing but the comparison needs them.
var (
	otelcol  = program{"otelcol", "otelcol", ".", nil}
	promtail = program{"promtail", "promtail", "github.com/grafana/loki/v3/clients/cmd/promtail", nil}
)

// Otelcol is the path of the OpenTelemetry Collector, with what a node's logs need and nothing else, which is built if it
// is not there: a minute or two.
func Otelcol(ctx context.Context) (string, error) { return otelcol.binary(ctx) }

// Promtail is the path of Grafana's Promtail, which is built if it is not there: some minutes.
func Promtail(ctx context.Context) (string, error) { return promtail.binary(ctx) }

// OtelcolBuilt says whether Otelcol takes no time.
func OtelcolBuilt() bool { return otelcol.built() }

// PromtailBuilt says whether Promtail takes no time.
func PromtailBuilt() bool { return promtail.built() }

func (p program) built() bool {
	_, path, err := p.place()
	if err != nil {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}
