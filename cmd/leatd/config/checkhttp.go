package config

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"golang.org/x/net/http/httpguts"
)

// checkURL checks where requests go, and gives the protocol's own path to a URL without one.
func (d *decoder) checkURL(path string, u *url.URL, ownPath string) {
	switch {
	case u.User != nil:
		d.reject(path, "holds a user or a password, which would be shown in logs: put them in basic_auth")
	case u.Path == "" || u.Path == "/":
		u.Path = ownPath
	}
}

// checkClient checks how a server is spoken to; tenant is the header that leatd sets itself.
func (d *decoder) checkClient(path string, c *promconfig.HTTPClientConfig, tenant string) {
	if !httpguts.ValidHeaderFieldValue(tenant) || strings.TrimSpace(tenant) != tenant {
		d.reject(path+".tenant", "has a space at an end or a control character: it goes as a header")
	}
	d.checkHeaders(path, c.HTTPHeaders, tenant)
	headers := c.HTTPHeaders
	c.HTTPHeaders = nil // checked above, with their places
	if err := c.Validate(); err != nil {
		d.complain(path, err)
	}
	c.HTTPHeaders = headers
	if a := c.Authorization; a != nil {
		at := path + ".authorization.credentials"
		if _, given := d.places[at]; !given {
			at = path + ".bearer_token"
		}
		d.headerValue(at, string(a.Credentials))
	}
	if o := c.OAuth2; o != nil && o.TokenURL != "" {
		if _, err := parseURL(o.TokenURL, "http", "https"); err != nil {
			d.reject(path+".oauth2.token_url", "%s", err)
		}
	}
}

func (d *decoder) checkHeaders(path string, headers *promconfig.Headers, tenant string) {
	if headers == nil {
		return
	}
	for name, h := range headers.Headers {
		at := path + ".http_headers." + name
		key := d.places[at].key
		_, reserved := promconfig.ReservedHeaders[http.CanonicalHeaderKey(name)]
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			d.problem(key, path+".http_headers", "not the name of a header: use letters, digits and -")
		case reserved:
			d.problem(key, at, "leatd sets this header itself: remove it (for Authorization there are basic_auth, authorization and oauth2)")
		case tenant != "" && strings.EqualFold(name, "X-Scope-OrgID"):
			d.problem(key, at, "the key tenant sets this header already: remove one of the two")
		}
		for i, v := range h.Values {
			d.headerValue(fmt.Sprintf("%s.values[%d]", at, i), v)
		}
		for i, v := range h.Secrets {
			d.headerValue(fmt.Sprintf("%s.secrets[%d]", at, i), string(v))
		}
	}
}

func (d *decoder) headerValue(path, value string) {
	if !httpguts.ValidHeaderFieldValue(value) {
		d.reject(path, "has a line break or another control character, which a header cannot hold")
	}
}
