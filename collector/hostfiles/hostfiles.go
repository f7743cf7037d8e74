// Package hostfiles finds the node's own log files by globs (logs.files) and says which files each target has at this
// moment. It opens and reads none of them.
//
// # What is a target
//
// Each file that a glob matches is one, named by its path; its lines carry no runtime's format (Target.Raw). Where
// several globs match a file, the first one's labels count. A name that begins with a dot is matched only by a
// pattern that begins with one, and a folder never. A link is one too, unless what it leads to is already read as a file of another target;
// links are followed beneath Options.RootFS.
//
// # What is a generation
//
// Rotated files are generations of the target, not targets, even if the glob matches them. That goes by name alone, so
// that it says the same in the moment of a rotation and after a restart: NAME is a generation of BASE if BASE with a
// suffix of a rotation (".1", "-20260102", ".20260102-030405", each with or without ".gz", or ".gz" alone; see
// dirwatch.SplitRotation) gives NAME, both lie in one folder, and the glob matches BASE as well. So /var/log/*.log*
// makes one target of auth.log, auth.log.1 and auth.log.2.gz, also while auth.log itself is missing; with
// /srv/worker.*, which does not match "worker", worker.1 and worker.2 are targets. Write the glob that way if such
// names are not rotations. Files in other compressions (.xz, .bz2, .zst, ...) cannot be read: left out, and said once.
//
// # Promise
//
// The folders that a glob is sought in are watched by inotify, or their nearest parent until they exist; behind that
// everything is looked at every Options.Rescan, and every Options.RescanBlind while a folder cannot be watched. A target
// ends (Gone) when none of its files was there for one rescan's time; until then Sync tells that it has none. A file that comes after that
// makes a new target with an equal Key.
//
// Run's goroutine owns everything, is the only one, and calls Files, Ready and Beat.
package hostfiles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/leatd/leat/collector/dirwatch"
	"github.com/leatd/leat/pipeline"
)

// Files is told what there is to read. All calls come from one goroutine, and nothing is found while one lasts.
type Files interface {
	// Sync says which files a target has now, the oldest first, the file being written last. It is called at once after
	// each change of the target's folder, and for every target at every rescan. The slice stays as it is and may be kept;
	// the same slice as before means that nothing happened.
	Sync(t *pipeline.Target, files []pipeline.LogFile)

	// Gone says that the target has had no file for a while. What is held open of it can still be read.
	Gone(t *pipeline.Target)
}

// A Glob names files, with the labels of their lines. The pattern is that of path/filepath.Match, absolute, as this
// process sees the files.
type Glob struct {
	Path   string
	Labels []pipeline.Label
}

// Options are what a Watcher works by. Globs and Files must be set.
type Options struct {
	Globs []Glob

	// RootFS is where this process sees the node's root folder; links are followed beneath it. Default "/".
	RootFS string

	// Node and Labels are put in every target; a glob's own label of the same name wins.
	Node   string
	Labels []pipeline.Label

	// Files is told of everything.
	Files Files

	// Ready is called once, after the first pass over everything.
	Ready func()

	// Beat is called with true when work begins and with false before waiting.
	Beat func(busy bool)

	// Rescan is the time between two passes over everything, default 5 s; RescanBlind the same while some folder cannot
	// be watched, default 1 s.
	Rescan, RescanBlind time.Duration

	// Log is where complaints go. Default slog.Default().
	Log *slog.Logger
}

// A Watcher finds host files. Make it by New, then call Run once.
type Watcher struct {
	Options
	globs      []glob
	watch      *dirwatch.Watcher[*folder]
	complaints *dirwatch.Complaints

	folders  map[string]*folder   // by path, links followed
	targets  map[string]*target   // by path, as the glob gives it
	dangling map[string]time.Time // links whose file was missing at the last look, since when
	pass     int
}

// New makes a Watcher.
func New(o Options) *Watcher {
	if o.RootFS == "" {
		o.RootFS = "/"
	}
	if o.Rescan <= 0 {
		o.Rescan = 5 * time.Second
	}
	if o.RescanBlind <= 0 {
		o.RescanBlind = time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Beat == nil {
		o.Beat = func(bool) {}
	}
	if o.Ready == nil {
		o.Ready = func() {}
	}
	return &Watcher{
		Options: o, complaints: dirwatch.NewComplaints(o.Log),
		folders: make(map[string]*folder), targets: make(map[string]*target),
	}
}

// Run finds files until ctx ends, and then returns nil with everything closed; no target is called Gone for that. The
// only errors are Options that cannot be worked by.
func (w *Watcher) Run(ctx context.Context) error {
	if w.Files == nil {
		return errors.New("host files: nobody to tell of files")
	}
	if !filepath.IsAbs(w.RootFS) {
		return fmt.Errorf("host files: root %q: give an absolute path", w.RootFS)
	}
	for _, g := range w.Globs {
		if err := CheckPath(g.Path); err != nil {
			return fmt.Errorf("host files: %w", err)
		}
		w.globs = append(w.globs, newGlob(g, w.Labels))
	}
	w.watch = dirwatch.New[*folder]()
	defer w.watch.Close()
	for first := true; ; first = false {
		w.Beat(true)
		w.watch.Retry()
		w.look(true)
		if first {
			w.Ready()
		}
		if err := w.follow(ctx, time.Now().Add(w.interval())); err != nil {
			return nil
		}
	}
}

// follow handles events until it is time for the next pass over everything. Its error is the end of ctx.
func (w *Watcher) follow(ctx context.Context, until time.Time) error {
	for time.Now().Before(until) {
		w.Beat(false)
		events, err := w.watch.Wait(ctx, until)
		if err != nil {
			return err
		}
		w.Beat(true)
		concerned := false
		for _, e := range events {
			switch {
			case e.Op == dirwatch.Overflow:
				w.Log.Info("host files: the kernel's queue of events was full; looking at every folder")
				return nil
			case e.Op == dirwatch.Self || e.Owner.wants(e.Name):
				e.Owner.settled, e.Owner.touched, concerned = false, true, true
			}
		}
		if concerned {
			w.look(false)
		}
	}
	return nil
}

func (w *Watcher) interval() time.Duration {
	const subject = "inotify"
	if err := w.watch.Err(); err != nil {
		w.complaints.Once(subject, "host files: not every folder can be watched; looking at all of them more often, a file of shorter life can be missed",
			"every", w.RescanBlind, "err", err)
		return w.RescanBlind
	}
	w.complaints.Over(subject, "host files: every folder is watched again")
	return w.Rescan
}
