package main

import (
	"fmt"
	"io"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/sinks"
)

// store is a sink as the wiring sees it.
type store interface {
	pipeline.Sink
	Where() string // in words, without secrets
	Close() error
}

// maxBody is what a store of a type takes at most in one request, uncompressed; 0 is no limit. A larger one is a server's
// error to Loki, for ever.
func maxBody(kind string) int {
	if kind == config.TypeLoki {
		return sinks.LokiMaxBody
	}
	return 0
}

// remoteOf is where a sink's requests of one signal go.
func remoteOf(s config.Sink, signal string) sinks.Remote {
	return sinks.Remote{
		Name: s.Name, URL: s.SignalURL(signal), Tenant: s.Tenant, HTTP: s.HTTP, Timeout: s.Timeout, Version: version,
	}
}

// newSink makes the sink of logs that the configuration describes. own are the names of the owner's labels.
func newSink(s config.Sink, own []string, stdout io.Writer) (store, error) {
	remote := remoteOf(s, config.SignalLogs)
	switch s.Type {
	case config.TypeLoki:
		return sinks.NewLoki(remote, sinks.LokiFormat{Labels: s.Labels, Metadata: s.StructuredMetadata, Own: own, RecordID: s.RecordID}, int64(s.StreamRate))
	case config.TypeOTLP:
		return sinks.NewOTLP(remote, sinks.OTLPFormat{Compression: s.Compression, RecordID: s.RecordID})
	case config.TypeHTTP:
		return sinks.NewHTTP(remote, sinks.NDJSONFormat{Compression: s.Compression, RecordID: s.RecordID})
	case config.TypeFile:
		return sinks.NewFile(sinks.FileOptions{
			Name: s.Name, Path: s.Path, SegmentBytes: int64(s.SegmentBytes), MaxBytes: int64(s.MaxBytes), RecordID: s.RecordID,
		})
	case config.TypeConsole:
		return sinks.NewConsole(s.Name, stdout, s.RecordID), nil
	}
	return nil, fmt.Errorf("sinks.%s: type %q takes no logs", s.Name, s.Type)
}
