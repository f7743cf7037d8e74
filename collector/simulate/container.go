package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrNotRunning is what a container answers that has exited or was deleted.
var ErrNotRunning = errors.New("simulate: the container is not running")

// A Container is one container with its log files, over all its restarts.
type Container struct {
	node *Node
	spec Spec
	key  string // spec.Key()

	// turn is held by whoever renames, makes or deletes files; mu by whoever writes to the current file, or puts
	// another in its place. turn is always taken first. So lines flow while an old file is compressed.
	turn     sync.Mutex
	rotation *Rotation // guarded by turn
	deleted  bool      // guarded by turn
	lastBase string    // of rotated files' names, without the number; guarded by turn
	sameBase int       // how many more had it; guarded by turn

	mu       sync.Mutex
	restart  int
	file     *os.File // nil when the container does not run
	size     int64    // of file, with what waits in out
	out      []byte   // records that are formatted and not written yet
	open     [2]openLine
	written  Written
	records  int64
	renamed  bool      // a rotation has renamed file, and it was not replaced yet
	auto     bool      // the rotation is MaxSize's, so that Write takes it on
	late     int       // records since the rename
	lateLeft int       // lines that an automatic rotation still waits for
	last     time.Time // of the last line or part
	stamp    stamp
}

// An openLine is a line of which the newline has not come.
type openLine struct {
	held  []byte    // what the runtime holds back, PartSize at most
	begun bool      // something of the line came, held or written
	bytes int64     // of all of it
	since time.Time // of its first bytes
}

// Written counts what a reader must find. A line is counted when it ends: with its newline, or unfinished because the
// container exited. Bytes are those of the messages, all parts of a line together, without newlines.
type Written struct {
	Lines, Bytes int64
	Unfinished   int64 // of Lines, those that ended by the container's exit
}

// Spec is what the container was started with, its defaults filled in.
func (c *Container) Spec() Spec { return c.spec }

// Key names the container as pipeline.Target.Key does.
func (c *Container) Key() string { return c.key }

// Path is where the log of the current restart lies.
func (c *Container) Path() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logPath(c.restart)
}

// Restarts is the number in the current log's name.
func (c *Container) Restarts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.restart
}

// Written returns the count so far. What Spec.Buffer holds back is in it: call Flush before comparing.
func (c *Container) Written() Written {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// RecordBytes is how many bytes went into the container's logs so far, the runtime's own among them, whatever became of
// the files. What Spec.Buffer holds back is in it.
func (c *Container) RecordBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.records
}

// Write writes the rest of a line, or a whole one, and its newline. The message itself holds no newline.
func (c *Container) Write(s Stream, message []byte, t time.Time) error {
	return c.write(s, message, true, t)
}

// WritePart writes the beginning or a middle piece of a line; a later Write of the same stream ends it. As with the
// runtimes nothing of it is on disk before it is longer than a part, the file is rotated, or the container exits.
func (c *Container) WritePart(s Stream, text []byte, t time.Time) error {
	return c.write(s, text, false, t)
}

func (c *Container) write(s Stream, text []byte, end bool, t time.Time) error {
	if bytes.IndexByte(text, '\n') >= 0 {
		return fmt.Errorf("simulate: %s: a message holds a newline: write each line for itself", c.Key())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rotationDue() {
		c.mu.Unlock()
		err := c.rotateStep()
		c.mu.Lock()
		if err != nil {
			return err
		}
	}
	if c.file == nil {
		return ErrNotRunning
	}
	if err := c.put(s, text, end, t); err != nil {
		return err
	}
	if c.lateLeft > 0 {
		c.lateLeft--
	}
	if len(c.out) >= c.spec.Buffer {
		return c.flush()
	}
	return nil
}

// put formats text. It holds back what the runtime would.
func (c *Container) put(s Stream, text []byte, end bool, t time.Time) error {
	c.last = t
	o := &c.open[s]
	cri := c.spec.Format == CRI
	if cri && end && len(text) > 0 && text[len(text)-1] == '\r' {
		text = text[:len(text)-1]
	}
	if end && !o.begun && len(text) < PartSize { // nearly every line goes this way
		c.record(s, text, true, t)
		c.written.Lines++
		c.written.Bytes += int64(len(text))
		return nil
	}
	if len(text) > 0 && !o.begun {
		o.begun, o.since = true, t
	}
	o.bytes += int64(len(text))
	// containerd writes a part when it holds more than one, Docker when its buffer is full.
	limit := PartSize
	if !cri {
		limit, t = PartSize-1, o.since // and Docker gives all parts the first one's time
	}
	for len(o.held)+len(text) > limit {
		n := PartSize - len(o.held)
		o.held = append(o.held, text[:n]...)
		text = text[n:]
		c.record(s, o.held, false, t)
		o.held = o.held[:0]
		if c.spec.Buffer == 0 {
			if err := c.flush(); err != nil { // one write(2) a record
				return err
			}
		}
	}
	o.held = append(o.held, text...)
	if !end {
		return nil
	}
	c.record(s, o.held, true, t)
	c.written.Lines++
	c.written.Bytes += o.bytes
	*o = openLine{held: o.held[:0]}
	return nil
}

func (c *Container) record(s Stream, text []byte, full bool, t time.Time) {
	before := len(c.out)
	if c.spec.Format == CRI {
		c.out = c.appendCRI(c.out, s, text, full, t)
	} else {
		c.out = c.appendDocker(c.out, s, text, full, t)
	}
	c.size += int64(len(c.out) - before)
	c.records += int64(len(c.out) - before)
	if c.renamed {
		c.late++
	}
}

// Flush writes what Spec.Buffer gathered.
func (c *Container) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return nil
	}
	return c.flush()
}

func (c *Container) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.file.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		return fmt.Errorf("simulate: writing a log: %w", err)
	}
	return nil
}

// flushOpen writes what is held of unfinished lines as parts, as a runtime does before it closes a file.
func (c *Container) flushOpen() {
	for s := range c.open {
		if o := &c.open[s]; len(o.held) > 0 {
			t := c.last
			if c.spec.Format == Docker {
				t = o.since
			}
			c.record(Stream(s), o.held, false, t)
			o.held = o.held[:0]
		}
	}
}

func (c *Container) emit(kind EventKind, file string, late int) {
	if c.node.OnEvent != nil {
		c.node.OnEvent(Event{Kind: kind, Container: c, File: file, Late: late})
	}
}

func (c *Container) dir() string { return filepath.Join(c.node.Root, c.key) }

func (c *Container) podDir() string { return filepath.Dir(c.dir()) }

func (c *Container) logPath(restart int) string {
	return filepath.Join(c.dir(), strconv.Itoa(restart)+".log")
}

// filesOf names the files of a restart in the container's folder, in no certain order.
func (c *Container) filesOf(restart int) ([]string, error) {
	entries, err := os.ReadDir(c.dir())
	if err != nil {
		return nil, fmt.Errorf("simulate: folder of a container: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), strconv.Itoa(restart)+".log") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
