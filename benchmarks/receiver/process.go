package receiver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"syscall"
)

// Serve is the receiver's process. It writes two addresses to out, as URLs on one line: that of the store, and that where
// Remote asks. It ends when in does, which is when whoever started it is gone.
func Serve(in io.Reader, out io.Writer, reserve int64) error {
	store, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("receiver: %w", err), store.Close())
	}
	r := New(reserve)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(r.Status()) // whoever asked has gone
	})
	mux.HandleFunc("POST /check", func(w http.ResponseWriter, req *http.Request) {
		var q Question
		if err := json.NewDecoder(req.Body).Decode(&q); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(r.Check(q))
	})
	servers := []*http.Server{{Handler: r}, {Handler: mux}}
	ended := make(chan error, len(servers))
	go func() { ended <- servers[0].Serve(counted{store, &r.wire}) }()
	go func() { ended <- servers[1].Serve(control) }()
	if _, err = fmt.Fprintf(out, "http://%s http://%s\n", store.Addr(), control.Addr()); err == nil {
		_, err = io.Copy(io.Discard, in)
	}
	if err != nil {
		err = fmt.Errorf("receiver: %w", err)
	}
	for _, s := range servers {
		err = errors.Join(err, s.Close())
	}
	for range servers {
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// A Remote is a receiver in a process of its own.
type Remote struct {
	URL     string // of the store, without a path
	control string
	cmd     *exec.Cmd
	in      io.Closer
	client  http.Client
}

// Start runs a command that calls Serve with its standard input and output.
func Start(cmd *exec.Cmd) (*Remote, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is its parent's to deal with
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("receiver: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("receiver: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("receiver: start: %w", err)
	}
	r := &Remote{cmd: cmd, in: in}
	if _, err := fmt.Fscanln(out, &r.URL, &r.control); err != nil {
		return nil, errors.Join(fmt.Errorf("receiver: it did not say where it listens: %w", err), r.Close())
	}
	return r, nil
}

// Close ends the process and forgets what came.
func (r *Remote) Close() error {
	r.client.CloseIdleConnections()
	_ = r.in.Close() // its end is what matters
	if err := r.cmd.Wait(); err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	return nil
}

// Status asks what has come so far.
func (r *Remote) Status(ctx context.Context) (s Status, err error) {
	return s, r.ask(ctx, http.MethodGet, "/status", nil, &s)
}

// Check asks for a look into what has come so far.
func (r *Remote) Check(ctx context.Context, q Question) (report Report, err error) {
	return report, r.ask(ctx, http.MethodPost, "/check", q, &report)
}

func (r *Remote) ask(ctx context.Context, method, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.control+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("receiver: %s: %s: %s", path, resp.Status, text)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("receiver: %s: %w", path, err)
	}
	return nil
}
