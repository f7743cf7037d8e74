package pipeline

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A slowDisk counts saves, and makes them slow or fail.
type slowDisk struct {
	realDisk
	takes atomic.Int64 // ns
	full  atomic.Bool
	saves atomic.Int64
}

func (d *slowDisk) Create(path string) (diskFile, error) {
	d.saves.Add(1)
	time.Sleep(time.Duration(d.takes.Load()))
	if d.full.Load() {
		return nil, errors.New("no space left on device")
	}
	return d.realDisk.Create(path)
}

func onSlowDisk(t *testing.T, test func(b *bench, d *slowDisk)) {
	d := new(slowDisk)
	onBench(t, func(o *Options) { o.Store.disk = d }, func(b *bench) { test(b, d) })
}

func TestKeepSavesWhatMoved(t *testing.T) {
	onSlowDisk(t, func(b *bench, d *slowDisk) {
		b.after(time.Minute)
		if n := d.saves.Load(); n != 0 {
			t.Errorf("%d saves, and nothing has moved", n)
		}
		b.in.add("a", "1")
		b.after(2 * saveLazy)
		if got := reopen(t, b.store); got["a"] != 1 {
			t.Errorf("saved %v", got)
		}
		b.after(time.Minute)
		if n := d.saves.Load(); n != 1 {
			t.Errorf("%d saves, and it moved once", n)
		}
		b.after(50 * time.Millisecond) // out of step with the keeper
		for range 10 * saveLazy / (100 * time.Millisecond) {
			b.in.add("a", "1")
			b.after(100 * time.Millisecond)
		}
		if n := d.saves.Load(); n < 8 || n > 12 {
			t.Errorf("%d saves in ten times %s of few lines, want one in each", n, saveLazy)
		}
		before := d.saves.Load()
		for range 100 {
			b.in.add("a", fill(0, saveLines)...)
			b.after(100 * time.Millisecond)
		}
		if n := d.saves.Load() - before; n < 40 || n > 100 {
			t.Errorf("%d saves in ten seconds of many lines, want one for each request", n)
		}
	})
}

// TestKeepWhileStoreIsDown: a retrying sender keeps nobody from saving what was settled before.
func TestKeepWhileStoreIsDown(t *testing.T) {
	onSlowDisk(t, func(b *bench, d *slowDisk) {
		b.in.add("a", "1")
		b.after(time.Millisecond)
		b.sink.set(func(context.Context, string) Answer { return down })
		b.in.add("a", fill(0, 1000)...)
		b.after(2 * saveLazy)
		if got := reopen(t, b.store); got["a"] != 1 {
			t.Errorf("saved %v", got)
		}
	})
}

// TestKeepOfEndedTarget: that a target is gone comes without any verdict, and is saved all the same.
func TestKeepOfEndedTarget(t *testing.T) {
	onSlowDisk(t, func(b *bench, d *slowDisk) {
		b.in.add("a", "1")
		b.in.add("b", "1")
		b.after(2 * saveLazy)
		b.in.mu.Lock()
		b.in.gone = []Cursor{{Key: "a", Gone: true}}
		b.in.mu.Unlock()
		b.after(2 * saveLazy)
		if got := reopen(t, b.store); len(got) != 1 || got["b"] != 1 {
			t.Errorf("saved %v", got)
		}
	})
}

// TestKeepAdapts: a disk that takes a second for a save is saved to one second in three.
func TestKeepAdapts(t *testing.T) {
	onSlowDisk(t, func(b *bench, d *slowDisk) {
		d.takes.Store(int64(time.Second))
		for range 630 {
			b.in.add("a", fill(0, saveLines)...)
			b.after(time.Second)
			b.beats.allWait(t)
		}
		if n := d.saves.Load(); n < 200 || n > 215 {
			t.Errorf("%d saves in 630 s, want one in 3 s", n)
		}
		d.takes.Store(int64(10 * time.Minute)) // and one that is nearly dead is given half a minute
		b.after(30 * time.Minute)
		for range 3 {
			b.in.add("a", "1")
			b.after(11 * time.Minute)
			b.beats.allWait(t)
		}
		before := d.saves.Load()
		d.takes.Store(0)
		b.in.add("a", "1")
		b.after(11 * time.Minute)
		if n := d.saves.Load() - before; n == 0 {
			t.Error("no more saves")
		}
	})
}

