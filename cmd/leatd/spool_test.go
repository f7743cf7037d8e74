package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatd/leat/sinks/sinktest"
)

// spoolFiles are the files of the sink's spool, the oldest first, and their bytes.
func (h *host) spoolFiles() (names []string, bytes int64) {
	h.t.Helper()
	err := filepath.WalkDir(filepath.Join(h.state, "central", "spool"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			names = append(names, path)
			bytes += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a file may go while we look
		h.t.Fatal(err)
	}
	slices.Sort(names)
	return names, bytes
}

// spooled waits until so many bytes are in the spool.
func (h *host) spooled(atLeast int64) {
	h.t.Helper()
	eventually(h.t, fmt.Sprintf("%d bytes in the spool", atLeast), func() error {
		if _, n := h.spoolFiles(); n < atLeast {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
}

// cursorAt waits until the saved cursors say that a file is settled up to there.
func (h *host) cursorAt(offset int64) {
	h.t.Helper()
	want := fmt.Sprintf(`"offset":%d`, offset)
	eventually(h.t, "a saved cursor with "+want, func() error {
		text, err := os.ReadFile(filepath.Join(h.state, "central", "cursors.json"))
		if err == nil && !strings.Contains(string(text), want) {
			return fmt.Errorf("it is\n%s", text)
		}
		return err
	})
}

// lacksDropped waits until all lines of the container app are settled, and stops leatd. The store must have all but those
// that were dropped for the reason, of which there are so many.
func (s *depot) lacksDropped(d *daemon, lines int64, reason string) (missing int64) {
	d.t.Helper()
	d.eventually("all lines", func() error {
		s := d.metrics()
		if n := s.sum("leat_log_delivered_lines_total") + s.sum("leat_log_dropped_lines_total"); n != float64(lines) {
			return fmt.Errorf("%v lines are settled", n)
		}
		return nil
	})
	dropped := d.metrics().sum("leat_log_dropped_lines_total", "container=app", "reason="+reason)
	d.metric(dropped, "leat_dropped_lines_total", "reason="+reason)
	d.balanced()
	d.stop()
	s.verify.Expect("ns/pod/app", lines)
	r := s.verify.Results()[0]
	if float64(r.Missing) != dropped || r.OutOfOrder+r.Duplicate+r.Foreign > 0 {
		d.t.Errorf("%v; %v are counted", r, dropped)
	}
	return r.Missing
}

// TestSpoolDamaged: a record of the spool that is damaged on disk costs its own lines and no other, and these are counted.
func TestSpoolDamaged(t *testing.T) {
	t.Parallel()
	const lines = 3000
	h, store := newHost(t), newDepot(t, "http").choosy()
	store.keep = false
	store.answer(all(sinktest.Reply{Status: 503}))
	cfg := h.config("http", store.URL)
	text := cri(0, "stdout", noise(0, lines)...)
	h.write("ns_pod_uid/app/0.log", text)
	d := start(t, "--config.file", cfg)
	h.spooled(lines * 1000)
	h.cursorAt(int64(len(text)))
	d.kill()
	if err := os.RemoveAll(filepath.Join(h.pods, "ns_pod_uid")); err != nil { // only the spool has them now
		t.Fatal(err)
	}
	names, _ := h.spoolFiles()
	segment, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	segment[len(segment)/2] ^= 0x40 // among the lines, which are nearly all there is
	if err := os.WriteFile(names[0], segment, 0o640); err != nil {
		t.Fatal(err)
	}

	store.answer(nil)
	d = start(t, "--config.file", cfg)
	if missing := store.lacksDropped(d, lines, "spool_damaged"); missing == 0 || missing > 256 {
		t.Errorf("%d lines are missing, of one record at the most", missing)
	}
}

// TestSpoolFull: a spool that is full stops the reading, or drops the oldest lines and counts them, as the owner chose.
func TestSpoolFull(t *testing.T) {
	t.Parallel()
	for _, full := range []string{"block", "drop_oldest"} {
		t.Run(full, func(t *testing.T) {
			t.Parallel()
			const lines, most = 14 << 10, 8 << 20
			h, store := newHost(t), newDepot(t, "http").choosy()
			store.keep = false
			store.answer(all(sinktest.Reply{Status: 503}))
			h.write("ns_pod_uid/app/0.log", cri(0, "stdout", noise(0, lines)...))
			d := start(t, "--config.file", h.config("http", store.URL, "spool: {max_bytes: 8MiB, when_full: "+full+"}"))
			if full == "block" {
				d.says("spool is full", "drop_oldest")
				if s := d.metrics(); s.sum("leat_log_unread_bytes") == 0 || s.sum("leat_dropped_lines_total") > 0 {
					t.Errorf("of a full spool: %v bytes unread, %v lines dropped", s.sum("leat_log_unread_bytes"), s.sum("leat_dropped_lines_total"))
				}
			} else {
				d.metric(lines, "leat_log_read_lines_total")
				d.eventually("lines are dropped", func() error {
					if d.metrics().sum("leat_dropped_lines_total", "reason=spool_full") == 0 {
						return errors.New("none")
					}
					return nil
				})
			}
			if _, n := h.spoolFiles(); n > most {
				t.Errorf("the spool has %d bytes, want at most %d", n, most)
			}
			store.answer(nil)
			if missing := store.lacksDropped(d, lines, "spool_full"); full == "block" && missing > 0 {
				t.Errorf("%d lines are missing", missing)
			}
		})
	}
}
