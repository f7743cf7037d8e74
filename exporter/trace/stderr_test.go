package trace

import (
	"io"
	"log"
	"os"
	"testing"
)

// captureStderr returns what f writes to standard error, and what it logs by the standard library's own logger, as
// OpenTelemetry's global handler does.
func captureStderr(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = w
	log.SetOutput(w)
	defer func() { os.Stderr = old; log.SetOutput(old) }()
	read := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(r)
		read <- b
	}()
	f()
	w.Close()
	said := <-read
	r.Close()
	return string(said)
}