// TestKeepOnAFullDisk: delivery goes on, the log hears of it once, and when there is room nothing is missing.
func TestKeepOnAFullDisk(t *testing.T) {
	onSlowDisk(t, func(b *bench, d *slowDisk) {
		d.full.Store(true)
		for range 300 {
			b.in.add("a", "1")
			b.after(time.Second)
		}
		if b.in.settled("a") != 300 {
			t.Errorf("%d lines delivered", b.in.settled("a"))
		}
		b.says(`level=ERROR msg="cursors cannot be saved: delivery goes on, but after a restart lines are sent again; make room or the folder writable" ` +
			`sink=s error="save cursors: no space left on device" failures=1`)
		if n := d.saves.Load(); n > 61 {
			t.Errorf("%d attempts in five minutes", n)
		}
		d.full.Store(false)
		b.after(10 * time.Second) // nothing moves: what failed is saved all the same
		if got := reopen(t, b.store); got["a"] != 300 {
			t.Errorf("saved %v", got)
		}
		if got := b.logged.take(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `msg="cursors are saved again" sink=s after=5m`) {
			t.Errorf("logged\n%s", got)
		}
	})
}

// TestKeepAtTheEnd: the last save has what was settled in the last moment; if it fails, the log says so whatever it
// said before.
func TestKeepAtTheEnd(t *testing.T) {
	onSlowDisk(t, func(b *bench, d *slowDisk) {
		b.after(time.Second)
		b.in.add("a", "1")
		b.stop()
		<-b.ended
		if want, got := int64(b.in.settled("a")), reopen(t, b.store)["a"]; got != want {
			t.Errorf("saved %d, settled %d", got, want)
		}
	})
	onSlowDisk(t, func(b *bench, d *slowDisk) {
		d.full.Store(true)
		b.in.add("a", "1")
		b.after(time.Minute)
		b.logged.take()
		b.stop()
		<-b.ended
		if got := b.logged.take(); !strings.Contains(got, "cursors cannot be saved") {
			t.Errorf("the last save failed, and the log says\n%s", got)
		}
	})
}

// TestKeepForgetsTheDead: what was saved of a target that is not found again within the hour goes, and what its last file
// may have held is a gap.
func TestKeepForgetsTheDead(t *testing.T) {
	onBench(t, func(o *Options) {
		for _, key := range []string{"shop_web-1_uid/nginx", "alive"} {
			c := Cursor{Key: key, Generations: []Position{{Offset: 7, Done: true}, {Offset: 5}}}
			o.Store.found[key], o.Store.lines[key] = c, encodeCursor(c)
		}
	}, func(b *bench) {
		b.after(time.Minute)
		b.store.Cursor("alive")
		b.after(58 * time.Minute)
		b.in.add("new", "1")
		b.after(30 * time.Second)
		if got := reopen(t, b.store); len(got) != 3 {
			t.Errorf("saved %v", got)
		}
		b.after(time.Minute)
		if got := reopen(t, b.store); len(got) != 2 || got["alive"] != 7 || got["new"] != 1 {
			t.Errorf("saved %v", got)
		}
		b.says(`level=WARN msg="logs that ended while leatd was not running: their cursors are forgotten, ` +
			`and what their last files got after it stopped was not read" sink=s targets=1 gaps=1`)
		rows := b.lane.Rows(nil)
		dead := rows[len(rows)-1]
		if want := (Target{Key: "shop_web-1_uid/nginx", Namespace: "shop", Pod: "web-1", UID: "uid", Container: "nginx"}); dead.Gaps != 1 || !reflect.DeepEqual(*dead.Target, want) {
			t.Errorf("the ledger has %+v of %+v", dead.Figures, *dead.Target)
		}
	})
}
