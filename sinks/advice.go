package sinks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/leatd/leat/pipeline"
)

// This file says to an operator what to fix. All of it is tried again without end, whatever it says.

func (s *sender) statusAdvice(r *reply) string {
	section := "sinks." + s.name
	switch code := r.StatusCode; code {
	case http.StatusUnauthorized:
		return "check basic_auth, authorization or oauth2, and tenant, of " + section
	case http.StatusForbidden:
		return "the store knows who asks and does not let them write: check their rights there, and tenant and credentials of " + section
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone, http.StatusNotImplemented:
		return "nothing takes logs at this path: check the path in url, and type, of " + section
	case http.StatusProxyAuthRequired:
		return "the proxy wants credentials: check proxy_url and proxy_connect_header of " + section
	case http.StatusRequestTimeout:
		return "the store waited too long for the request: is the network slow, or max_batch of " + section + " large?"
	case http.StatusUnsupportedMediaType:
		return "the store does not know this format or compression: check type and compression of " + section
	case http.StatusMisdirectedRequest:
		return "the server is not responsible for this host name: check url of " + section
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "the store, or one behind this proxy, is not ready: look at its own logs"
	default:
		if code >= 500 {
			return "the store has a trouble of its own: look at its logs"
		}
		return "an answer that a store does not give: check url and type of " + section
	}
}

func (s *sender) redirectAdvice(r *reply) string {
	where := "somewhere else"
	if to, err := r.Location(); err == nil {
		where = showURL(to)
	}
	switch code := r.StatusCode; {
	case code == http.StatusTemporaryRedirect || code == http.StatusPermanentRedirect:
		return "redirects to " + where + ", which is not followed there: write the right address in url of sinks." + s.name
	}
	return "redirects to " + where + ": is there a login page, or is the scheme or the path in url of sinks." + s.name + " wrong?"
}

// failed is the answer that never came. parent is the context that Send was given.
func (s *sender) failed(parent context.Context, err error) pipeline.Answer {
	if outer := (*url.Error)(nil); errors.As(err, &outer) && error(outer) == err {
		err = outer.Err // it repeats the URL, with a query that may hold a secret
	}
	advice := s.networkAdvice(err)
	switch {
	case parent.Err() != nil:
		err, advice = parent.Err(), "stopped before the answer came"
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no answer within %s", s.timeout)
	}
	text, _, _ := strings.Cut(err.Error(), "\nResponse:") // oauth2 quotes the whole answer to a request for a token
	text = printable([]byte(text), s.own, maxQuote)
	return pipeline.Answer{Outcome: pipeline.Failed, Code: "error", Err: &networkError{
		text: s.name + ": " + s.shown + ": " + text + ": " + advice, cause: err}}
}

type networkError struct {
	text  string
	cause error
}

func (e *networkError) Error() string { return e.text }
func (e *networkError) Unwrap() error { return e.cause }

func (s *sender) networkAdvice(err error) string {
	section := "sinks." + s.name
	var (
		dns         *net.DNSError
		unknownCA   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
		alert       tls.AlertError
		record      tls.RecordHeaderError
		pathError   *os.PathError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host: check the name in url of " + section
	case errors.As(err, &dns):
		return "the name could not be looked up: check the node's DNS, and url of " + section
	case errors.As(err, &unknownCA):
		return "the certificate comes from an authority that this node does not know: set ca_file in tls_config of " + section
	case errors.As(err, &hostname):
		return "the certificate is for another host: check url, or server_name in tls_config, of " + section
	case errors.As(err, &invalid), errors.As(err, &certificate):
		return "the certificate is not valid: has it expired, is the clock right? see also tls_config of " + section
	case errors.As(err, &alert):
		return "the server refused the TLS handshake: check cert_file and key_file in tls_config of " + section
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "the server speaks no TLS: write http:// in url of " + section
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: is the store running? else check host and port in url of " + section
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to that address: check the network, and url of " + section
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "is the store overloaded, or a firewall in between? else raise timeout of " + section
	case errors.As(err, &pathError):
		return "check the files that " + section + " names"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the store, or a proxy before it, closed the connection: look at its own logs"
	case strings.Contains(err.Error(), "proxyconnect"):
		return "the proxy did not connect: check proxy_url of " + section
	case strings.Contains(err.Error(), "oauth2"):
		return "no token was given: check oauth2 of " + section
	}
	return "check url of " + section + " and the network"
}
