package tail

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leatd/leat/pipeline"
)

// A Set holds the logs that discovery has found, with their files open, for all lanes. Files are opened here and at
// once, so that one which is deleted a moment later is read all the same.
type Set struct {
	opts   Options
	times  timing
	began  time.Time
	now    func() time.Time
	jitter func(time.Duration) time.Duration // any below that
	lease  func(fd int) writers
	parker *parker

	mu    sync.Mutex // discovery and lanes meet here when files come and go
	logs  map[string]*log
	lanes []*Lane
	seq   int
	ready bool
	retry map[*log]bool     // logs with a file that could not be opened
	said  map[string]string // complaints made, by path
	held  held

	gunzip gunzip // to look into compressed files
}

// Options are what all lanes read with.
type Options struct {
	MaxLine int // bytes of the longest body that is kept whole

	// Start is where to begin in files that are there when a sink runs for the first time.
	Start       Start
	StartMaxAge time.Duration // files that were last written before that are not read then; 0 is no limit

	// HoldMaxBytes and HoldMaxAge bound what is held open of deleted files: bytes that some lane has not settled, over all
	// files, and the time since a file was deleted. 0 gives a deleted file up at once.
	HoldMaxBytes int64
	HoldMaxAge   time.Duration

	Log *slog.Logger
}

// Start says where to begin in files that were there first.
type Start uint8

const (
	Beginning Start = iota
	End
)

// A log is a target and its files, oldest first. The list is replaced, never changed, so lanes read it without a lock.
type log struct {
	target  *pipeline.Target
	files   atomic.Pointer[[]*file]
	version atomic.Uint64 // counts the replacements
	partial atomic.Bool   // a file could not be opened
	gone    atomic.Bool   // its folder is gone: nothing will be added

	found []pipeline.LogFile // as discovery said last; guarded by Set.mu
}

// NewSet makes an empty set.
func NewSet(o Options) *Set {
	return &Set{
		opts:   o,
		times:  standard,
		began:  time.Now(),
		now:    time.Now,
		jitter: rand.N[time.Duration],
		lease:  askWriters,
		parker: newParker(o.Log),
		logs:   make(map[string]*log),
		retry:  make(map[*log]bool),
		said:   make(map[string]string),
	}
}

// Sync says which files a target has now. Discovery calls it after each change of a folder, and with the same slice as
// before when it has looked and nothing has changed.
func (s *Set) Sync(t *pipeline.Target, found []pipeline.LogFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[t.Key]
	if l == nil || l.gone.Load() && !l.knows(found) {
		l = &log{target: t}
		l.files.Store(&[]*file{})
		s.logs[t.Key] = l
	}
	if !l.gone.Load() && sameSlice(l.found, found) && !s.retry[l] {
		return // nothing happened in the folder
	}
	l.gone.Store(false)
	l.found = found
	s.open(l, false)
}

// knows tells that one of the files was the log's before. Where a folder has gone and come back with nothing of what it
// held, there is a new log under the old key: it may count its restarts from 0 again.
func (l *log) knows(found []pipeline.LogFile) bool {
	for _, lf := range found {
		key, _, _, err := inodeOf(unix.AT_FDCWD, lf.Path)
		for _, f := range *l.files.Load() {
			if err == nil && f.key == key {
				return true
			}
		}
	}
	return false
}

func sameSlice(a, b []pipeline.LogFile) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// Gone says that a target's folder is gone. What is held open is read to its end.
func (s *Set) Gone(t *pipeline.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logs[t.Key]; l != nil {
		l.found = nil
		l.gone.Store(true)
		s.open(l, false)
	}
}

// Ready says that discovery has seen the node once: from now on, a file that appears is new and is read from its start.
func (s *Set) Ready() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

// Run tries again what could not be opened, and gives up what was held for long, until ctx ends.
func (s *Set) Run(ctx context.Context) {
	tick := time.NewTicker(s.times.retry)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.tick()
	}
}

func (s *Set) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range maps.Clone(s.retry) {
		s.open(l, true)
	}
	s.trim()
}

