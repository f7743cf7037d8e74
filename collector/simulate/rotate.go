package simulate

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrRotating is what a second rotation of a log gets while the first is under way.
var ErrRotating = errors.New("simulate: a rotation is under way")

// A Rotation is a rotation by the kubelet that stands still between its steps, for tests that look at each moment.
// Lines written meanwhile go to the old file.
type Rotation struct {
	c    *Container
	next *os.File
}

// Rotate does all of a rotation.
func (c *Container) Rotate() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.spec.Format == Docker {
		return c.rotateDocker()
	}
	r, err := c.startRotation()
	if err != nil {
		return err
	}
	return r.finish()
}

// StartRotation does the kubelet's part: deletes the oldest file, compresses the previous one, renames the current one.
// After it there is no N.log.
func (c *Container) StartRotation() (*Rotation, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.spec.Format == Docker {
		return nil, errors.New("simulate: docker rotates in one step: call Rotate")
	}
	return c.startRotation()
}

// Create makes the new N.log, empty; the runtime still writes to the old one.
func (r *Rotation) Create() error {
	r.c.turn.Lock()
	defer r.c.turn.Unlock()
	return r.create()
}

// Finish creates the new log if Create was not called, leaves unfinished lines as parts in the old one, closes that,
// and writes to the new one from then on.
func (r *Rotation) Finish() error {
	r.c.turn.Lock()
	defer r.c.turn.Unlock()
	return r.finish()
}

func (c *Container) startRotation() (*Rotation, error) {
	if c.rotation != nil {
		return nil, ErrRotating
	}
	if c.file == nil { // only a holder of turn sets it
		return nil, ErrNotRunning
	}
	if err := c.makeRoom(); err != nil {
		return nil, err
	}
	c.mu.Lock() // a whole record goes before the rename or after it
	defer c.mu.Unlock()
	if err := c.flush(); err != nil {
		return nil, err
	}
	name := c.rotatedName()
	if err := os.Rename(c.logPath(c.restart), filepath.Join(c.dir(), name)); err != nil {
		return nil, fmt.Errorf("simulate: rotating a log: %w", err)
	}
	c.renamed, c.late = true, 0
	c.rotation = &Rotation{c: c}
	c.emit(Rotated, name, 0)
	return c.rotation, nil
}

// makeRoom is what the kubelet does to older files: of the rotated ones it keeps MaxFiles-2, since the current log
// becomes one more and a new one is made; then it compresses those that are plain.
func (c *Container) makeRoom() error {
	names, err := c.filesOf(c.restart)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, ".log") })
	plain := func(n string) string { return strings.TrimSuffix(n, ".gz") }
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(plain(a), plain(b)) })
	for len(names) > c.spec.MaxFiles-2 {
		if err := os.Remove(filepath.Join(c.dir(), names[0])); err != nil {
			return fmt.Errorf("simulate: deleting the oldest log: %w", err)
		}
		c.emit(Removed, names[0], 0)
		names = names[1:]
	}
	for _, n := range names {
		if plain(n) != n {
			continue
		}
		if err := compress(filepath.Join(c.dir(), n)); err != nil {
			return err
		}
		c.emit(Gzipped, n+".gz", 0)
	}
	return nil
}

// compress puts PATH.gz in the place of PATH.
func compress(path string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("simulate: compressing a log: %w", err)
		}
	}()
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	zw := gzip.NewWriter(out)
	_, err = io.Copy(zw, in)
	if err = errors.Join(err, zw.Close(), out.Close()); err != nil {
		return err
	}
	if err = os.Rename(path+".tmp", path+".gz"); err != nil {
		return err
	}
	return os.Remove(path)
}

// rotatedName is the name that the current log gets: the second, and a number for another one in the same second. It
// never comes back, not even when the file that had it is gone; with .gz cut off, names sort by age.
func (c *Container) rotatedName() string {
	base := filepath.Base(c.logPath(c.restart)) + "." + c.node.now().Local().Format("20060102-150405")
	if base != c.lastBase {
		c.lastBase, c.sameBase = base, 0
		return base
	}
	c.sameBase++
	return fmt.Sprintf("%s-%03d", base, c.sameBase)
}

func (r *Rotation) create() error {
	if r.c.rotation != r || r.next != nil {
		return nil
	}
	f, err := createLog(r.c.logPath(r.c.restart))
	if err != nil {
		return err
	}
	r.next = f
	return nil
}

func (r *Rotation) finish() error {
	c := r.c
	if c.rotation != r {
		return nil
	}
	if err := r.create(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushOpen()
	err := errors.Join(c.flush(), c.file.Close())
	c.file, c.size = r.next, 0
	c.renamed, c.auto, c.lateLeft = false, false, 0
	c.rotation = nil
	c.emit(Reopened, filepath.Base(c.logPath(c.restart)), c.late)
	return err
}

// rotationDue says that rotateStep has something to do. mu is held.
func (c *Container) rotationDue() bool {
	if c.spec.MaxSize <= 0 || c.file == nil {
		return false
	}
	if c.renamed {
		return c.auto && c.lateLeft <= c.spec.Late/2
	}
	return c.size >= c.spec.MaxSize
}

// rotateStep takes the automatic rotation a step on. Where another goroutine is at it, this one writes on: files
// overshoot, as they do with the kubelet. It looks again under turn: another writer may have been faster.
func (c *Container) rotateStep() error {
	if !c.turn.TryLock() {
		return nil
	}
	defer c.turn.Unlock()
	c.mu.Lock()
	due := c.rotationDue()
	left := c.lateLeft
	c.mu.Unlock()
	switch {
	case !due:
		return nil
	case c.spec.Format == Docker:
		return c.rotateDocker()
	case c.rotation == nil:
		r, err := c.startRotation()
		if err != nil {
			return err
		}
		if c.spec.Late == 0 {
			return r.finish()
		}
		c.mu.Lock()
		c.auto, c.lateLeft = true, c.spec.Late
		c.mu.Unlock()
		return nil
	case left == 0:
		return c.rotation.finish()
	default:
		return c.rotation.create()
	}
}
