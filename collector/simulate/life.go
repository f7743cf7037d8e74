package simulate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// begin makes the log of a restart and opens it. turn is held, or the container is new.
func (c *Container) begin(restart int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := c.logPath(restart)
	if c.spec.Format == Docker {
		target := c.dockerPath(restart)
		if err := os.MkdirAll(filepath.Dir(target), 0o710); err != nil {
			return fmt.Errorf("simulate: docker's folder: %w", err)
		}
		if err := os.Symlink(target, path); err != nil {
			return fmt.Errorf("simulate: link to docker's log: %w", err)
		}
		path = target
	}
	f, err := createLog(path)
	if err != nil {
		return err
	}
	c.file, c.size, c.restart = f, 0, restart
	c.emit(Started, filepath.Base(c.logPath(restart)), 0)
	return nil
}

// createLog makes a log that must not be there yet. The mode is the runtimes', whatever the umask says.
func createLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("simulate: creating a log: %w", err)
	}
	if err := f.Chmod(0o640); err != nil {
		f.Close()
		return nil, fmt.Errorf("simulate: creating a log: %w", err)
	}
	return f, nil
}

// Exit ends the container: unfinished lines stay as parts without an end, the log is closed, and the files of the
// restart before go. Its own files stay.
func (c *Container) Exit() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.exit()
}

func (c *Container) exit() error {
	if c.rotation != nil {
		if err := c.rotation.finish(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	if c.file == nil {
		c.mu.Unlock()
		return ErrNotRunning
	}
	c.flushOpen()
	for s := range c.open {
		o := &c.open[s]
		if o.begun {
			c.written.Lines++
			c.written.Unfinished++
			c.written.Bytes += o.bytes
		}
		*o = openLine{held: o.held[:0]}
	}
	err := errors.Join(c.flush(), c.file.Close())
	c.file = nil
	before := c.restart - 1
	c.mu.Unlock()

	if before >= 0 {
		err = errors.Join(err, c.removeRestart(before))
	}
	c.emit(Exited, "", 0)
	return err
}

// Restart ends the container if it runs, and begins the next log.
func (c *Container) Restart() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.deleted {
		return ErrNotRunning
	}
	if err := c.exit(); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return c.begin(c.restart + 1)
}

// Delete ends the container if it runs and removes its folder, and the pod's with the last container in it.
func (c *Container) Delete() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.deleted {
		return ErrNotRunning
	}
	if err := c.exit(); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	for r := range c.restart + 1 {
		if c.spec.Format == Docker {
			if err := os.RemoveAll(filepath.Dir(c.dockerPath(r))); err != nil {
				return fmt.Errorf("simulate: deleting docker's folder: %w", err)
			}
		}
	}
	if err := os.RemoveAll(c.dir()); err != nil {
		return fmt.Errorf("simulate: deleting a container: %w", err)
	}
	if rest, err := os.ReadDir(c.podDir()); err == nil && len(rest) == 0 {
		if err := os.Remove(c.podDir()); err != nil {
			return fmt.Errorf("simulate: deleting a pod: %w", err)
		}
	}
	c.deleted = true
	c.emit(Deleted, "", 0)
	return nil
}

// removeRestart deletes every file of a restart.
func (c *Container) removeRestart(restart int) error {
	names, err := c.filesOf(restart)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(c.dir(), name)); err != nil {
			return fmt.Errorf("simulate: deleting a restart: %w", err)
		}
	}
	if c.spec.Format == Docker {
		if err := os.RemoveAll(filepath.Dir(c.dockerPath(restart))); err != nil {
			return fmt.Errorf("simulate: deleting a restart: %w", err)
		}
	}
	return nil
}