// open brings a log's list of open files up to what discovery found. When it tries again, that may be old news: names that
// are gone by now say nothing about their files.
func (s *Set) open(l *log, again bool) {
	delete(s.retry, l)
	old := *l.files.Load()
	first := l.version.Load() == 0
	files := make([]*file, 0, len(l.found)+1)
	seen := make(map[*file]bool)
	from := l.younger(old)
	for i, lf := range l.found {
		if lf.Gzip && l.target.Raw {
			continue // nothing in its lines tells whether it was read before it was compressed
		}
		f, err := s.find(l, lf, old, i >= from)
		if err != nil {
			if errors.Is(err, errUnfinished) {
				s.retry[l] = true
			} else if errors.Is(err, unix.ENOENT) { // a file that went again is no complaint: rotation does that all day
				delete(s.said, lf.Path)
			} else {
				s.complain(l, lf.Path, err)
			}
			continue
		}
		if f != nil && !seen[f] {
			seen[f] = true
			path := lf.Path
			f.path.Store(&path)
			f.order.current = isCurrent(lf.Name, l.target)
			files = append(files, f)
		}
	}
	var unlisted []*file
	for _, f := range old {
		if seen[f] {
			continue
		}
		if again && f.listed.Load() {
			seen[f] = true
			files = append(files, f)
			continue
		}
		// Deleted, or renamed over: held until it is read. One that is closed is remembered until the next time, since a
		// folder that is read during a rename may show neither name.
		if f.order.current = false; !f.closed() || f.listed.Load() && f.key.born != 0 {
			files = append(files, f)
		}
		unlisted = append(unlisted, f)
	}
	for _, f := range files {
		if !f.order.known && f.hold() {
			f.order.first, f.order.known = firstTime(f, f.readAt)
			f.release()
			if !f.order.known && !seen[f] {
				f.order.first = before(f, files)
			}
		}
	}
	slices.SortFunc(files, func(a, b *file) int { return a.order.compare(b.order) })
	if first || l.gone.Load() || len(unlisted) > 0 || !slices.Equal(files, old) {
		l.files.Store(&files)
		l.version.Add(1)
	}
	l.partial.Store(s.retry[l])
	for f := range seen {
		f.listed.Store(true)
		f.deleted = time.Time{}
	}
	for _, f := range unlisted { // its reader sees first what follows it
		f.listed.Store(false)
		s.hold(l, f)
	}
	s.trim()
	s.tell(l)
}

func (s *Set) tell(l *log) {
	for _, lane := range s.lanes {
		lane.update(l)
	}
}

// find returns the open file behind a name: one that is known, or else one that is opened now. It returns nil for a
// file that is no generation of its own, as one of a host file's may not be that is not surely new.
func (s *Set) find(l *log, lf pipeline.LogFile, known []*file, isNew bool) (*file, error) {
	key, _, _, err := inodeOf(unix.AT_FDCWD, lf.Path)
	if err != nil {
		return nil, err
	}
	for _, f := range known {
		if f.key == key {
			return f, nil
		}
	}
	if !isNew && lf.Path != l.target.Path && s.said[lf.Path] == "" {
		// logrotate makes a new name beside a log in two ways: by rename, then we know the inode, or by copying or
		// compressing what we have read already.
		return nil, nil
	}
	fd, err := openFile(lf.Path)
	if err != nil {
		return nil, err
	}
	key, size, mtime, err := inodeOf(fd, "") // what was opened, whatever the name leads to by now
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	for _, f := range known {
		if f.key == key {
			unix.Close(fd)
			return f, nil
		}
	}
	s.seq++
	f := &file{fd: fd, restart: lf.Restart, raw: l.target.Raw, key: key, size: size, mtime: mtime, early: !s.ready, lease: s.lease}
	f.order = order{restart: lf.Restart, seq: s.seq, batch: l.version.Load()}
	f.users.Store(int32(len(s.lanes)))
	f.listed.Store(true)
	f.path.Store(&lf.Path)
	f.settled = make([]atomic.Int64, len(s.lanes))
	if lf.Gzip {
		plain := strings.TrimSuffix(lf.Name, ".gz")
		if err := s.unpack(f, slices.ContainsFunc(l.found, func(other pipeline.LogFile) bool { return other.Name == plain })); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	delete(s.said, lf.Path)
	return f, nil
}

// complain says once what keeps a file from being read, and sees to it that it is tried again.
func (s *Set) complain(l *log, path string, err error) {
	s.retry[l] = true
	if s.said[path] == err.Error() {
		return
	}
	s.said[path] = err.Error()
	hint := "it is tried again every 10 s"
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		hint = "let leatd read it: run as uid 0 or gid 0 (the kubelet's files are 0640 root:root), or add the capability DAC_READ_SEARCH; " + hint
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		hint = "raise the limit of open files (LimitNOFILE, ulimit -n); " + hint
	case errors.Is(err, errNotRegular):
		hint = "only regular files are read"
	}
	s.opts.Log.Warn("log file cannot be read, the others go on", "file", path, "error", err, "hint", hint)
}

// Unreadable is how many files there are that could not be opened the last time they were tried.
func (s *Set) Unreadable() (files int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.retry {
		for _, lf := range l.found {
			if s.said[lf.Path] != "" {
				files++
			}
		}
	}
	return files
}

// forget drops a log whose folder is gone once a lane has done with it, as of that version of its list. Each lane calls
// it; the entry goes with the first, since a log of the same name that comes later is a new one for every lane.
func (s *Set) forget(l *log, version uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.gone.Load() || l.version.Load() != version {
		return false // it came back meanwhile
	}
	if s.logs[l.target.Key] == l {
		delete(s.logs, l.target.Key)
	}
	delete(s.retry, l)
	return true
}
