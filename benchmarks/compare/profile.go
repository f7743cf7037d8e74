package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/leatd/leat/benchmarks/receiver"
)

// profiled says that this turn's profiles are wanted.
func (t turn) profiled() bool {
	return t.bench.profile != "" && t.who.Name == ours && t.round == 0 && t.scenario.name == "backlog"
}

// profileCPU waits until lines flow, and keeps the profile of the CPU of a second for each GiB, one at least.
func (t turn) profileCPU(ctx context.Context) error {
	if !t.profiled() {
		return nil
	}
	err := t.watch(ctx, func(s receiver.Status, idle time.Duration) (bool, error) {
		return s.Requests > 0 || idle > t.bench.patience, nil
	})
	if err != nil {
		return err
	}
	return t.keepProfile(ctx, "cpu", fmt.Sprint("profile?seconds=", max(1, t.bench.size>>30)))
}

// profileRest keeps those that tell of the time since the start.
func (t turn) profileRest(ctx context.Context) (err error) {
	if !t.profiled() {
		return nil
	}
	for _, name := range []string{"heap", "mutex", "block"} {
		err = errors.Join(err, t.keepProfile(ctx, name, name))
	}
	if err == nil {
		say(t.bench.progress, "profiles of %s are in %s: go tool pprof -top %s %s", t.who.Name, t.bench.profile, t.who.path, t.profilePath("cpu"))
	}
	return err
}

func (t turn) keepProfile(ctx context.Context, name, query string) error {
	body, err := t.get(ctx, "/debug/pprof/"+query)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.bench.profile, 0o755); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if err := os.WriteFile(t.profilePath(name), body, 0o644); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return nil
}

func (t turn) profilePath(name string) string {
	return filepath.Join(t.bench.profile, t.protocol+"-"+name+".pprof")
}
