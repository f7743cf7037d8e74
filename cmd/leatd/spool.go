package main

import (
	"os"
	"path/filepath"

	"github.com/leatd/leat/cmd/leatd/config"
	"github.com/leatd/leat/pipeline"
	"github.com/leatd/leat/pipeline/spool"
)

// openSpool opens a sink's spool and tells the cursors what is in it. It is nil where the sink has none. One that is
// turned off is emptied all the same if there is something in it, and takes no more.
func (a *agent) openSpool(s config.Sink, cursors *pipeline.Store) (*spool.Spool, error) {
	dir := filepath.Join(a.cfg.State, s.Name, "spool")
	if s.Spool.MaxBytes == 0 {
		left, err := filepath.Glob(filepath.Join(dir, "*.spool"))
		if err != nil || len(left) == 0 {
			return nil, err
		}
	} else if err := os.MkdirAll(dir, 0o750); err != nil {
		a.log.Error("the folder of the spool cannot be made: while the sink fails, lines wait in their files alone; make the state folder writable",
			"sink", s.Name, "error", err)
		return nil, nil
	}
	labels := sortedLabels(a.cfg.Labels)
	return spool.New(spool.Options{
		Dir: dir, MaxBytes: int64(s.Spool.MaxBytes), DropOldest: s.Spool.WhenFull == config.DropOldest,
		State: cursors.SpoolState(), After: cursors.Spooled(), Cover: cursors.Cover, Log: a.log.With("sink", s.Name),
		Target: func(saved *pipeline.Target) *pipeline.Target {
			t := *saved
			t.Node = a.cfg.Node
			if !t.Raw { // a host file keeps the labels that it had
				t.Labels = labels
			}
			return &t
		},
	})
}
