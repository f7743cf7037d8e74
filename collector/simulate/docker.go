package simulate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// dockerPath is where Docker keeps the log of a restart: each restart is a container of its own, with its own id.
func (c *Container) dockerPath(restart int) string {
	id := hash(c.Key(), strconv.Itoa(restart))
	return filepath.Join(c.node.dockerRoot(), id, id+"-json.log")
}

// rotateDocker closes the log, moves each file one number up, the last one away, and makes the log anew. It is Docker
// itself that rotates, so no line can come in between. turn is held.
func (c *Container) rotateDocker() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return ErrNotRunning
	}
	if err := errors.Join(c.flush(), c.file.Close()); err != nil {
		return fmt.Errorf("simulate: rotating docker's log: %w", err)
	}
	c.file = nil // until the new one is there; an error on the way leaves the container stopped
	path := c.dockerPath(c.restart)
	number := func(i int) string {
		if i == 0 {
			return path
		}
		return path + "." + strconv.Itoa(i)
	}
	for i := c.spec.MaxFiles - 2; i >= 0; i-- {
		if err := os.Rename(number(i), number(i+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("simulate: rotating docker's log: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("simulate: rotating docker's log: %w", err)
	}
	c.file, c.size = f, 0
	rotated := ""
	if c.spec.MaxFiles > 1 {
		rotated = filepath.Base(number(1))
	}
	c.emit(Rotated, rotated, 0)
	c.emit(Reopened, filepath.Base(path), 0)
	return nil
}
