package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func testCursors() []Cursor {
	return []Cursor{
		{
			Key: "shop_web-5d9_0b3c/nginx",
			Generations: []Position{
				{ID: GenerationID{0, 0x3f00000000000001}, Name: "0.log.20260102-030405", Offset: 1 << 40, Done: true},
				{ID: GenerationID{0, 0x00000000000000ff}, Name: "0.log", Offset: 4096, Skip: true},
				{ID: GenerationID{12, 0xffffffffffffffff}, Name: "12.log"},
			},
			Parts: []Part{{Stderr: true, ID: GenerationID{0, 0xff}, Offset: 4000, Length: 96}, {ID: GenerationID{0, 0xff}, Offset: 3000, Length: 1000}},
			Time:  1767322800123456789,
			Totals: Totals{
				Delivered: Count{1 << 50, 1 << 60}, Dropped: Count{3, 4}, LostBytes: 5, Gaps: 6,
			},
		},
		{Key: "/var/log/auth.log", Generations: []Position{{ID: GenerationID{0, 7}, Name: "auth.log", Offset: 10}}},
		{Key: "/var/log/\xff\xfe latin1 é.log", Time: -1},
		{Key: `a "quoted" \ <key>` + "\n\x00\u2028"},
	}
}

func openTest(t testing.TB, dir string) (*Store, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	s, err := OpenStore(dir, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s, &logged
}

func save(t testing.TB, s *Store, cursors ...Cursor) {
	t.Helper()
	if err := s.Save(cursors, nil); err != nil {
		t.Fatal(err)
	}
}

func TestStoreRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "lane")
	s, logged := openTest(t, dir)
	if !s.Fresh() {
		t.Error("a new store is not fresh")
	}
	save(t, s, testCursors()...)
	again, logged2 := openTest(t, dir)
	if again.Fresh() {
		t.Error("a store with cursors is fresh")
	}
	for _, want := range testCursors() {
		if got, ok := again.Cursor(want.Key); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("saved %+v\nfound %+v, %t", want, got, ok)
		}
	}
	if _, ok := again.Cursor("somebody else"); ok {
		t.Error("found what was never saved")
	}
	first, err := os.ReadFile(filepath.Join(dir, cursorsFile))
	if err != nil {
		t.Fatal(err)
	}
	save(t, again)
	second, err := os.ReadFile(filepath.Join(dir, cursorsFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("encode, decode, encode:\n%s\n%s", first, second)
	}
	if logged.Len()+logged2.Len() > 0 {
		t.Errorf("logged %s%s", logged, logged2)
	}
}

// TestStoreText is what a reader of the file sees.
func TestStoreText(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir)
	save(t, s, append(testCursors(), Cursor{Key: "ended", Totals: testCursors()[0].Totals, Gone: true})...)
	got, err := os.ReadFile(filepath.Join(dir, cursorsFile))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "cursors.json")
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant (UPDATE=1 writes it)\n%s", got, want)
	}
}

func TestStoreMergesAndForgets(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir)
	save(t, s, Cursor{Key: "a", Time: 1}, Cursor{Key: "b", Time: 1})
	save(t, s, Cursor{Key: "b", Time: 2}, Cursor{Key: "c", Time: 2})
	save(t, s, Cursor{Key: "a", Gone: true}, Cursor{Key: "never there", Gone: true})
	s, _ = openTest(t, dir)
	if got, want := slices.Sorted(maps.Keys(s.found)), []string{"b", "c"}; !slices.Equal(got, want) {
		t.Fatalf("found %v", got)
	}
	if s.found["b"].Time != 2 {
		t.Errorf("b is as old as %d", s.found["b"].Time)
	}
	// In the next life only c is found again.
	if _, ok := s.Cursor("c"); !ok {
		t.Fatal("c is not there")
	}
	save(t, s, Cursor{Key: "d"})
	if gone := s.forgetUnclaimed(); len(gone) != 1 || gone[0].Key != "b" {
		t.Errorf("%v are forgotten, want b alone", gone)
	}
	save(t, s)
	s, _ = openTest(t, dir)
	if got, want := slices.Sorted(maps.Keys(s.found)), []string{"c", "d"}; !slices.Equal(got, want) {
		t.Errorf("found %v", got)
	}
}

