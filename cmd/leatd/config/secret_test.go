package config

import (
	"fmt"
	"strings"
	"testing"
)

// everySecret has a secret wherever one can be.
const everySecret = `node: n
sinks:
  a:
    type: loki
    url: http://host:3100
    basic_auth:
      username: me
      password: hunter2
    tls_config: {cert: abc, key: "hunter2", server_name: x}
    proxy_url: http://user:hunter2@proxy:3128
    proxy_connect_header:
      X-A: [hunter2, 'hunter2']
    http_headers:
      X-B:
        values: [hunter2]
        secrets:
          - hunter2
    max_wait: 1s
  b: {type: otlp, url: 'http://h', authorization: {credentials: hunter2}, max_batch: 1MiB}
  c:
    type: http
    url: http://h/?token=hunter2
    oauth2:
      client_id: c
      client_secret: >-
        hunter2
        hunter2
      client_certificate_key: |
        hunter2
      token_url: http://t
      endpoint_params: {password: hunter2}
      claims: {sub: hunter2, more: [hunter2]}
  d:
    type: otlp
    url: http://h
    bearer_token: hunter2
logs:
  max_line: 128KiB
`

// TestSecretsStayHidden makes one small mistake at every place of a file in turn, and looks for the secret in the error.
func TestSecretsStayHidden(t *testing.T) {
	if _, err := Load("leat.yaml", []byte(everySecret), testEnv); err != nil {
		t.Fatalf("the file without a mistake: %v", err)
	}
	inserts := []string{"", ":", ": ", "\"", "'", "\n", "\n  ", "{", "}", "[", "]", "x", "\t", " ", "-", ",", "*", "&", "!", "#", "|", "~", "$", "${", "${NOPE}", "\x00", "\xff"}
	mistakes := 0
	for i := range everySecret {
		if strings.Contains(everySecret[max(0, i-len(secret)+1):min(len(everySecret), i+len(secret))], secret) && !strings.HasPrefix(everySecret[i:], secret) {
			continue // inside of a secret: it would not be found again
		}
		if everySecret[i] == '?' {
			continue // without it, the secret is a part of the URL's path, and that is none
		}
		for k, insert := range inserts {
			if (i+k)%4 != 0 {
				continue // a quarter of them, to be quick
			}
			text := everySecret[:i] + insert + everySecret[i:]
			if insert == "" {
				text = everySecret[:i] + everySecret[i+1:]
			}
			c, err := Load("leat.yaml", []byte(text), testEnv)
			if err == nil {
				if s := fmt.Sprintf("%v %+v", c, c.Sinks); strings.Contains(s, secret) {
					t.Fatalf("%q inserted at %d: printed as %s", insert, i, s)
				}
				continue
			}
			mistakes++
			checkError(t, err)
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q inserted at %d:\n%s", insert, i, err)
			}
		}
		if t.Failed() {
			return
		}
	}
	if mistakes < 3000 {
		t.Errorf("only %d of the changes were mistakes", mistakes)
	}
}
