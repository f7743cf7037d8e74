// Otelsink is the far end of an OTLP test: the OpenTelemetry Collector's own receiver, over HTTP, in front of a file.
//
// Every log record that it is sent becomes one JSON line of the file, as the Collector decoded it. The lines of a
// request are in the file, whole and in the order of the request, before the request is answered with 200. A request
// that could not be written is answered with 503, so a sender must send it again. The file is written from empty.
//
// When it listens it prints its address, HOST:PORT, on standard output. It ends on SIGTERM or SIGINT after the
// requests under way are answered.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// drainTime is how long requests under way may take after a signal.
const drainTime = 10 * time.Second

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to receive OTLP over HTTP on; port 0 takes a free one")
	out := flag.String("out", "", "file that gets one JSON line per log record")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *listen, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, out string) error {
	if out == "" {
		return errors.New("otelsink: --out is missing: name the file for the records")
	}
	file, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("otelsink: output file: %w", err)
	}
	defer file.Close()

	// The receiver tells the address that it got in its log only.
	seen, said := observer.New(zap.InfoLevel)
	stderr := zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()), zapcore.Lock(os.Stderr), zap.InfoLevel)
	failed := make(host, 1)
	r, err := newReceiver(listen, &recorder{file: file}, zap.New(zapcore.NewTee(seen, stderr)))
	if err != nil {
		return err
	}
	if err := r.Start(ctx, failed); err != nil {
		return fmt.Errorf("otelsink: start: %w", err)
	}
	address := ""
	for _, entry := range said.TakeAll() {
		if endpoint, ok := entry.ContextMap()["endpoint"].(string); ok {
			address = endpoint
		}
	}
	if address == "" {
		return errors.New("otelsink: the receiver did not log its endpoint: has its version changed?")
	}
	fmt.Println(address)

	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return errors.Join(err, r.Shutdown(drain), file.Close())
}

// newReceiver makes the Collector's receiver with its defaults, less gRPC.
func newReceiver(listen string, next consumer.Logs, logger *zap.Logger) (receiver.Logs, error) {
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	config.Protocols.GRPC = configoptional.None[configgrpc.ServerConfig]()
	http := config.Protocols.HTTP.GetOrInsertDefault()
	http.ServerConfig.NetAddr.Endpoint = listen
	settings := receiver.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger:         logger,
			TracerProvider: tracenoop.NewTracerProvider(),
			MeterProvider:  metricnoop.NewMeterProvider(),
			Resource:       pcommon.NewResource(),
		},
		BuildInfo: component.BuildInfo{Command: "otelsink"},
	}
	r, err := factory.CreateLogs(context.Background(), settings, config, next)
	if err != nil {
		return nil, fmt.Errorf("otelsink: receiver: %w", err)
	}
	return r, nil
}

// A host is what the receiver runs in: it has no extensions, and gets the error that ended the server.
type host chan error

func (host) GetExtensions() map[component.ID]component.Component { return nil }

func (h host) Report(event *componentstatus.Event) {
	if event.Status() != componentstatus.StatusFatalError {
		return
	}
	select {
	case h <- event.Err():
	default: // one is enough to end
	}
}
