package tail

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRotatedBetweenTwoLooks: a host file is rotated any number of times before discovery looks again. All of it is read,
// in order, and once: what was read already is not read again from a copy.
func TestRotatedBetweenTwoLooks(t *testing.T) {
	type log struct {
		look           func()
		rename         func(from, to string) // suffixes of the log's name
		write          func(suffix, text string)
		remove         func()
		truncateBehind func(copyTo, text string)
	}
	for _, tt := range []struct {
		name string
		do   func(l log)
		want []string
	}{
		{"twice", func(l log) {
			l.rename("", ".1")
			l.write("", "three\n")
			l.rename(".1", ".2")
			l.rename("", ".1")
			l.write("", "four\n")
		}, []string{"one", "two", "three", "four"}},
		{"twice, and with the new file not there yet", func(l log) {
			l.rename("", ".2")
			l.write(".1", "three\n")
			l.look()
			l.write("", "four\n")
		}, []string{"one", "two", "three", "four"}},
		{"a copy, and then by rename", func(l log) {
			l.truncateBehind(".1", "one\ntwo\n")
			l.look()
			l.write("", "three\n")
			l.look()
			l.rename(".1", ".2")
			l.rename("", ".1")
			l.write("", "four\n")
		}, []string{"one", "two", "three", "four"}},
		{"the known file is gone: what is beside the new one may be its copy", func(l log) {
			l.write(".1", "one\ntwo\n")
			l.remove()
			l.write("", "three\n")
		}, []string{"one", "two", "three"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newBench(t)
			path := filepath.Join(t.TempDir(), "auth.log")
			appendTo(t, path, "one\ntwo\n")
			h.start()
			h.host(path)
			h.expect(path, "one", "two")
			tt.do(log{
				look:  func() { h.host(path) },
				write: func(suffix, text string) { appendTo(t, path+suffix, text) },
				rename: func(from, to string) {
					if err := os.Rename(path+from, path+to); err != nil {
						t.Fatal(err)
					}
				},
				remove: func() {
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
				},
				truncateBehind: func(copyTo, text string) {
					appendTo(t, path+copyTo, text)
					if err := os.Truncate(path, 0); err != nil {
						t.Fatal(err)
					}
				},
			})
			h.host(path)
			h.expect(path, tt.want...)
		})
	}
}
