package pipeline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A shard is three goroutines and the blocks that go round between them:
//
//	read ──full──► encode ──outbox──► send
//	  ▲               ▲                 │
//	  └─────home──────┼─────────────────┤   blocks, with verdicts
//	                  └─────empty───────┘   batches
//
// Each ring has one goroutine at each end, and room for everything that can be in it.
type shard struct {
	lane   *Lane
	reader Reader
	spool  bool // it empties the lane's spool
	blocks int  // at the most

	full   *Ring[*Block] // put by read, taken by encode
	outbox *Ring[*batch] // put by encode, taken by send
	empty  *Ring[*batch] // put by send, taken by encode
	home   *Ring[*Block] // put by send, taken by read

	readerBell, encoderBell, senderBell *Bell
	readEnded, encodeEnded              atomic.Bool   // no more will come from that stage
	coming                              atomic.Bool   // read is filling the next block at this moment
	retire                              atomic.Bool   // the load needs this shard no longer
	ended                               chan struct{} // closed when read has settled its last block

	ask   atomic.Pointer[cursorCall] // the keeper asks the reading goroutine for its cursors
	moved atomic.Bool                // some cursor has moved since the keeper asked

	starved, encoding, sending  spent // for the scaler
	readBeat, encBeat, sendBeat *Beat
}

// batches is how many requests a shard has room for: one that is sent, one that is filled meanwhile.
const batches = 2

// cursorCall is answered by the reading goroutine between two blocks.
type cursorCall struct {
	cursors []Cursor
	done    chan struct{} // closed by the reading goroutine
}

func newShard(l *Lane, name string, blocks int, open func(bell *Bell, beat *Beat) Reader) *shard {
	s := &shard{
		lane:        l,
		blocks:      blocks,
		full:        NewRing[*Block](blocks),
		home:        NewRing[*Block](blocks),
		outbox:      NewRing[*batch](batches),
		empty:       NewRing[*batch](batches),
		readerBell:  NewBell(),
		encoderBell: NewBell(),
		senderBell:  NewBell(),
		ended:       make(chan struct{}),
	}
	beat := func(stage string) *Beat { return l.Beat(fmt.Sprintf("%s/%s/%s", l.Name(), name, stage)) }
	s.readBeat, s.encBeat, s.sendBeat = beat("read"), beat("encode"), beat("send")
	s.reader = open(s.readerBell, s.readBeat)
	return s
}

func (s *shard) start(ctx, drain context.Context, stages *sync.WaitGroup) {
	stages.Go(func() { s.read(ctx) })
	stages.Go(s.encode)
	stages.Go(func() { s.send(drain) })
}

// read fills blocks, sends them on their way and settles those that come home, until ctx ends or the shard is given up
// and all of its blocks are home.
func (s *shard) read(ctx context.Context) {
	r := reading{shard: s}
	defer s.readBeat.Waiting()
	for ctx.Err() == nil && !(s.retire.Load() && r.empty()) {
		s.readBeat.Busy()
		r.settle()
		if s.spool && r.idle(ctx) {
			continue
		}
		if !r.take() {
			r.pause()
			r.starve(ctx)
			continue
		}
		full := s.reader.Fill(r.block)
		r.move() // not only verdicts move cursors: a file, or a target, may have come to its end
		now := time.Now()
		switch {
		case bool(full): // there is more, and it follows at once
			s.coming.Store(true)
			r.pass()
		case len(r.block.Segments) > 0 && now.Sub(r.flushed) >= s.lane.MaxWait:
			r.flush(now)
		}
		if !full {
			r.pause()
			if s.spool {
				s.lane.straighten() // what it could not read is counted now
			}
			r.rest(ctx, now)
		}
	}
	r.pause()
	if r.block != nil && len(r.block.Segments) > 0 {
		r.pass()
	}
	s.readEnded.Store(true)
	s.encoderBell.Ring()
	for r.settle(); r.out > 0; r.settle() {
		s.readBeat.Waiting()
		s.readerBell.Wait(r.called, -1, nil)
	}
	close(s.ended)
}

// reading is what the reading goroutine knows of its blocks.
type reading struct {
	*shard
	block   *Block   // being filled
	free    []*Block // at home
	made    int
	out     int       // under way
	flushed time.Time // when a block that was not full last went on its way
	looked  time.Time // when Look was last called
}

func (r *reading) empty() bool { return r.blank() && r.reader.Targets() == 0 }

