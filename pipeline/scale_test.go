package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFarStoreGetsShards: where each request takes long and lines wait, the lane gets more shards, up to its most; when
// the load is gone it gives them up again, down to one, and every line arrives in order all the while.
func TestFarStoreGetsShards(t *testing.T) {
	onBench(t, func(o *Options) { o.MaxShards = 3 }, func(b *bench) {
		b.in.beQuiet()
		b.sink.set(func(context.Context, string) Answer { time.Sleep(300 * time.Millisecond); return accepted })
		const targets = 7
		for i := range targets {
			b.in.add(fmt.Sprint(i), fill(0, 5000)...)
		}
		b.after(20 * time.Second)
		if n := b.lane.Stats().Shards(); n != 3 {
			t.Errorf("%d shards, want 3", n)
		}
		b.after(10 * time.Minute)
		if n := b.lane.Stats().Shards(); n != 1 {
			t.Errorf("%d shards after the load has gone, want 1", n)
		}
		if n := len(b.beats.byName); n != 9 {
			t.Errorf("three shards have %d beats; one goroutine must not cover another that hangs", n)
		}
		if want := []int{1, 2, 3, 2, 1}; !slices.Equal(b.in.deals, want) {
			t.Errorf("dealt over %v, want %v", b.in.deals, want)
		}
		for i := range targets {
			b.in.add(fmt.Sprint(i), "last")
		}
		b.after(time.Minute)
		for _, ft := range b.in.all {
			if ft.settled != 5001 {
				t.Errorf("%s: %d lines", ft.Key, ft.settled)
			}
		}
		if n := len(b.lane.shards); n != 1 {
			t.Errorf("%d shards are kept", n)
		}
		logged := b.logged.take()
		for _, said := range []string{`msg="one more shard" sink=s shards=3`, `msg="load is low, giving up a shard" sink=s shards=1`} {
			if !strings.Contains(logged, said) {
				t.Errorf("nothing says %s in\n%s", said, logged)
			}
		}
		b.after(time.Hour)
		if n := b.lane.Stats().Shards(); n != 1 {
			t.Errorf("%d shards after an idle hour", n)
		}
	})
}

// TestOutageGetsNoShards: a store that is down is not far.
func TestOutageGetsNoShards(t *testing.T) {
	onBench(t, func(o *Options) { o.MaxShards = 3 }, func(b *bench) {
		b.sink.set(func(context.Context, string) Answer { time.Sleep(time.Second); return down })
		b.in.add("a", fill(0, 1000)...)
		b.after(10 * time.Minute)
		if n := b.lane.Stats().Shards(); n != 1 {
			t.Errorf("%d shards", n)
		}
	})
}

// TestStopWhileRetiring: the lane is told to stop while a shard that it has given up still holds blocks.
func TestStopWhileRetiring(t *testing.T) {
	for _, drain := range []bool{true, false} {
		onBench(t, func(o *Options) { o.MaxShards = 2 }, func(b *bench) {
			b.sink.set(func(context.Context, string) Answer { time.Sleep(300 * time.Millisecond); return accepted })
			for i := range 4 {
				b.in.add(fmt.Sprint(i), fill(0, 1000)...)
			}
			b.after(20 * time.Second)
			if n := b.lane.Stats().Shards(); n != 2 {
				t.Fatalf("%d shards", n)
			}
			release := make(chan struct{})
			b.sink.set(func(ctx context.Context, _ string) Answer {
				select {
				case <-release:
					return accepted
				case <-ctx.Done():
					return down
				}
			})
			s := b.lane.shards[1]
			b.in.Deal(1)
			s.retire.Store(true)
			s.readerBell.Ring()
			b.after(time.Minute)
			if isClosed(s.ended) {
				t.Error("the shard has ended with blocks under way")
			}
			b.beats.allWait(t)
			b.stop()
			b.after(time.Minute)
			if drain {
				close(release)
			} else {
				b.giveUp()
			}
			<-b.ended
		})
	}
}

func TestScaler(t *testing.T) {
	shards := func(n int, starved, encoding, sending float64) []*shard {
		list := make([]*shard, n)
		for i := range list {
			s := &shard{}
			s.starved.total.Store(int64(starved * 1e9))
			s.encoding.total.Store(int64(encoding * 1e9))
			s.sending.total.Store(int64(sending * 1e9))
			list[i] = s
		}
		return list
	}
	judge := func(c *scaler, times int, make func() []*shard, up bool) (d decision) {
		for range times {
			if d != stay {
				return d
			}
			d = c.judge(make(), up)
		}
		return d
	}
	for name, c := range map[string]struct {
		shards func() []*shard
		times  int
		up     bool
		want   decision
	}{
		"far":               {func() []*shard { return shards(1, 0.9, 0.1, 0.9) }, growAfter, true, more},
		"far, not for long": {func() []*shard { return shards(1, 0.9, 0.1, 0.9) }, growAfter - 1, true, stay},
		"far and down":      {func() []*shard { return shards(1, 0.9, 0.1, 0.9) }, 100, false, stay},
		"far, at most":      {func() []*shard { return shards(4, 0.9, 0.1, 0.9) }, 100, true, stay},
		"busy reader":       {func() []*shard { return shards(1, 0.1, 0.5, 0.9) }, 100, true, stay},
		"idle":              {func() []*shard { return shards(2, 0, 0.1, 0.1) }, shrinkAfter, true, fewer},
		"idle, alone":       {func() []*shard { return shards(1, 0, 0, 0) }, 10 * shrinkAfter, true, stay},
		"half busy":         {func() []*shard { return shards(2, 0, 0, 0.4) }, 10 * shrinkAfter, true, stay},
		"retiring": {func() []*shard {
			s := shards(2, 0.9, 0, 0.9)
			s[1].retire.Store(true)
			return s
		}, 100, true, stay},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(&scaler{most: 4}, c.times, c.shards, c.up); got != c.want {
				t.Errorf("decided %d, want %d", got, c.want)
			}
		})
	}
}

// TestAfford: what a shard is said to hold is what it holds.
func TestAfford(t *testing.T) {
	o := Options{MaxShards: 100}.withDefaults()
	block := NewBlock(o.BlockSize, o.MaxLine+lineHeader)
	shard := o.Blocks*(len(block.Buf)+cap(block.Records)*24) + batches*o.MaxBatch
	for _, n := range []int{1, 2, 5} {
		if got := o.Afford(n*shard + shard/4*n); got != n {
			t.Errorf("room for %d shards of %d bytes gives %d", n, shard, got)
		}
	}
	if o.Afford(0) != 1 || o.Afford(1<<40) != 100 {
		t.Error("at least one, and at most MaxShards")
	}
	if o.Blocks != 12 {
		t.Errorf("%d blocks for two requests of four, and four to read into", o.Blocks)
	}
}
