package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/exporter-toolkit/web"
)

// guard puts what the web config asks for in front of a handler: TLS, client certificates, passwords, a rate limit.
// All of it is the exporter toolkit's, which reads the file again at every connection and request. But the toolkit guards
// a whole port, and the kubelet's probes bring no password and no certificate. So the server is handed to the toolkit once
// with a listener that is already closed; what it has put into the server is then mounted beside the probes.
//
// It tells whether the server must speak TLS. Its listeners are then to be wrapped in conns.
func guard(srv *http.Server, file string, guarded http.Handler, log *slog.Logger) (secure bool, err error) {
	srv.Handler = guarded
	listen, socket := []string{}, false
	flags := &web.FlagConfig{WebListenAddresses: &listen, WebSystemdSocket: &socket, WebConfigFile: &file}
	if err := web.Serve(closed{}, srv, flags, slog.New(warnings{log.Handler()})); !errors.Is(err, net.ErrClosed) {
		return false, fmt.Errorf("web config: %s: %w", file, err)
	}
	// Without TLS in the file, the server has a TLSConfig all the same, made by net/http for itself.
	if srv.TLSConfig == nil || srv.TLSConfig.GetConfigForClient == nil {
		return false, nil
	}
	h := &handshakes{load: srv.TLSConfig.GetConfigForClient, log: log}
	if _, err := h.config(); err != nil {
		return false, fmt.Errorf("web config: %s: %w", file, err)
	}
	srv.TLSConfig.GetConfigForClient = h.answer
	srv.ConnContext = remember
	srv.Handler = showCertificate(srv.Handler)
	return true, nil
}

// CheckWebConfig reads what --web.config.file names, and the certificates that are named in there. "" is nothing to check.
func CheckWebConfig(file string) error {
	if err := web.Validate(file); err != nil {
		return fmt.Errorf("web config: %s: %w; correct the file that --web.config.file names", file, err)
	}
	return nil
}

// closed is a listener that never was open.
type closed struct{}

func (closed) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (closed) Close() error              { return nil }
func (closed) Addr() net.Addr            { return &net.TCPAddr{} }

// warnings passes on what is a warning or worse: the toolkit tells of a listener that is none.
type warnings struct{ slog.Handler }

func (h warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{h.Handler.WithAttrs(a)} }
func (h warnings) WithGroup(g string) slog.Handler      { return warnings{h.Handler.WithGroup(g)} }
