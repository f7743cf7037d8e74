package push

import (
	"bytes"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatd/leat/pipeline"
)

const golden = "0000000000000042-1767323045006-1157.push"

// TestGolden: what a released version has written can be read for ever.
func TestGolden(t *testing.T) {
	b := body{number: 42, at: 1767323045006, samples: 1157}
	expect(t, "name", b.name(), golden)
	if *update {
		if err := os.WriteFile("testdata/"+golden, appendFile(nil, golden, []byte("a request\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile("testdata/" + golden)
	if err != nil {
		t.Fatal(err)
	}
	text, err := parseFile(file, golden)
	if err != nil || string(text) != "a request\n" || !bytes.Equal(appendFile(nil, golden, text), file) {
		t.Errorf("%q, %v", text, err)
	}
	for i := range file { // no byte may be another one
		file[i] ^= 4
		if _, err := parseFile(file, golden); !errors.Is(err, errDamaged) {
			t.Errorf("byte %d is damaged: %v", i, err)
		}
		file[i] ^= 4
		if _, err := parseFile(file[:i], golden); !errors.Is(err, errDamaged) {
			t.Errorf("%d bytes are there: %v", i, err)
		}
	}
	if _, err := parseFile(append(file, 0), golden); !errors.Is(err, errDamaged) {
		t.Errorf("a byte too many: %v", err)
	}
	if _, err := parseFile(file, strings.Replace(golden, "1157", "1158", 1)); !errors.Is(err, errDamaged) {
		t.Errorf("another name: %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		golden:                               true,
		"0000000000000001-0-0.push":          true,
		"12345678901234567-1-1.push":         true,
		"0000000000000001-0-2147483648.push": false,
		"1-0-0.push":                         false,
		"00000000000000001-0-0.push":         false,
		"0000000000000001-00-0.push":         false,
		"0000000000000001--1-0.push":         false,
		"0000000000000001-+1-0.push":         false,
		"0000000000000001-0-0.spool":         false,
		"0000000000000001-0-0":               false,
		"-0-0.push":                          false,
		"9223372036854775807-0-0.push":       false, // nothing could come after it
		"99999999999999999999-0-0.push":      false,
		"":                                   false,
	} {
		if b, ok := parseName(name); ok != good {
			t.Errorf("%q: %v, %+v", name, ok, b)
		}
	}
	b := body{number: 1, at: math.MinInt64, samples: 3} // a clock before 1970
	if _, ok := parseName(b.name()); !ok {
		t.Error(b.name())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(appendFile(nil, golden, []byte("hello")), golden)
	f.Add([]byte(magic), "0000000000000001--1-0.push")
	f.Fuzz(func(t *testing.T, file []byte, name string) {
		if b, ok := parseName(name); ok && (b.name() != name || b.samples < 0 || b.at < 0 || b.number+1 <= 0) {
			t.Fatalf("%q: %+v", name, b)
		}
		if text, err := parseFile(file, name); err == nil && !bytes.Equal(appendFile(nil, name, text), file) {
			t.Fatalf("%q", text)
		}
		again, err := parseFile(appendFile(nil, name, file), name)
		if err != nil || !bytes.Equal(again, file) {
			t.Fatalf("%q, %v", again, err)
		}
	})
}

// FuzzFolder: whatever a folder holds, it is opened, sent or counted, and done with.
func FuzzFolder(f *testing.F) {
	f.Add(appendFile(nil, golden, []byte("hello")), golden)
	f.Add([]byte(magic), golden+unwhole)
	f.Add([]byte(nil), "README")
	f.Fuzz(func(t *testing.T, file []byte, name string) {
		if strings.ContainsAny(name, "/") {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			d := newMemDisk()
			d.names["state/s0/push/"+name] = &inode{file, file}
			s := &fakeSink{silent: true}
			r := newRig(t, d, 1<<30, s).run()
			r.at(time.Second)
			r.end(time.Minute)
			_, ours := parseName(strings.TrimSuffix(name, unwhole))
			if f := r.figures(); f.pending != 0 || f.disk != 0 || (r.files() == "") != ours {
				t.Fatalf("%+v, %q", f, r.files())
			}
		})
	})
}

// TestDamage: a file that is damaged, gone, or another one costs itself, and is counted.
func TestDamage(t *testing.T) {
	const path = "state/s0/push/0000000000000002-946684815000-10.push"
	for name, damage := range map[string]func(d *memDisk){
		"damaged":  func(d *memDisk) { d.names[path].data[17] ^= 1 },
		"cut off":  func(d *memDisk) { d.names[path].data = d.names[path].data[:18] },
		"empty":    func(d *memDisk) { d.names[path].data = nil },
		"too long": func(d *memDisk) { d.names[path].data = append(d.names[path].data, 0) },
		"removed":  func(d *memDisk) { delete(d.names, path) },
		"another":  func(d *memDisk) { d.names[path] = d.names["state/s0/push/0000000000000001-946684800000-10.push"] },
	} {
		for _, running := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := &fakeSink{}
				s.always(away)
				d := newMemDisk()
				r := newRig(t, d, 1<<20, s).run()
				r.at(31 * time.Second)
				if !running {
					d = r.kill(false, nil)
				}
				d.mu.Lock()
				damage(d)
				d.mu.Unlock()
				if !running {
					r = newRig(t, d, 1<<20, s).run()
				}
				s.always(ok)
				r.at(2 * time.Minute)
				f := r.figures()
				if f.dropped[pipeline.SpoolDamaged] != 10 && (name != "removed" || running) || f.pending != 0 || f.disk != 0 || f.delivered < 70 {
					t.Errorf("%s, running %v: %+v", name, running, f)
				}
				expect(t, name, s.got()[:9], "1@0 3@30 ")
				if !strings.Contains(r.logged.String(), "a file of the spool is damaged or gone") && (name != "removed" || running) {
					t.Errorf("%s: log:\n%s", name, r.logged.String())
				}
				r.end(time.Minute)
			})
		}
	}
}

// TestUnreadable: a disk that gives nothing for a while is waited for; one that gives nothing for long has nothing.
func TestUnreadable(t *testing.T) {
	for _, lasts := range []time.Duration{4 * time.Minute, 8 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := &fakeSink{}
			s.always(away)
			r := newRig(t, newMemDisk(), 1<<20, s).run()
			r.at(31 * time.Second)
			d := r.kill(false, nil)
			s.always(ok)
			d.breaks("read")
			r = newRig(t, d, 1<<20, s).run()
			r.at(31*time.Second + lasts)
			d.breaks()
			if f := r.figures(); f.down {
				t.Errorf("it is not the sink's fault: %+v", f)
			}
			r.at(10 * time.Minute)
			f := r.figures()
			if lost := f.dropped[pipeline.SpoolDamaged]; f.pending != 0 || (lasts < readFor) != (lost == 0) || lost > 0 && lost < 30 || lost > 240 {
				t.Errorf("%v: %+v", lasts, f)
			}
			if again := strings.Contains(r.logged.String(), "the spool can be read again"); again != (lasts < readFor) {
				t.Errorf("%v: log:\n%s", lasts, r.logged.String())
			}
			r.end(time.Minute)
		})
	}
}

