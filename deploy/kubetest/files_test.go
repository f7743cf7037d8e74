package kubetest

import (
	"archive/tar"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestCerts: the API server's certificate is good for its address, and each user's names the user.
func TestCerts(t *testing.T) {
	dir := t.TempDir()
	if err := writeCerts(dir); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("ca.crt holds no certificate")
	}
	verify := func(name string, options x509.VerifyOptions) *x509.Certificate {
		t.Helper()
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(options); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return pair.Leaf
	}
	verify("apiserver", x509.VerifyOptions{Roots: roots, DNSName: NodeIP})
	for user, subject := range users {
		cert := verify(user, x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if cert.Subject.CommonName != subject.CommonName {
			t.Errorf("%s: the certificate is for %s", user, cert.Subject)
		}
	}
}

// TestConfigs: every file is rendered with nothing left open, and those that are YAML are that.
func TestConfigs(t *testing.T) {
	n := &Node{Folder: t.TempDir(), debian: "/debian"}
	if err := os.Mkdir(n.path("etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	entries, err := fs.ReadDir(configs, "config")
	if err != nil || len(entries) < 8 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if err := n.render(name, name, "admin"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(n.path("etc/" + name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("<no value>")) || bytes.Contains(text, []byte("{{")) {
			t.Errorf("%s:\n%s", name, text)
		}
		if ext := filepath.Ext(name); ext == ".yaml" || ext == ".conflist" || name == "kubeconfig" {
			var document map[string]any
			if err := yaml.Unmarshal(text, &document); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestTar(t *testing.T) {
	var archive bytes.Buffer
	if err := writeTar(&archive, file{"a", 0o755, []byte("one")}, file{"b", 0o644, nil}); err != nil {
		t.Fatal(err)
	}
	in := tar.NewReader(&archive)
	for _, want := range []file{{"a", 0o755, []byte("one")}, {"b", 0o644, nil}} {
		h, err := in.Next()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(in); err != nil || h.Name != want.name || h.Mode != want.mode || !bytes.Equal(text, want.text) {
			t.Errorf("%s %o %q, %v; want %v", h.Name, h.Mode, text, err, want)
		}
	}
}