// TestStoreLifetime: whatever comes, goes, or is never seen again, the totals of all targets and of those that ended add
// up to what was counted, and a restart changes nothing.
func TestStoreLifetime(t *testing.T) {
	totals := func(lines int64) Totals {
		return Totals{Delivered: Count{lines, 10 * lines}, Dropped: Count{1, 2}, LostBytes: 3, Gaps: 4}
	}
	dir := t.TempDir()
	s, _ := openTest(t, dir)
	check := func(step string, ended Totals, want map[string]Totals) {
		t.Helper()
		for life := range 2 {
			targets, sum := s.Totals()
			if !maps.Equal(targets, want) || sum != ended {
				t.Errorf("%s, life %d: %+v and of those that ended %+v, want %+v and %+v", step, life, targets, sum, want, ended)
			}
			s, _ = openTest(t, dir)
		}
	}
	check("nothing", Totals{}, map[string]Totals{})
	save(t, s, Cursor{Key: "a", Totals: totals(5)}, Cursor{Key: "b", Totals: totals(7)})
	save(t, s, Cursor{Key: "a", Totals: totals(6)})
	check("two", Totals{}, map[string]Totals{"a": totals(6), "b": totals(7)})

	save(t, s, Cursor{Key: "a", Totals: totals(8), Gone: true}) // with what was settled since the last save
	check("a is gone", totals(8), map[string]Totals{"b": totals(7)})

	save(t, s, Cursor{Key: "a", Totals: totals(1)}, Cursor{Key: "never saved", Totals: totals(1), Gone: true})
	sum := totals(8)
	sum.Add(totals(1))
	check("a came back", sum, map[string]Totals{"a": totals(1), "b": totals(7)})

	save(t, s, Cursor{Key: "b", Totals: totals(9), Generations: []Position{{ID: GenerationID{0, 1}, Done: true}, {ID: GenerationID{0, 2}}}})
	s, _ = openTest(t, dir)
	s.Cursor("a")
	if gone := s.forgetUnclaimed(); len(gone) != 1 {
		t.Fatalf("forgotten: %v", gone)
	}
	save(t, s)
	sum.Add(totals(9))
	sum.Gaps++ // its last file was not read to its end
	check("b was not found again", sum, map[string]Totals{"a": totals(1)})
}

// TestStoreDamage cuts the newest file at every byte, and flips every bit of it. It is set aside, never taken in part, and
// the older copy is used.
func TestStoreDamage(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir)
	save(t, s, Cursor{Key: "a", Time: 1})
	save(t, s, testCursors()...)
	path := filepath.Join(dir, cursorsFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(path + oldSuffix)
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, damaged []byte) {
		for _, p := range []string{path + badSuffix, path + oldSuffix + badSuffix} {
			if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		for p, data := range map[string][]byte{path: damaged, path + oldSuffix: old} {
			if err := os.WriteFile(p, data, 0o640); err != nil {
				t.Fatal(err)
			}
		}
		s, logged := openTest(t, dir)
		if len(s.found) != 1 || s.found["a"].Time != 1 || s.Fresh() {
			t.Fatalf("%s: found %v, fresh %t", name, s.found, s.Fresh())
		}
		for _, words := range []string{"saved cursors are damaged and were set aside", "older cursors are used", path + badSuffix} {
			if !strings.Contains(logged.String(), words) {
				t.Fatalf("%s: nothing says %q:\n%s", name, words, logged)
			}
		}
		if aside, err := os.ReadFile(path + badSuffix); err != nil || !bytes.Equal(aside, damaged) {
			t.Fatalf("%s: set aside %q, %v", name, aside, err)
		}
	}
	for cut := range good {
		try(fmt.Sprintf("cut at %d", cut), good[:cut])
	}
	for i := range good {
		for bit := range 8 {
			damaged := bytes.Clone(good)
			damaged[i] ^= 1 << bit
			if _, _, _, err := decodeCursors(damaged); err == nil {
				t.Fatalf("bit %d of byte %d flipped, and it was taken", bit, i)
			}
			if i%16 == 0 && bit == 0 {
				try(fmt.Sprintf("byte %d", i), damaged)
			}
		}
	}
	for name, damaged := range map[string][]byte{
		"zeros":         make([]byte, len(good)),
		"twice":         append(bytes.Clone(good), good...),
		"a tail":        append(bytes.Clone(good), '\n'),
		"no JSON":       sealed(`hello`),
		"a later one":   sealed(`{"version":2,"targets":[]`),
		"generation":    sealed(`{"version":1,"targets":[{"target":"a","generations":[{"id":"0-12","offset":1}],"totals":{}}]`),
		"offset":        sealed(`{"version":1,"targets":[{"target":"a","generations":[{"id":"0-0000000000000012","offset":-1}],"totals":{}}]`),
		"part":          sealed(`{"version":1,"targets":[{"target":"a","parts":[{"stream":"stdout","id":"0-0000000000000012","offset":1,"length":0}],"totals":{}}]`),
		"other numbers": sealed(`{"version":1,"targets":[{"target":"a","time":1e99,"totals":{}}]`),
	} {
		try(name, damaged)
	}
}

// sealed is text with the checksum that belongs to it.
func sealed(text string) []byte { return appendSum([]byte(text), checksum([]byte(text))) }

