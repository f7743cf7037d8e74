package main

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// rootsPEM is Mozilla's list of roots of trust, of the version that go.mod names: the machine's own list would make the
// image depend on it. Embedded in leatd itself they would cost 1.2 ms and 0.7 MB of memory at every start.
func rootsPEM() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		// A Buffer takes everything.
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
	}
	return b.Bytes()
}
