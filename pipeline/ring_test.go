package pipeline

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// TestRing checks against a plain slice what one goroutine sees of a ring, over random runs of Put and Take.
func TestRing(t *testing.T) {
	for room := 0; room <= 17; room++ {
		r := NewRing[int](room)
		var model []int
		next := 0
		rnd := rand.New(rand.NewPCG(uint64(room), 1))
		for range 5000 {
			if r.Empty() != (len(model) == 0) {
				t.Fatalf("room %d: Empty is %t with %d in it", room, r.Empty(), len(model))
			}
			if rnd.IntN(2) == 0 && len(model) < max(1, room) {
				r.Put(next)
				model = append(model, next)
				next++
				continue
			}
			v, ok := r.Take()
			if ok != (len(model) > 0) {
				t.Fatalf("room %d: Take is %t with %d in it", room, ok, len(model))
			}
			if ok {
				if v != model[0] {
					t.Fatalf("room %d: took %d, want %d", room, v, model[0])
				}
				model = model[1:]
			}
		}
	}
}

func TestRingLetsGo(t *testing.T) {
	r := NewRing[*int](4)
	r.Put(new(int))
	r.Take()
	for i, p := range r.slots {
		if p != nil {
			t.Errorf("slot %d still holds what was taken", i)
		}
	}
}

func TestRingFull(t *testing.T) {
	r := NewRing[int](4)
	for i := range 4 {
		r.Put(i)
	}
	defer func() {
		if recover() == nil {
			t.Error("a fifth value fits into a ring of four")
		}
		if v, ok := r.Take(); v != 0 || !ok {
			t.Errorf("the ring was damaged: took %d, %t", v, ok)
		}
	}()
	r.Put(4)
}

// TestRingOrder sends numbered values through chains of rings, several chains at once, as the shards of a lane do, with
// every size and pauses at random, and wants each of them once and in order at the end of its chain. What travels is a
// pointer whose target is changed on the way: under -race that shows whether a hand-over orders memory.
func TestRingOrder(t *testing.T) {
	type value struct{ producer, n, hops int }
	total := 20000
	if testing.Short() {
		total = 2000
	}
	for _, size := range []int{1, 2, 3, 7, 8, 64, 1000} {
		for _, hops := range []int{1, 2, 4} {
			for _, producers := range []int{1, 3} {
				t.Run(fmt.Sprintf("size=%d/hops=%d/producers=%d", size, hops, producers), func(t *testing.T) {
					t.Parallel()
					var wg sync.WaitGroup
					for p := range producers {
						chain := make([]*Ring[*value], hops+1) // the last one brings the values home
						for i := range chain {
							chain[i] = NewRing[*value](size)
						}
						for i := range size {
							chain[hops].Put(&value{p, -1, i})
						}
						wg.Go(func() { // producer: numbers values anew
							rnd := rand.New(rand.NewPCG(uint64(p), uint64(size)))
							for n := 0; n < total/hops; {
								if v, ok := chain[hops].Take(); ok {
									*v = value{p, n, 0}
									chain[0].Put(v)
									n++
								}
								pause(rnd)
							}
						})
						for h := range hops {
							wg.Go(func() {
								rnd := rand.New(rand.NewPCG(uint64(p), uint64(h)))
								for n := 0; n < total/hops; {
									v, ok := chain[h].Take()
									if ok {
										if *v != (value{p, n, h}) {
											t.Errorf("hop %d of producer %d: got %+v, want number %d", h, p, *v, n)
											return
										}
										v.hops++
										chain[h+1].Put(v)
										n++
									}
									pause(rnd)
								}
							})
						}
					}
					wg.Wait()
				})
			}
		}
	}
}

func pause(rnd *rand.Rand) {
	if rnd.IntN(4) == 0 {
		runtime.Gosched()
	}
}

// The benchmarks below pass pointers from producers to one consumer, which wait for each other by yielding, or as the
// channel does.

func BenchmarkRing(b *testing.B) {
	for _, producers := range []int{1, 4} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			b.ReportAllocs()
			rings := make([]*Ring[*Block], producers)
			var blk Block
			var wg sync.WaitGroup
			for i := range rings {
				rings[i] = NewRing[*Block](16)
			}
			for _, r := range rings {
				wg.Go(func() {
					for n := b.N / producers; n > 0; {
						if r.tail.Load()-r.head.Load() == 16 {
							runtime.Gosched()
							continue
						}
						r.Put(&blk)
						n--
					}
				})
			}
			for left := b.N / producers * producers; left > 0; {
				got := false
				for _, r := range rings {
					if _, ok := r.Take(); ok {
						left--
						got = true
					}
				}
				if !got {
					runtime.Gosched()
				}
			}
			wg.Wait()
		})
	}
}

func BenchmarkChannel(b *testing.B) {
	for _, producers := range []int{1, 4} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) {
			b.ReportAllocs()
			c := make(chan *Block, 16)
			var blk Block
			var wg sync.WaitGroup
			for range producers {
				wg.Go(func() {
					for range b.N / producers {
						c <- &blk
					}
				})
			}
			for range b.N / producers * producers {
				<-c
			}
			wg.Wait()
		})
	}
}

// A put and a take by one goroutine: what a hand-over costs where nobody waits.
func BenchmarkRingAlone(b *testing.B) {
	r := NewRing[*Block](16)
	var blk Block
	b.ReportAllocs()
	for b.Loop() {
		r.Put(&blk)
		r.Take()
	}
}

func BenchmarkChannelAlone(b *testing.B) {
	c := make(chan *Block, 16)
	var blk Block
	b.ReportAllocs()
	for b.Loop() {
		c <- &blk
		<-c
	}
}