func TestStoreBothDamaged(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir)
	save(t, s, Cursor{Key: "a"})
	save(t, s, Cursor{Key: "b"})
	path := filepath.Join(dir, cursorsFile)
	for _, p := range []string{path, path + oldSuffix} {
		if err := os.WriteFile(p, []byte("no cursors in "+p), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	s, logged := openTest(t, dir)
	if len(s.found) != 0 || s.Fresh() || !strings.Contains(logged.String(), "no usable cursors: all logs on disk are sent again") {
		t.Errorf("found %v, fresh %t, logged\n%s", s.found, s.Fresh(), logged)
	}
	for _, p := range []string{path + badSuffix, path + oldSuffix + badSuffix} {
		if _, err := os.Stat(p); err != nil {
			t.Error(err)
		}
	}
	save(t, s, Cursor{Key: "c"})
	if s, _ := openTest(t, dir); len(s.found) != 1 {
		t.Errorf("found %v", s.found)
	}
}

// TestStoreOddFolders: whatever stands where the store wants to be, it opens or says what to do, and saves once it can.
func TestStoreOddFolders(t *testing.T) {
	t.Run("a folder in the file's place", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, cursorsFile), 0o750); err != nil {
			t.Fatal(err)
		}
		s, logged := openTest(t, dir)
		if !strings.Contains(logged.String(), "set aside") {
			t.Errorf("logged %s", logged)
		}
		save(t, s, Cursor{Key: "a"})
	})
	t.Run("a file in the folder's place", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "lane")
		if err := os.WriteFile(dir, nil, 0o640); err != nil {
			t.Fatal(err)
		}
		var logged bytes.Buffer
		s, err := OpenStore(dir, slog.New(slog.NewTextHandler(&logged, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Save([]Cursor{{Key: "a"}}, nil); err == nil || !strings.Contains(err.Error(), "save cursors: ") {
			t.Errorf("saved: %v", err)
		}
		if !strings.Contains(logged.String(), "state folder cannot be made") {
			t.Errorf("logged %s", &logged)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		save(t, s) // now there is room, and nothing was forgotten
		if s, _ := openTest(t, dir); len(s.found) != 1 {
			t.Errorf("found %v", s.found)
		}
	})
	t.Run("removed under it", func(t *testing.T) {
		dir := t.TempDir()
		s, _ := openTest(t, dir)
		save(t, s, Cursor{Key: "a"})
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		save(t, s, Cursor{Key: "b"})
		if s, _ := openTest(t, dir); len(s.found) != 2 {
			t.Errorf("found %v", s.found)
		}
	})
}

func FuzzDecodeCursors(f *testing.F) {
	lines := make(map[string][]byte)
	for _, c := range testCursors() {
		lines[c.Key] = encodeCursor(c)
	}
	whole := appendCursors(nil, slices.Sorted(maps.Keys(lines)), lines, testCursors()[0].Totals, []byte(`{"at":1}`))
	f.Add(whole, false)
	f.Add(whole[:len(whole)-sumLength], true)
	f.Add([]byte(`{"version":1,"targets":[{"target":"a","generations":[{"id":"0-0000000000000012"}]}]`), true)
	f.Add([]byte(`{"version":1,"targets":[{"target_bytes":"/w=="},{"target":"\ud800"}]`), true)
	f.Add([]byte(""), false)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal { // otherwise the checksum would keep nearly all of it out
			data = sealed(string(data))
		}
		cursors, ended, spool, err := decodeCursors(data)
		if err != nil {
			return
		}
		for _, c := range cursors {
			lines := map[string][]byte{"": encodeCursor(c)}
			again, sum, _, err := decodeCursors(appendCursors(nil, []string{""}, lines, ended, spool))
			if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], c) || sum != ended {
				t.Fatalf("%+v and %+v came back as %+v and %+v, %v", c, ended, again, sum, err)
			}
		}
	})
}

// TestStoreCover: what the spool holds and the saved cursors do not know raises them, and nothing else does.
func TestStoreCover(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir)
	one, two := GenerationID{0, 1}, GenerationID{0, 2}
	save(t, s, Cursor{Key: "a", Spooled: 7, Time: 5, Generations: []Position{{ID: one, Name: "0.log", Offset: 100}}})
	s, _ = openTest(t, dir)
	part := []Part{{ID: two, Offset: 30, Length: 10}}
	for _, seg := range []Segment{
		{Spooled: 7, Generation: one, End: 90}, // settled before the save
		{Spooled: 8, Generation: one, End: 150, Time: 6},
		{Spooled: 8, Generation: two, End: 20, Time: 7},
		{Spooled: 9, Generation: two, End: 40, Time: 8, Parts: part, Skip: true},
	} {
		s.Cover("a", &seg)
	}
	s.Cover("b", &Segment{Spooled: 8, Generation: one, End: 10, Time: 1})
	if s.Spooled() != 9 {
		t.Errorf("the highest record is %d", s.Spooled())
	}
	save(t, s, Cursor{Key: "c"})
	s, _ = openTest(t, dir)
	for key, want := range map[string]Cursor{
		"a": {Key: "a", Spooled: 9, Time: 8, Parts: part, Generations: []Position{
			{ID: one, Name: "0.log", Offset: 150, Done: true}, {ID: two, Offset: 40, Skip: true},
		}},
		"b": {Key: "b", Spooled: 8, Time: 1, Generations: []Position{{ID: one, Offset: 10}}},
	} {
		if got, _ := s.Cursor(key); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", key, got, want)
		}
	}
}
