package exporter

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// TestGuard is the matrix of what a web config can ask for and what a client can bring. The probes always answer.
func TestGuard(t *testing.T) {
	dir := t.TempDir()
	ours, strange := newAuthority(t), newAuthority(t)
	cert, key := ours.sign(t, "server")
	write(t, filepath.Join(dir, "cert.pem"), cert)
	write(t, filepath.Join(dir, "key.pem"), key)
	write(t, filepath.Join(dir, "ca.pem"), ours.pem)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	const tlsOnly = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
	const mutual = tlsOnly + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
	users := fmt.Sprintf("basic_auth_users:\n  scraper: %s\n", hash)

	nobody := visitor{roots: ours}
	scraper := visitor{roots: ours, user: "scraper", password: "secret"}
	friend := visitor{roots: ours, show: ours.pair(t, "friend")}
	other := visitor{roots: ours, show: ours.pair(t, "other")}
	stranger := visitor{roots: ours, show: strange.pair(t, "stranger")}
	both := visitor{roots: ours, show: friend.show, user: "scraper", password: "secret"}
	type try struct {
		who    string
		v      visitor
		page   int
		probes int
	}
	for _, c := range []struct {
		name, config string
		tls          bool
		tries        []try
	}{
		{"nothing asked", "", false, []try{{"nobody", nobody, 200, 200}}},
		{"password", users, false, []try{
			{"nobody", nobody, 401, 200},
			{"scraper", scraper, 200, 200},
			{"wrong password", visitor{user: "scraper", password: "wrong"}, 401, 200},
			{"wrong user", visitor{user: "root", password: "secret"}, 401, 200}}},
		{"tls", tlsOnly, true, []try{
			{"nobody", nobody, 200, 200},
			{"who does not trust us", visitor{}, 0, 0}}},
		{"tls and password", tlsOnly + users, true, []try{
			{"nobody", nobody, 401, 200}, {"scraper", scraper, 200, 200}}},
		{"tls without http2", tlsOnly + "http_server_config:\n  http2: false\n", true, []try{{"nobody", nobody, 200, 200}}},
		{"client certificate", mutual, true, []try{
			{"nobody", nobody, 403, 200}, {"friend", friend, 200, 200}, {"stranger", stranger, 0, 0}}},
		{"client certificate of any kind", tlsOnly + "  client_auth_type: RequireAnyClientCert\n", true, []try{
			{"nobody", nobody, 403, 200}, {"friend", friend, 200, 200}, {"stranger", stranger, 200, 200}}},
		{"client certificate if given", tlsOnly + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n",
			true, []try{{"nobody", nobody, 200, 200}, {"friend", friend, 200, 200}, {"stranger", stranger, 0, 0}}},
		{"client certificate with a name", mutual + "  client_allowed_sans: [friend]\n", true, []try{
			{"nobody", nobody, 403, 200}, {"friend", friend, 200, 200}, {"other", other, 0, 0}}},
		{"client certificate and password", mutual + users, true, []try{
			{"nobody", nobody, 403, 200}, {"scraper", scraper, 403, 200}, {"friend", friend, 401, 200}, {"both", both, 200, 200}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options()
			o.Pprof = true
			o.WebConfigFile = write(t, filepath.Join(dir, "web.yml"), []byte(c.config))
			s := serve(t, o)
			protocols := []bool{false}
			scheme := "http://"
			if c.tls {
				scheme = "https://"
				if !strings.Contains(c.config, "http2: false") {
					protocols = append(protocols, true)
				}
			}
			for _, try := range c.tries {
				for _, try.v.http2 = range protocols {
					for _, path := range []string{"/metrics", "/", "/debug/pprof/", "/-/other", "/-/healthy", "/-/ready"} {
						want := try.page
						switch {
						case path == "/-/healthy" || path == "/-/ready":
							want = try.probes
						case path == "/-/other" && want == 200:
							want = 404
						}
						if code, body := try.v.visit(t, scheme+s.Addrs()[0].String()+path); code != want {
							t.Errorf("%s, http2 %v, %s: %d instead of %d: %.200s", try.who, try.v.http2, path, code, want, body)
						}
					}
				}
			}
		})
	}
}

// TestBrokenEdit breaks the web config and its certificate under a server at work. The probes go on, the pages are
// refused rather than opened, it is said once, and new certificates are taken as they come.
func TestBrokenEdit(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t)
	renew := func(name string) {
		cert, key := a.sign(t, name)
		write(t, filepath.Join(dir, "cert.pem"), cert)
		write(t, filepath.Join(dir, "key.pem"), key)
	}
	renew("first")
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	good := fmt.Sprintf("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n  scraper: %s\n", hash)
	var log lockedBuffer
	o := options()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	o.WebConfigFile = write(t, filepath.Join(dir, "web.yml"), []byte(good))
	url := "https://" + serve(t, o).Addrs()[0].String()
	v := visitor{roots: a, user: "scraper", password: "secret"}
	check := func(when string, page, probe int) {
		t.Helper()
		if code, body := v.visit(t, url+"/metrics"); code != page {
			t.Errorf("%s: page %d instead of %d: %.200s", when, code, page, body)
		}
		if code, body := (visitor{roots: a}).visit(t, url+"/-/healthy"); code != probe {
			t.Errorf("%s: probe %d instead of %d: %.200s", when, code, probe, body)
		}
	}
	check("at first", 200, 200)
	write(t, o.WebConfigFile, []byte("tls_server_config: [\n"))
	check("broken file", 500, 200)
	write(t, o.WebConfigFile, nil)
	check("empty file", 200, 200) // the owner asks for no password; the connection stays encrypted
	write(t, o.WebConfigFile, []byte(good))
	check("good file", 200, 200)
	write(t, filepath.Join(dir, "cert.pem"), []byte("no certificate"))
	check("broken certificate", 200, 200)
	renew("second")
	check("new certificate", 200, 200)
	c, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if name := c.ConnectionState().PeerCertificates[0].Subject.CommonName; name != "second" {
		t.Errorf("the certificate is still %q", name)
	}
	if got := log.String(); strings.Count(got, "cannot be used any more") != 3 || strings.Count(got, "can be used again") != 2 {
		t.Errorf("logged:\n%s", got)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
