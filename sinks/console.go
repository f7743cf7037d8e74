package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/leatd/leat/pipeline"
)

// Console writes lines as NDJSON to a writer, mostly standard output. A line counts as delivered when the writer has
// taken it: what becomes of it in a pipe nobody knows.
//
// A writer that takes nothing for a while cannot be interrupted. So the bytes are copied and written by a goroutine of
// their own, which outlives a Send that was told to stop, and holds the turn until the writer returns.
type Console struct {
	NDJSONFormat
	name string

	turn chan struct{} // holds one token; whoever has it owns what is below
	out  io.Writer
	buf  []byte
	torn bool // the last write ended within a line
}

// NewConsole makes the sink. The writer stays the caller's.
func NewConsole(name string, out io.Writer, recordID bool) *Console {
	c := &Console{NDJSONFormat: NDJSONFormat{Compression: "none", RecordID: recordID}, name: name, out: out, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// Send writes one body. It implements pipeline.Sink.
func (c *Console) Send(ctx context.Context, body []byte) pipeline.Answer {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return failedLocally(c.name, fmt.Errorf("nobody reads the output: %w", ctx.Err()))
	}
	if len(body) == 0 {
		c.turn <- struct{}{}
		return pipeline.Answer{Code: "ok"}
	}
	c.buf = c.buf[:0]
	if c.torn {
		c.buf = append(c.buf, '\n') // what follows begins a line again
	}
	c.buf = append(c.buf, body...)
	done := make(chan error, 1)
	go func() {
		n, err := c.out.Write(c.buf)
		if n < len(c.buf) && err == nil {
			err = io.ErrShortWrite
		}
		if n > 0 && n <= len(c.buf) {
			c.torn = c.buf[n-1] != '\n'
		}
		c.turn <- struct{}{}
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			return pipeline.Answer{Code: "ok"}
		}
		return failedLocally(c.name, consoleAdvice(err))
	case <-ctx.Done():
		return failedLocally(c.name, fmt.Errorf("nobody reads the output: %w", ctx.Err()))
	}
}

func consoleAdvice(err error) error {
	advice := "look at where the output leads"
	switch {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		advice = "whoever read the output has gone"
	case errors.Is(err, syscall.ENOSPC):
		advice = "the disk that the output leads to is full"
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// Where says where lines go.
func (c *Console) Where() string {
	if f, ok := c.out.(interface{ Name() string }); ok {
		return f.Name()
	}
	return "standard output"
}

// Close does nothing: the writer is the caller's.
func (c *Console) Close() error { return nil }
