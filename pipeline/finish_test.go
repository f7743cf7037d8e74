package pipeline

import (
	"slices"
	"strings"
	"testing"
)

// TestStoreFinish: the targets whose files nobody misses leave no gap when their cursors go, in this life or in the next;
// the others do, and no total changes.
func TestStoreFinish(t *testing.T) {
	dir := t.TempDir()
	s, _ := openTest(t, dir)
	for _, key := range []string{"a_own_1/leatd", "a_own_1/whole", "b_other_2/app"} {
		c := testCursors()[0]
		c.Key = key
		if strings.HasSuffix(key, "whole") {
			c.Generations = c.Generations[:1]
		}
		save(t, s, c)
	}

	s, _ = openTest(t, dir)
	own := func(key string) bool { return strings.HasPrefix(key, "a_own_") }
	if got := s.Finish(own); !slices.Equal(got, []string{"a_own_1/leatd"}) {
		t.Errorf("finished %q: one of a_own had nothing left to miss", got)
	}
	if got := s.Finish(own); got != nil {
		t.Errorf("finished %q again", got)
	}
	save(t, s)

	s, _ = openTest(t, dir)
	c, _ := s.Cursor("a_own_1/leatd")
	if want := testCursors()[0]; c.unfinished() != 0 || c.Totals != want.Totals || c.Generations[1].Offset != want.Generations[1].Offset {
		t.Errorf("in the next life it is %+v", c)
	}
	if s, _ = openTest(t, dir); len(s.forgetUnclaimed()) != 3 {
		t.Error("not all were forgotten")
	}
	before := testCursors()[0]
	if _, ended := s.Totals(); ended.Gaps != 3*before.Totals.Gaps+before.unfinished() || ended.Delivered.Lines != 3*before.Totals.Delivered.Lines {
		t.Errorf("the totals are %+v", ended)
	}
}
