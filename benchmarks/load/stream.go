package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/leatd/leat/collector/simulate"
)

// A Stream is logs that grow at an even pace.
type Stream struct {
	Pods   int
	Rate   int   // lines a second of all pods together
	Rotate int64 // size in bytes beyond which a log is rotated; 0 never rotates
	Keep   int   // files that are kept of a log, the current one included; the default is the kubelet's, 5

	writers []*writer
}

// Begin makes the logs below root, with a line in each.
func (s *Stream) Begin(root string) (err error) {
	if s.writers, err = newWriters(root, s.Pods, 0, s.Keep); err != nil {
		return err
	}
	for _, w := range s.writers {
		if _, err := w.next(time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// Written is what there is so far. It must not be called during Run.
func (s *Stream) Written() *Written { return written(s.writers) }

// Run writes for a while; the pods take turns. It is called once.
func (s *Stream) Run(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	kubelet := make(chan error, 1)
	go func() { kubelet <- s.rotate(ctx) }()
	err := s.write(ctx, d)
	cancel()
	return errors.Join(err, <-kubelet)
}

func (s *Stream) write(ctx context.Context, d time.Duration) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	all := int(int64(s.Rate) * d.Milliseconds() / 1000)
	begin := time.Now()
	for n, turn := 0, 0; n < all; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		for due := min(all, int(time.Since(begin).Seconds()*float64(s.Rate))+1); n < due; turn++ {
			w := s.writers[turn%len(s.writers)]
			for more := true; more; n++ {
				var err error
				if more, err = w.next(time.Now()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rotate plays the kubelet. Logs become due one after the other, as on a node that has run for long: their first limits
// are spread. A log is checked ten times a second, where the kubelet waits longer, so that its size is near the limit.
func (s *Stream) rotate(ctx context.Context) error {
	if s.Rotate <= 0 {
		return nil
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for rotated := make([]bool, len(s.writers)); ; {
		for i, w := range s.writers {
			limit := s.Rotate
			if !rotated[i] {
				limit = s.Rotate * int64(i+1) / int64(len(s.writers))
			}
			info, err := os.Stat(w.Path())
			if err != nil {
				return fmt.Errorf("load: %w", err)
			}
			if info.Size() < limit {
				continue
			}
			if err := w.Rotate(); err != nil {
				return err
			}
			rotated[i] = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// End closes the files.
func (s *Stream) End() error {
	err := exit(s.writers)
	if errors.Is(err, simulate.ErrNotRunning) {
		err = nil // it had ended before
	}
	s.writers = nil
	return err
}