// blank tells that no block holds anything.
func (r *reading) blank() bool { return r.out == 0 && (r.block == nil || len(r.block.Segments) == 0) }

// idle lets the shard of a spool sleep, without its blocks, while lines go straight to the sink. It tells that it slept.
func (r *reading) idle(ctx context.Context) bool {
	r.lane.straighten()
	if r.lane.diverted() || !r.blank() {
		return false
	}
	r.block, r.free, r.made = nil, nil, 0
	r.readBeat.Waiting()
	r.readerBell.Wait(r.stirred, -1, ctx.Done())
	return true
}

// called tells that settle has something to do, which needs no block.
func (r *reading) called() bool { return !r.home.Empty() || r.ask.Load() != nil }

// stirred tells that there is something to do for settle or for Fill.
func (r *reading) stirred() bool { return r.called() || r.reader.Woken() }

// move tells the keeper that cursors may have moved.
func (r *reading) move() {
	if !r.moved.Swap(true) {
		r.lane.stir()
	}
}

// settle takes in the blocks that came home and answers the keeper.
func (r *reading) settle() {
	for {
		b, ok := r.home.Take()
		if !ok {
			break
		}
		r.reader.Settle(b)
		n := int64(len(b.Records))
		b.Reset()
		r.free = append(r.free, b)
		r.out--
		r.move()
		if sum := r.lane.settled.Add(n); sum >= saveLines && sum-n < saveLines {
			r.lane.stir()
		}
	}
	r.answer()
}

func (r *reading) answer() {
	if call := r.ask.Swap(nil); call != nil {
		call.cursors = r.reader.Cursors(call.cursors)
		close(call.done)
	}
}

// take sees to it that there is a block to fill. Blocks are made as they are needed, so an idle lane has one.
func (r *reading) take() bool {
	switch n := len(r.free); {
	case r.block != nil:
	case n > 0: // the one that came home last is the one most likely in the processor's cache
		r.block, r.free = r.free[n-1], r.free[:n-1]
	case r.made < r.blocks:
		r.block = NewBlock(r.lane.BlockSize, r.lane.MaxLine+lineHeader)
		r.made++
	}
	return r.block != nil
}

// spare gives back the blocks that a load needed which is over: one is enough for what comes now and then.
func (r *reading) spare() {
	if r.blank() && r.made > 1 && r.take() {
		r.free, r.made = nil, 1
	}
}

// pause tells the encoder that nothing more follows at once.
func (r *reading) pause() {
	if r.coming.Load() {
		r.coming.Store(false)
		r.encoderBell.Ring()
	}
}

// lineHeader is room for what a runtime writes before a body.
const lineHeader = 4 << 10

// flush passes on a block that is not full: all that there is has been read.
func (r *reading) flush(now time.Time) {
	r.flushed = now
	r.pass()
}

func (r *reading) pass() {
	b := r.block
	r.block = nil
	r.out++
	r.full.Put(b)
	r.encoderBell.Ring()
}

// starve waits for a block to come home: the lane's backpressure. The files wait meanwhile.
func (r *reading) starve(ctx context.Context) {
	if now := time.Now(); now.Sub(r.looked) >= lookEvery {
		r.looked = now
		r.reader.Look()
	}
	r.starved.enter()
	r.readBeat.Waiting()
	r.readerBell.Wait(r.called, lookEvery, ctx.Done())
	r.starved.leave()
}

const lookEvery = 5 * time.Second

// rest sleeps until the next round is due: busy files are polled once every MaxWait, and a block with something in it
// is passed on at the end of it. Whoever wakes a target that was idle rings the bell. Blocks that come home and the
// keeper's questions are seen to on the way; they are no reason to ask all the files again.
func (r *reading) rest(ctx context.Context, now time.Time) {
	d := r.reader.Rest(r.lane.MaxWait)
	if r.block != nil && len(r.block.Segments) > 0 {
		d = min(d, r.flushed.Add(r.lane.MaxWait).Sub(now))
	}
	if d > r.lane.MaxWait {
		r.spare()
	}
	due := now.Add(d)
	for d > 0 && ctx.Err() == nil && !r.reader.Woken() {
		r.readBeat.Waiting()
		r.readerBell.Wait(r.stirred, d, ctx.Done())
		r.readBeat.Busy()
		r.settle()
		if r.retire.Load() || r.spool {
			return // the spool may be empty now
		}
		// A verdict may have given the reader a file to poll that was quiet.
		d = min(time.Until(due), r.reader.Rest(r.lane.MaxWait))
	}
}
