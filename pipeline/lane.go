package pipeline

import (
	"cmp"
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Options are what a lane is made with. All are needed but those with a default.
type Options struct {
	Name  string // of the sink, as the configuration calls it
	Sink  Sink
	Store *Store // where the cursors are kept
	Spool Spool  // where lines wait while the sink fails; nil if it has none
	Log   *slog.Logger

	MaxWait  time.Duration // a block with something in it goes on its way at the latest after this; default 200 ms
	MaxBatch int           // log bytes gathered in one request; default 1 MiB
	MaxBody  int           // uncompressed bytes of a request that the store takes; 0 is no limit
	MaxLine  int           // bytes of the longest body; default 256 KiB
	MaxRate  int64         // log bytes a second, over all shards; 0 is no limit

	OneStream   bool        // each request holds one stream: one target, and one of its two streams where it is described by two
	DeadLetters DeadLetters // where records go that the sink refuses for good; nil keeps none

	BlockSize int // default 256 KiB
	Blocks    int // of a shard; default what two requests need, and a few to read into
	MaxShards int // default 4

	// Batch is told of each delivery by the goroutine that sends, which waits for it, so it must return at once; several
	// may call it at a time. nil costs nothing.
	Batch func(Batch)

	// Beat registers a goroutine of the lane with whoever watches that they all go on; it may be nil.
	Beat func(name string) *Beat
}

// A Lane carries the lines of all targets to one sink. It shares nothing with other lanes but the open files.
type Lane struct {
	Options
	intake  Intake
	stats   Stats
	pace    pace
	fault   fault
	witness atomic.Pointer[witness] // the first that the store has accepted; it is never changed
	limit   atomic.Int64            // log bytes that a request may have, as 413 has taught; 0 as long as it has not
	divert  diversion

	// What the keeper hears of: saves that somebody waits for, that something has moved, and how many records have come
	// home since it last looked.
	saves   chan chan<- error
	stirred chan struct{}
	settled atomic.Int64

	mu      sync.Mutex // guards what follows: touched when targets come and go and at a scrape, never on a block's way
	targets []*tracked
	retired Sums
	shards  []*shard // changed by Run's goroutine alone; the last one may be on its way out
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	o.MaxWait = cmp.Or(o.MaxWait, 200*time.Millisecond)
	o.MaxBatch = cmp.Or(o.MaxBatch, 1<<20)
	o.MaxLine = cmp.Or(o.MaxLine, 256<<10)
	o.BlockSize = cmp.Or(o.BlockSize, 256<<10)
	o.Blocks = cmp.Or(o.Blocks, batches*((o.MaxBatch+o.BlockSize-1)/o.BlockSize)+4)
	o.MaxShards = cmp.Or(o.MaxShards, 4)
	if o.Beat == nil {
		o.Beat = func(string) *Beat { return nil }
	}
	return o
}

// Needs is how many bytes of memory each shard takes, and the spool if there is one. A shard holds its blocks, with their
// records and the room for a joined line, and an encoded body for each of its batches.
func (o Options) Needs() (shard, spool int) {
	o = o.withDefaults()
	block := o.BlockSize + o.MaxLine + lineHeader + o.BlockSize/bytesPerRecord*int(unsafe.Sizeof(Record{}))
	bodies := batches * max(o.MaxBatch, o.MaxLine) * 3 / 2
	return o.Blocks*block + bodies, o.spoolBlocks()*block + bodies
}

// Afford is how many shards so many bytes of memory are enough for, beside that of the spool: at least one, and at most
// MaxShards.
func (o Options) Afford(bytes int) int {
	o = o.withDefaults()
	shard, spool := o.Needs()
	if o.Spool != nil {
		bytes -= spool
	}
	return min(max(1, bytes/shard), o.MaxShards)
}

// spoolBlocks is how many blocks the spool's shard has: those of its batches, and none to read ahead, for what it reads is
// at hand.
func (o *Options) spoolBlocks() int { return batches * ((o.MaxBatch + o.BlockSize - 1) / o.BlockSize) }

// NewLane makes a lane; it does nothing before Run.
func NewLane(o Options) *Lane {
	l := &Lane{Options: o.withDefaults(), saves: make(chan chan<- error), stirred: make(chan struct{}, 1)}
	l.pace.begin(o.MaxRate)
	l.divert.Spool = o.Spool
	return l
}

// Name is the sink's name.
func (l *Lane) Name() string { return l.Options.Name }

// Stats are the lane's own figures.
func (l *Lane) Stats() *Stats { return &l.stats }

// Run moves lines until ctx ends; then it reads no more, delivers what is in hand until drain ends, saves the cursors
// and returns.
func (l *Lane) Run(ctx, drain context.Context, intake Intake) {
	l.intake = intake
	var stages, keeper sync.WaitGroup
	stop := make(chan struct{})
	keeper.Go(func() { l.keepCursors(ctx.Done(), stop) })
	l.openSpool(ctx, drain, &stages) // first: while something is in it, no other shard may send
	l.supervise(ctx, drain, &stages)
	stages.Wait()
	close(stop)
	keeper.Wait()
}

// supervise starts shards and gives them up as the load asks, until ctx ends.
func (l *Lane) supervise(ctx, drain context.Context, stages *sync.WaitGroup) {
	l.grow(ctx, drain, stages)
	tick := time.NewTicker(superviseEvery)
	defer tick.Stop()
	scale := scaler{most: l.MaxShards}
	expire := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n := len(l.shards) - 1; l.shards[n].retire.Load() && isClosed(l.shards[n].ended) {
			l.mu.Lock()
			l.shards = l.shards[:n:n]
			l.mu.Unlock()
		}
		switch scale.judge(l.shards, l.stats.Up()) {
		case more:
			l.grow(ctx, drain, stages)
		case fewer:
			n := len(l.shards) - 1
			l.intake.Deal(n) // first: a shard that ends before it would be dealt targets that nobody reads
			l.shards[n].retire.Store(true)
			l.stats.shards.Store(int64(n))
			l.shards[n].readerBell.Ring()
			l.Log.Info("load is low, giving up a shard", "sink", l.Name(), "shards", n)
		}
		if expire++; expire >= 10 {
			expire = 0
			l.expire(time.Now())
		}
	}
}

const superviseEvery = time.Second

func (l *Lane) grow(ctx, drain context.Context, stages *sync.WaitGroup) {
	n := len(l.shards)
	s := newShard(l, strconv.Itoa(n), l.Blocks, func(bell *Bell, beat *Beat) Reader { return l.intake.Open(n, bell, beat) })
	l.mu.Lock()
	l.shards = append(l.shards, s)
	l.mu.Unlock()
	s.start(ctx, drain, stages)
	l.intake.Deal(n + 1)
	l.stats.shards.Store(int64(n + 1))
	if n > 0 {
		l.Log.Info("one more shard", "sink", l.Name(), "shards", n+1)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