// TestUnreadableTwice: the five minutes begin anew with each trouble, also if all that there was to read is dropped.
func TestUnreadableTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSink{}
		s.always(away)
		d := newMemDisk()
		r := newRig(t, d, 1<<20, s).run()
		d.breaks("read")
		r.at(31 * time.Second)
		s.always(ok)
		r.at(8 * time.Minute)
		d.breaks()
		r.at(20 * time.Minute)
		lost := r.figures().dropped[pipeline.SpoolDamaged]
		if lost == 0 {
			t.Fatal("nothing was dropped")
		}
		s.always(away)
		r.at(21 * time.Minute)
		s.always(ok)
		d.breaks("read")
		r.at(22 * time.Minute)
		d.breaks()
		r.at(30 * time.Minute)
		if f := r.figures(); f.pending != 0 || f.dropped[pipeline.SpoolDamaged] != lost {
			t.Errorf("a minute without reading has cost samples: %d were dropped before, %+v", lost, f)
		}
		r.end(time.Minute)
	})
}

// TestOpen: an operator can read what to do.
func TestOpen(t *testing.T) {
	d := newMemDisk()
	d.fail = func(int, string) error { return errDisk }
	_, err := New(Options{disk: d, Targets: []Target{{Name: "central", Dir: "push"}}, Log: newLog(new(logBuffer))})
	if !errors.Is(err, errDisk) || err.Error() != "push: sinks.central: input/output error: leatd must be able to read its own spool; check the folder's owner and mode" {
		t.Error(err)
	}
}
