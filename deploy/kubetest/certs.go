package kubetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// users are the clients of the API server: for the API server a certificate's name is the user and its organization the
// group, and these are the names that its own rules of access know.
var users = map[string]pkix.Name{
	"admin":       {CommonName: "admin", Organization: []string{"system:masters"}},
	"controllers": {CommonName: "system:kube-controller-manager"},
	"scheduler":   {CommonName: "system:kube-scheduler"},
	"proxy":       {CommonName: "system:kube-proxy"},
	"dns":         {CommonName: "system:dns", Organization: []string{"system:masters"}}, // no role of Kubernetes' own fits
	"kubelet":     {CommonName: "system:node:" + NodeName, Organization: []string{"system:nodes"}},
}

// An authority signs the certificates of the cluster.
type authority struct {
	folder string
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
}

// writeCerts writes ca, apiserver and one pair for each user, and the key for tokens of service accounts, to a folder.
func writeCerts(folder string) error {
	ca, err := newAuthority(folder)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.ParseIP(NodeIP), net.IPv4(127, 0, 0, 1), net.ParseIP(serviceIP)},
	}
	if err := ca.issue("apiserver", server); err != nil {
		return fmt.Errorf("certificates: apiserver: %w", err)
	}
	for user, subject := range users {
		client := &x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		if err := ca.issue(user, client); err != nil {
			return fmt.Errorf("certificates: %s: %w", user, err)
		}
	}
	tokens, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil {
		err = writeKey(filepath.Join(folder, "tokens.key"), tokens)
	}
	if err != nil {
		return fmt.Errorf("certificates: tokens: %w", err)
	}
	return nil
}

func newAuthority(folder string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &authority{folder: folder, key: key}
	ca.cert = &x509.Certificate{
		Subject: pkix.Name{CommonName: "leat test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	return ca, ca.sign("ca", ca.cert, key)
}

func (ca *authority) issue(name string, template *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return ca.sign(name, template, key)
}

// sign writes NAME.crt and NAME.key. They are good for a day.
func (ca *authority) sign(name string, template *x509.Certificate, key *ecdsa.PrivateKey) error {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(ca.folder, name+".crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(filepath.Join(ca.folder, name+".key"), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
