package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/leatd/leat/pipeline"
)

const (
	// lockPatience is how long an earlier leatd may take to end: as long as the kubelet waits before it kills one.
	lockPatience = 30 * time.Second
	lockEvery    = 100 * time.Millisecond
)

// lockState takes the state folder. A pod that is deleted by force is gone for the API server at once and ends on the node
// seconds later; the next leatd is there by then. If it gave up, the kubelet would let it wait longer each time, and logs
// are rotated away meanwhile.
func lockState(ctx context.Context, dir string, log *slog.Logger) (release func(), err error) {
	patience, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	every := time.NewTicker(lockEvery)
	defer every.Stop()
	for told := false; ; {
		release, err = pipeline.LockState(dir)
		if !errors.Is(err, pipeline.ErrInUse) {
			return release, err
		}
		if !told {
			log.Info("waiting for another leatd to end", "for", lockPatience, "because", err)
			told = true
		}
		select {
		case <-every.C:
		case <-patience.Done():
			return nil, err
		}
	}
}
