package push

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

var seeds = flag.Int("seeds", 0, "how many schedules the model test runs; 0 for a few")

// TestModel plays schedules of outages, faults of the disk, kills and power cuts. At every moment the account adds up and
// the bounds hold; at the end every body has reached the store or is counted, and none has come before an older one.
func TestModel(t *testing.T) {
	n := *seeds
	if n == 0 {
		n = 40
	}
	var sum modelSum
	for seed := range uint64(n) {
		synctest.Test(t, func(t *testing.T) { playModel(t, rand.New(rand.NewPCG(seed, 4)), seed, &sum) })
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", sum)
	if n >= 40 && (sum.Kills < 20 || sum.Full == 0 || sum.Lost == 0 || sum.Faults < 100 || sum.Twice == 0 || sum.Stored < 2000) {
		t.Errorf("the test has lost its teeth: %+v", sum)
	}
}

// roomy is a spool that never gets full.
const roomy = 1 << 30

// modelSum is what the schedules have come to.
type modelSum struct{ Lives, Kills, Faults, Stored, Twice, Full, Damaged, Refused, Lost int }

// A modelStore answers as the schedule wants it, and knows what it has.
type modelStore struct {
	rnd     *rand.Rand // of the sender alone
	mode    func(ctx context.Context, rnd *rand.Rand) (pipeline.Answer, bool)
	had     map[int]int // how often a body was stored, by its number
	refused map[int]bool
	order   []int // of first arrivals
}

var modes = []func(ctx context.Context, rnd *rand.Rand) (a pipeline.Answer, stored bool){
	func(context.Context, *rand.Rand) (pipeline.Answer, bool) { return ok, true },
	func(context.Context, *rand.Rand) (pipeline.Answer, bool) { return away, false },
	func(_ context.Context, rnd *rand.Rand) (pipeline.Answer, bool) { return away, rnd.IntN(2) == 0 }, // an answer that never came
	func(_ context.Context, rnd *rand.Rand) (pipeline.Answer, bool) {
		return pipeline.Answer{Outcome: pipeline.Throttled, Code: "429", RetryAfter: time.Duration(rnd.IntN(60)) * time.Second}, false
	},
	func(ctx context.Context, rnd *rand.Rand) (pipeline.Answer, bool) {
		select {
		case <-ctx.Done():
			return away, false
		case <-time.After(time.Duration(rnd.IntN(40)) * time.Second):
		}
		if rnd.IntN(2) == 0 {
			return ok, true
		}
		return away, false
	},
	func(_ context.Context, rnd *rand.Rand) (pipeline.Answer, bool) {
		if rnd.IntN(3) == 0 {
			return refusing, false
		}
		return ok, true
	},
}

// playModel plays one schedule: some lives of a Pusher, one after the other, on what the one before has left on disk.
func playModel(t *testing.T, rnd *rand.Rand, seed uint64, sum *modelSum) {
	store := &modelStore{rnd: rand.New(rand.NewPCG(seed, 5)), mode: modes[0], had: map[int]int{}, refused: map[int]bool{}}
	s := &fakeSink{pad: rnd.IntN(9000), parts: 1 + rnd.IntN(3), silent: true}
	dead := false
	s.answer = func(ctx context.Context, body string) pipeline.Answer {
		text, _, _ := strings.Cut(body, "@")
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Errorf("seed %d: the store got %q", seed, body)
		}
		s.mu.Lock()
		mode := store.mode
		s.mu.Unlock()
		a, stored := mode(ctx, store.rnd)
		s.mu.Lock()
		defer s.mu.Unlock()
		if dead {
			return away
		}
		if stored {
			if store.had[n]++; store.had[n] == 1 && !store.refused[n] { // else a power cut has brought it back
				store.order = append(store.order, n)
			}
		}
		store.refused[n] = store.refused[n] || a.Outcome == pipeline.Refused
		return a
	}
	d := newMemDisk()
	most := int64(roomy)
	if rnd.IntN(2) == 0 {
		most = int64(3+rnd.IntN(20)) * 4096 * 3
	}
	faulty := rnd.IntN(2) == 0
	counted, lost := int64(0), int64(0) // samples
	lives := 1 + rnd.IntN(4)
	for life := range lives {
		sum.Lives++
		r := newRig(t, d, most, s)
		faults := rand.New(rand.NewPCG(seed, uint64(life)))
		share := 0
		d.fail = func(_ int, op string) error { // under the disk's lock
			if share > 0 && faults.IntN(share) == 0 {
				sum.Faults++
				return errDisk
			}
			return nil
		}
		r.run()
		for range 5 + rnd.IntN(30) {
			switch rnd.IntN(8) {
			case 0, 1:
				s.mu.Lock()
				store.mode = modes[rnd.IntN(len(modes))]
				s.mu.Unlock()
			case 2:
				d.mu.Lock()
				if share = 0; faulty && rnd.IntN(2) == 0 {
					share = 1 + rnd.IntN(4)
				}
				d.mu.Unlock()
			}
			r.at(time.Since(start) + time.Duration(rnd.IntN(60_000))*time.Millisecond)
			if used := d.used(); used > most && !faulty { // a failed removal may leave more, and is counted
				t.Fatalf("seed %d: %d bytes of %d", seed, used, most)
			}
			if err := r.targets[0].queue.unsafe(); err != nil && !faulty {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		q := r.targets[0].queue
		last := life == lives-1
		if last {
			d.mu.Lock()
			share = 0
			d.mu.Unlock()
			s.mu.Lock()
			store.mode = modes[0]
			s.mu.Unlock()
			r.at(time.Since(start) + 6*time.Minute)
		}
		if last || rnd.IntN(3) == 0 {
			drain := time.Duration(rnd.IntN(20)) * time.Second
			if last {
				drain = time.Minute
			}
			r.end(drain)
			f := r.figures()
			q.mu.Lock()
			for _, b := range q.bodies[q.kept:] { // the log tells of them
				lost += b.samples
			}
			q.mu.Unlock()
			for _, n := range f.dropped {
				counted += n
			}
			if last && (f.pending != 0 || f.disk != 0) {
				t.Fatalf("seed %d: at the end: %+v, %s", seed, f, r.files())
			}
			sum.tally(f)
			d = d.crash(false, rnd)
			continue
		}
		sum.Kills++
		q.mu.Lock()
		for _, b := range q.bodies[q.kept:] {
			lost += b.samples
		}
		f := figures{account: q.account}
		q.mu.Unlock()
		for _, n := range f.dropped {
			counted += n
		}
		sum.tally(f)
		s.mu.Lock()
		dead = true
		before := s.encoded
		s.mu.Unlock()
		d = r.kill(rnd.IntN(2) == 0, rnd)
		s.mu.Lock()
		dead = false
		lost += int64(s.encoded-before) * 10 // what the dead has gathered since
		s.mu.Unlock()
	}

	never := int64(0)
	for n := 1; n <= s.encoded; n++ {
		switch {
		case store.had[n] == 0 && !store.refused[n]:
			never += 10
		case store.had[n] > 1:
			sum.Twice++
		}
	}
	sum.Stored += len(store.had)
	sum.Lost += int(lost)
	if most == roomy && !faulty && never > lost {
		t.Fatalf("seed %d: %d samples never arrived, and at most %d were in a memory that died", seed, never, lost)
	}
	if never > counted+lost {
		t.Fatalf("seed %d: %d samples never arrived; %d are counted, %d were in a memory that died", seed, never, counted, lost)
	}
	if faulty || most != roomy {
		return // a file that was dropped, and could not be removed or whose removal a power cut took back, comes after all
	}
	for i := 1; i < len(store.order); i++ {
		if store.order[i] < store.order[i-1] {
			t.Fatalf("seed %d: %s", seed, fmt.Sprint(store.order))
		}
	}
}

// unsafe says what a kill would cost that is not to be lost while the disk works.
func (q *queue) unsafe() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range q.bodies[q.kept:] {
		if q.failing || q.kept > 0 || b.round != q.round {
			return fmt.Errorf("of gathering %d, failing %v, %d on disk: %+v", q.round, q.failing, q.kept, b)
		}
	}
	if q.dropped[pipeline.SpoolDamaged] > 0 {
		return fmt.Errorf("damaged: %+v", q.account)
	}
	return nil
}

func (sum *modelSum) tally(f figures) {
	sum.Full += int(f.dropped[pipeline.SpoolFull])
	sum.Damaged += int(f.dropped[pipeline.SpoolDamaged])
	sum.Refused += int(f.dropped[pipeline.BadRequest])
}
