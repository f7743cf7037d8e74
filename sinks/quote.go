package sinks

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/config"
)

const (
	maxQuote   = 300 // bytes of somebody else's words in our texts
	scrubbed   = "<secret>"
	minSecret  = 4 // hiding every "a" of a text would tell the secret instead
	hiddenTail = "?…"
)

// showURL is an address as it may be written anywhere: without user, password, and what a query may hold.
func showURL(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if u.RawQuery != "" {
		return shown.String() + hiddenTail
	}
	return shown.String()
}

// quote is what an answer says, in quotation marks on one line; of a web page its title.
func quote(r *reply, secrets []string) string {
	words := r.words
	if r.page() {
		words = title(words)
	} else if status := statusMessage(words); len(status) > 0 {
		words = status
	}
	text := printable(words, secrets, maxQuote)
	if text == "" {
		return ""
	}
	return `"` + text + `"`
}

func title(page []byte) []byte {
	lower := bytes.ToLower(page)
	start := bytes.Index(lower, []byte("<title>"))
	if start < 0 || len(lower) != len(page) { // some letters change their length with their case
		return nil
	}
	start += len("<title>")
	end := bytes.Index(lower[start:], []byte("</title>"))
	if end < 0 {
		return nil
	}
	return page[start : start+end]
}

// printable makes one line of at most limit bytes of any bytes: secrets hidden, white space made single spaces,
// everything else that is not printable escaped.
func printable(words []byte, secrets []string, limit int) string {
	for _, secret := range secrets {
		if len(secret) >= minSecret && bytes.Contains(words, []byte(secret)) {
			words = bytes.ReplaceAll(words, []byte(secret), []byte(scrubbed))
		}
	}
	words = bytes.TrimSpace(words)
	out := make([]byte, 0, min(limit, len(words))+len("…"))
	space := false
	for len(words) > 0 {
		r, n := utf8.DecodeRune(words)
		var next []byte
		switch {
		case r == ' ' || r == '\n' || r == '\r' || r == '\t':
			if !space {
				next = []byte{' '}
			}
		case r == utf8.RuneError && n == 1:
			next = []byte(`\x` + strconv.FormatUint(uint64(words[0])|0x100, 16)[1:])
		case strconv.IsPrint(r):
			next = words[:n]
		default:
			q := strconv.QuoteRune(r)
			next = []byte(q[1 : len(q)-1])
		}
		space = r == ' ' || r == '\n' || r == '\r' || r == '\t'
		if len(out)+len(next) > limit {
			return string(out) + "…"
		}
		out, words = append(out, next...), words[n:]
	}
	return string(out)
}

// configSecrets are those that stand in the configuration itself, the longest first, since one may hold another.
func configSecrets(c *config.HTTPClientConfig, u *url.URL) []string {
	var secrets []string
	add := func(s ...string) { secrets = append(secrets, s...) }
	add(string(c.BearerToken))
	if c.BasicAuth != nil {
		add(string(c.BasicAuth.Password))
	}
	if c.Authorization != nil {
		add(string(c.Authorization.Credentials))
	}
	if c.OAuth2 != nil {
		add(string(c.OAuth2.ClientSecret), string(c.OAuth2.ClientCertificateKey))
	}
	if c.HTTPHeaders != nil {
		for _, h := range c.HTTPHeaders.Headers {
			for _, s := range h.Secrets {
				add(string(s))
			}
		}
	}
	for _, values := range c.ProxyConnectHeader {
		for _, s := range values {
			add(string(s))
		}
	}
	if c.ProxyURL.URL != nil {
		password, _ := c.ProxyURL.User.Password()
		add(password)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= 8 { // "msg" is a value, too, and not a secret one
				add(v, url.QueryEscape(v))
			}
		}
	}
	return longestFirst(secrets)
}

// requestSecrets are those that the request carried, among them what was read from files or fetched as a token: every
// header that is not one of ours. A server may send them back in its answer.
func requestSecrets(req *http.Request) []string {
	if req == nil {
		return nil
	}
	var secrets []string
	for name, values := range req.Header {
		switch name {
		case "Content-Type", "Content-Encoding", "User-Agent", "X-Scope-Orgid", "Referer", "Accept-Encoding":
			continue
		}
		for _, v := range values {
			secrets = append(secrets, v)
			if name != "Authorization" {
				continue
			}
			kind, credentials, _ := strings.Cut(v, " ")
			secrets = append(secrets, credentials)
			if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil && strings.EqualFold(kind, "basic") {
				_, password, _ := strings.Cut(string(plain), ":")
				secrets = append(secrets, string(plain), password)
			}
		}
	}
	return longestFirst(secrets)
}

func longestFirst(s []string) []string {
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) })
	return slices.Clip(s)
}
