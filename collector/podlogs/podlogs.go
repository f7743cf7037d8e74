// Package podlogs finds the container logs of a node and keeps finding them: it says which targets there are and which
// files each has at this moment. It opens and reads none of them.
//
//	ROOT/<namespace>_<pod>_<uid>/<container>/<restart>.log      the file that the runtime writes
//	                                         <restart>.log*     what a rotation made of it; names in .tmp are not ready
//
// # Promise
//
// A file that was there is told of, even if it stays for a second only: folders are watched by inotify, the watch is put
// on before the folder is listed, and Sync is called straight from the event. Behind that, everything is looked at again
// every Options.Rescan, and every Options.RescanBlind while a folder cannot be watched. Then a file that lives
// shorter than that can be missed; the log says so, and what to raise.
//
// What it cannot make out (strange names, a file where a folder should be, a link that leads nowhere) is said once, left
// out, and never stops the others. The root itself may come later, go, and come back.
//
// # Links
//
// Under Docker <restart>.log is a link to a file that Docker rotates where it lies. Links are followed beneath
// Options.RootFS; the rotated files are sought beside the file that the link leads to, by Docker's names (a count, .gz
// or not), they carry the link's restart number, and that folder is watched as well. Pod and container folders must be
// real ones.
//
// # Who owns what
//
// Run's goroutine owns everything and is the only one that calls Files, Ready and Beat. It is the only goroutine. A
// Target is made when its folder is found and lives until Gone. A folder that is deleted and made again under the same
// name (a static pod's uid is a hash of its manifest and comes back with it) gives Gone for the old target and then Sync
// with a new one that has an equal Key.
//
// # Cost
//
// A pass over all folders asks each for its mtime (one statx) and lists only those that changed, or changed so lately
// that the file system's clock may hide another change. 2,000 idle containers in 2,000 pods take 10 ms of CPU (15 ms with
// Docker's links; listing all of them would take 52 and 109 ms): every 30 s that is 0.03 % of a core, and every second,
// without inotify, 1 %.
package podlogs

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
	// Sync says which files a target has now: by restart, the oldest first, the file being written last. It is called at
	// once after each change of the folder, and for every target at every rescan. The slice stays as it is and may be
	// kept; the same slice as before means that nothing happened in the folder.
	Sync(t *pipeline.Target, files []pipeline.LogFile)

	// Gone says that the target's folder is gone: the pod was deleted. What is held open of it can still be read.
	Gone(t *pipeline.Target)
}

// Options are what a Watcher works by. Root and Files must be set.
type Options struct {
	// Root is the folder of the pods' folders, /var/log/pods, as this process sees it.
	Root string

	// RootFS is where this process sees the node's root folder; links are followed beneath it. Default "/".
	RootFS string

	// Node and Labels are put in every target; the labels are sorted by name.
	Node   string
	Labels []pipeline.Label

	// Include chooses; nil takes all.
	Include func(namespace, pod, container string) bool

	// Files is told of everything.
	Files Files

	// Ready is called once, after the first pass over everything. A root that does not exist counts as looked at, one that
	// cannot be read does not.
	Ready func()

	// Beat is called with true when work begins and with false before waiting.
	Beat func(busy bool)

	// Rescan is the time between two passes over everything, default 30 s; RescanBlind the same while some folder cannot
	// be watched, default 1 s.
	Rescan, RescanBlind time.Duration

	// Log is where complaints go. Default slog.Default().
	Log *slog.Logger
}

// A Watcher finds container logs. Make it by New, then call Run once.
type Watcher struct {
	Options
	watch      *dirwatch.Watcher[place]
	complaints *dirwatch.Complaints

	root  root
	await await
	ready bool
	known []string // room for the names of a pass
	marks marks
}

// New makes a Watcher.
func New(o Options) *Watcher {
	if o.RootFS == "" {
		o.RootFS = "/"
	}
	if o.Rescan <= 0 {
		o.Rescan = 30 * time.Second
	}
	if o.RescanBlind <= 0 {
		o.RescanBlind = time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Include == nil {
		o.Include = func(string, string, string) bool { return true }
	}
	if o.Beat == nil {
		o.Beat = func(bool) {}
	}
	if o.Ready == nil {
		o.Ready = func() {}
	}
	return &Watcher{Options: o, complaints: dirwatch.NewComplaints(o.Log)}
}

// Run finds files until ctx ends, and then returns nil with everything closed; no target is called Gone for that. The
// only errors are Options that cannot be worked by.
func (w *Watcher) Run(ctx context.Context) error {
	if !filepath.IsAbs(w.Root) || !filepath.IsAbs(w.RootFS) {
		return fmt.Errorf("pod logs: folder %q, root %q: give absolute paths", w.Root, w.RootFS)
	}
	if w.Files == nil {
		return errors.New("pod logs: nobody to tell of files")
	}
	w.watch = dirwatch.New[place]()
	defer w.watch.Close()
	w.loop(ctx)
	return nil
}

func (w *Watcher) loop(ctx context.Context) {
	for {
		w.Beat(true)
		w.rescan()
		if err := w.follow(ctx, time.Now().Add(w.interval())); err != nil {
			return
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
		if w.apply(events) {
			return nil
		}
	}
	return nil
}

func (w *Watcher) interval() time.Duration {
	const subject = "inotify"
	if err := w.watch.Err(); err != nil {
		w.complaints.Once(subject, "pod logs: not every folder can be watched; looking at all of them more often, a file of shorter life can be missed",
			"every", w.RescanBlind, "err", err)
		return w.RescanBlind
	}
	w.complaints.Over(subject, "pod logs: every folder is watched again")
	return w.Rescan
}
