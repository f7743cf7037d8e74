package spool

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

// TestFull: a spool that is full takes no more, and takes some again when a file is settled and saved.
func TestFull(t *testing.T) {
	d := newMemDisk()
	g := newRig(t, Options{disk: d, MaxBytes: 16 << 10})
	tail := &pipeline.LaneTarget{Target: aTarget(0)}
	n := int64(0)
	add := func() error {
		b := pipeline.NewBlock(16<<10, 16<<10)
		addSegment(b, tail, 10*n, 10*n+10, 60)
		return g.Append(piecesOf(b))
	}
	for ; add() == nil; n++ {
		if n > 1000 {
			t.Fatal("the spool is never full")
		}
	}
	if err := add(); err != pipeline.ErrSpoolFull {
		t.Error(err)
	}
	f := g.Figures()
	if f.Bytes > f.MaxBytes || f.Bytes < f.MaxBytes/2 || f.Records != n {
		t.Errorf("%+v", f)
	}
	if sum := g.sum(); sum != (pipeline.Figures{}) {
		t.Errorf("what was refused is counted: %+v", sum)
	}
	g.settleAll(g.fill(16<<10), pipeline.Delivered)
	g.settleAll(g.fill(16<<10), pipeline.Delivered)
	g.State()
	if err := add(); err != pipeline.ErrSpoolFull {
		t.Errorf("settled and not saved: %v", err)
	}
	g.Saved()
	if err := add(); err != nil {
		t.Errorf("settled and saved: %v", err)
	}
}

// TestDropOldest: the oldest lines go, and are counted; what is under way of them can still arrive.
func TestDropOldest(t *testing.T) {
	var logged bytes.Buffer
	d := newMemDisk()
	g := newRig(t, Options{disk: d, MaxBytes: 16 << 10, DropOldest: true, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	tail, other := &pipeline.LaneTarget{Target: aTarget(0)}, &pipeline.LaneTarget{Target: aTarget(1)}
	load(t, g, 0, 2, tail, other)
	flying := g.fill(1 << 10) // the first record
	load(t, g, 20, 100, tail, other)
	if f := g.Figures(); f.Bytes > f.MaxBytes || f.Damaged > 0 {
		t.Errorf("%+v", f)
	}
	g.settleAll(flying, pipeline.Delivered)
	next := int64(0)
	for b := g.fill(16 << 10); b != nil; b = g.fill(16 << 10) {
		if next == 0 {
			next = b.Segments[0].Start
		}
		g.settleAll(b, pipeline.Delivered)
	}
	sum := g.sum()
	if dropped := sum.Dropped[pipeline.SpoolFull].Lines; next < 500 || dropped != 2*(next-10) || sum.Delivered.Lines != 2*1020-dropped || sum.Pending.Lines != -2*1020 {
		t.Errorf("line %d is the first that is left, %+v", next, sum)
	}
	if n := strings.Count(logged.String(), "the spool is full"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &logged)
	}
}

// A hookDisk calls somebody before the n-th read from now.
type hookDisk struct {
	disk
	reads int
	hook  func()
}

type hookFile struct {
	diskFile
	d *hookDisk
}

func (d *hookDisk) Open(path string) (diskFile, error) {
	f, err := d.disk.Open(path)
	return hookFile{f, d}, err
}

func (f hookFile) ReadAt(p []byte, off int64) (int, error) {
	if f.d.reads--; f.d.reads == 0 {
		f.d.hook()
	}
	return f.diskFile.ReadAt(p, off)
}

// TestDropWhileReading: the file that is being read is dropped between two looks at it. Nothing of it is both dropped and
// delivered, and what was under way of it and comes back is dropped then.
func TestDropWhileReading(t *testing.T) {
	for reads := 1; reads <= 4; reads++ {
		d := &hookDisk{disk: newMemDisk()}
		g := newRig(t, Options{disk: d, MaxBytes: 16 << 10, DropOldest: true})
		tail, other := &pipeline.LaneTarget{Target: aTarget(0)}, &pipeline.LaneTarget{Target: aTarget(1)}
		load(t, g, 0, 3, tail, other)
		flying := g.fill(1 << 10)
		dropped := false
		d.hook = func() { dropped = true; load(t, g, 30, 40, tail, other) }
		d.reads = reads
		b := g.fill(1 << 10)
		if reads == 1 && (!dropped || g.sum().Dropped[pipeline.SpoolFull].Lines == 0) {
			t.Fatalf("read %d: nothing was dropped", reads)
		}
		if b != nil && b.Segments[0].Start < 30 && dropped {
			t.Errorf("read %d: lines from %d on were dropped, and come", reads, b.Segments[0].Start)
		}
		g.settleAll(flying, pipeline.Back)
		if b != nil {
			g.settleAll(b, pipeline.Unsent)
		}
		for range 2000 {
			if g.Empty() {
				break
			}
			for _, x := range g.targets {
				x.wait = time.Time{}
			}
			if b := g.fill(16 << 10); b != nil {
				g.settleAll(b, pipeline.Delivered)
			}
		}
		all := 2 * (30 + 400*int64(btoi(dropped)))
		if sum := g.sum(); !g.Empty() || sum.Pending.Lines != -all || sum.Delivered.Lines+sum.Dropped[pipeline.SpoolFull].Lines != all {
			t.Errorf("read %d: %+v of %d lines", reads, sum, all)
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestOff: a spool that may take nothing gives out what an earlier life has left, and drops none of it.
func TestOff(t *testing.T) {
	d := newMemDisk()
	g := newRig(t, Options{disk: d})
	tail := &pipeline.LaneTarget{Target: aTarget(0)}
	load(t, g, 0, 3, tail)
	state := g.State()
	g.Close()
	g = newRig(t, Options{disk: d, State: state, MaxBytes: 1, DropOldest: true})
	b := pipeline.NewBlock(2<<10, 2<<10)
	addSegment(b, tail, 30, 40, 60)
	if err := g.Append(piecesOf(b)); err != pipeline.ErrSpoolFull {
		t.Error(err)
	}
	if b := g.fill(16 << 10); b == nil || len(b.Records) != 30 {
		t.Errorf("%+v", g.sum())
	}
}

// TestDropAll: a target that is aside when all of the spool is dropped goes on with what comes later.
func TestDropAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, Options{disk: newMemDisk(), MaxBytes: 2 << 10, SegmentBytes: 2 << 10, DropOldest: true})
		tail := &pipeline.LaneTarget{Target: aTarget(0)}
		load(t, g, 0, 1, tail)
		g.settleAll(g.fill(2<<10), pipeline.Back)
		n := int64(1)
		for ; g.sum().Dropped[pipeline.SpoolFull].Lines == 0; n++ {
			load(t, g, 10*n, 1, tail)
		}
		if b := g.fill(2 << 10); b != nil {
			t.Fatalf("%+v came too early", b.Segments)
		}
		time.Sleep(backMost)
		for b := g.fill(2 << 10); b != nil; b = g.fill(2 << 10) {
			g.settleAll(b, pipeline.Delivered)
		}
		if sum := g.sum(); !g.Empty() || sum.Delivered.Lines == 0 || sum.Pending.Lines != -10*n || g.Figures().Damaged > 0 {
			t.Errorf("%+v of %d lines", sum, 10*n)
		}
	})
}
