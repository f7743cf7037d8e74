package sinks

import (
	"errors"
	"io"
	"sync"
)

// A loan lends a body to the transport for the time of one request. The transport may go on reading after the request
// is over, if the store answered early or the time was up, while the encoder fills the same bytes anew. So readers copy
// under a lock, and after end they find nothing.
type loan struct {
	mu   sync.Mutex
	body []byte
	over bool
}

var errLoanOver = errors.New("the request is over")

// end takes the body back. When it returns nobody reads it, and nobody will.
func (l *loan) end() {
	l.mu.Lock()
	l.body, l.over = nil, true
	l.mu.Unlock()
}

// reader reads the body from its start: once for the request, and once more for each redirect.
func (l *loan) reader() io.ReadCloser { return &loanReader{loan: l} }

type loanReader struct {
	loan *loan
	off  int
}

func (r *loanReader) Read(p []byte) (int, error) {
	r.loan.mu.Lock()
	defer r.loan.mu.Unlock()
	if r.loan.over {
		return 0, errLoanOver
	}
	n := copy(p, r.loan.body[r.off:])
	r.off += n
	if r.off == len(r.loan.body) {
		return n, io.EOF
	}
	return n, nil
}

func (r *loanReader) Close() error { return nil }
