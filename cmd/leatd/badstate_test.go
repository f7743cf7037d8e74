package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bodies are numbered lines from..to-1.
func bodies(from, to int) (texts []string) {
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprintf("line seq=%09d", i))
	}
	return texts
}

// TestDamagedCursors: leatd starts with whatever it finds in its state, sets aside what is damaged, and takes the older
// copy; lines may come again, but none is missing.
func TestDamagedCursors(t *testing.T) {
	t.Parallel()
	cursors := filepath.Join("central", "cursors.json")
	flip := func(b []byte) []byte { b[len(b)/2] ^= 0x20; return b }
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	empty := func([]byte) []byte { return nil }
	garbage := func(b []byte) []byte { return bytes.Repeat([]byte{0, 0xff, '{'}, len(b)) }
	future := func([]byte) []byte { return []byte(`{"version":99,"targets":[],"crc32c":"00000000"}` + "\n") }
	tests := []struct {
		name   string
		damage map[string]func([]byte) []byte // by file
		says   []string
		again  int64 // lines that come again at most
	}{
		{"nothing", nil, nil, 0},
		{"a bit", map[string]func([]byte) []byte{cursors: flip}, []string{"damaged", "set aside"}, 20},
		{"torn", map[string]func([]byte) []byte{cursors: cut}, []string{"older cursors are used"}, 20},
		{"empty", map[string]func([]byte) []byte{cursors: empty}, []string{"older cursors are used"}, 20},
		{"older copy only", map[string]func([]byte) []byte{cursors + ".old": garbage}, nil, 0},
		{"both", map[string]func([]byte) []byte{cursors: garbage, cursors + ".old": flip}, []string{"no usable cursors", "sent again"}, 40},
		{"of a later leatd", map[string]func([]byte) []byte{cursors: future, cursors + ".old": future}, []string{"no usable cursors"}, 40},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, store := newHost(t), newDepot(t, "http")
			cfg := h.config("http", store.URL)
			// Two lives, so that there is an older copy with half of the lines.
			for life := range 2 {
				h.write("ns_pod_uid/app/0.log", cri(20*life, "stdout", bodies(20*life, 20*life+20)...))
				d := start(t, "--config.file", cfg)
				store.reach(int64(20*life + 20))
				d.stop()
			}
			for name, damage := range tt.damage {
				path := filepath.Join(h.state, name)
				old, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, damage(old), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			h.write("ns_pod_uid/app/0.log", cri(40, "stdout", bodies(40, 60)...))
			h.write("ns_pod_uid/other/0.log", cri(40, "stdout", bodies(0, 20)...))
			d := start(t, "--config.file", cfg)
			store.verify.Expect("ns/pod/app", 60)
			store.verify.Expect("ns/pod/other", 20)
			eventually(t, "all lines", func() error {
				for _, r := range store.verify.Results() {
					if r.Missing > 0 {
						return fmt.Errorf("%v", r)
					}
				}
				return nil
			})
			d.stop()
			if tt.says != nil {
				d.says(tt.says...)
			}
			for _, r := range store.verify.Results() {
				if r.OutOfOrder > 0 || r.Foreign > 0 || r.Duplicate > tt.again || r.Target != "ns/pod/app" && r.Duplicate > 0 {
					t.Errorf("%v; want at most %d duplicates", r, tt.again)
				}
			}
			if _, err := os.Stat(filepath.Join(h.state, cursors+".bad")); (err == nil) != (tt.damage[cursors] != nil) {
				t.Errorf("what is damaged is kept aside: %v", err)
			}
		})
	}
}

// TestReadOnlyState: where leatd cannot write to its folder of state any more, it delivers, says what to do, and starts
// again after a stop. In a folder that never took a file of its own it refuses to start, and says what to do.
func TestReadOnlyState(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	cfg := h.config("http", store.URL)
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", bodies(0, 10)...))
	d := startAs(t, h, nobody, "--config.file", cfg)
	store.reach(10)
	lane := filepath.Join(h.state, "central")
	eventually(t, "saved cursors", func() error { _, err := os.Stat(filepath.Join(lane, "cursors.json")); return err })
	chmod(t, 0o555, lane, h.state)
	h.write("ns_pod_uid/app/0.log", cri(10, "stdout", bodies(10, 20)...))
	store.reach(20)
	d.says("cursors cannot be saved", "delivery goes on", "permission denied", "writable")
	d.stop()

	d = startAs(t, h, nobody, "--config.file", cfg)
	h.write("ns_pod_uid/app/0.log", cri(20, "stdout", bodies(20, 30)...))
	store.verify.Expect("ns/pod/app", 30)
	eventually(t, "all lines", func() error {
		if r := store.verify.Results()[0]; r.Missing > 0 {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
	d.says("cursors cannot be saved")
	chmod(t, 0o755, lane, h.state)
	d.says("cursors are saved again")
	d.stop()
	if r := store.verify.Results()[0]; r.Duplicate > 20 || r.OutOfOrder > 0 || r.Foreign > 0 {
		t.Errorf("%v", r)
	}

	if os.Geteuid() != 0 {
		return
	}
	h.state = filepath.Join(h.dir, "never")
	if err := os.Mkdir(h.state, 0o555); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "--config.file", h.config("http", store.URL), "--web.listen-address", "127.0.0.1:0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	d = launch(t, cmd)
	if code := d.wait(patience); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	d.says("leatd cannot start", "make the folder writable for leatd, or set state:")
}

func chmod(t *testing.T, mode os.FileMode, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullState: a full disk stops the saving of cursors and nothing else; when there is room they are saved again.
func TestFullState(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	cfg := h.config("http", store.URL)
	if err := os.Mkdir(h.state, 0o755); err != nil {
		t.Fatal(err)
	}
	// A small disk of its own, in a mount namespace that goes with the process.
	const script = `mount -t tmpfs -o size=256k leat "$1" || exit 77; shift; exec "$@"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", h.state, binary, "--config.file", cfg, "--web.listen-address", "127.0.0.1:0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	if err := exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "leat", h.state).Run(); err != nil {
		t.Skipf("SKIPPED: no disk of its own can be had here, so that a full one is not tested: %v", err)
	}
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", bodies(0, 10)...))
	d := awaitServing(launch(t, cmd))
	store.reach(10)
	inside := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "root", h.state)
	eventually(t, "saved cursors", func() error { _, err := os.Stat(filepath.Join(inside, "central", "cursors.json")); return err })

	filler := filepath.Join(inside, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o644); err == nil {
		t.Fatal("the disk is not full")
	}
	h.write("ns_pod_uid/app/0.log", cri(10, "stdout", bodies(10, 20)...))
	store.reach(20)
	d.says("cursors cannot be saved", "delivery goes on", "no space left on device", "make room")
	h.write("ns_pod_uid/app/0.log", cri(20, "stdout", bodies(20, 30)...))
	store.reach(30)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	d.says("cursors are saved again")
	d.stop()
	store.verify.Expect("ns/pod/app", 30)
	if err := store.verify.Err(); err != nil {
		t.Error(err)
	}
}

// TestSecondOnOneState: a second leatd on a folder of state waits for the first to end, which goes on.
func TestSecondOnOneState(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	cfg := h.config("http", store.URL)
	first := start(t, "--config.file", cfg)
	second := launch(t, exec.Command(binary, "--config.file", cfg, "--web.listen-address", "127.0.0.1:0"))
	inUse := "in use by another leatd (pid " + strconv.Itoa(first.cmd.Process.Pid) + ")"
	second.says("waiting for another leatd to end", inUse, "stop it, or set state:")
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "hello"))
	store.expect("ns/pod/app", "hello")

	third := launch(t, exec.Command(binary, "--config.file", cfg, "--web.listen-address", "127.0.0.1:0"))
	third.says("waiting for another leatd to end")
	third.signal(syscall.SIGTERM)
	if code := third.wait(patience); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	third.says("leatd cannot start", inUse)

	first.kill() // the lock goes with the process, however it ended
	second.says("serving /metrics")
	second.stop()
}

// TestPortInUse: leatd says which flag to change, and gives the folder of state back.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	cfg := h.config("http", store.URL)
	address := strings.TrimPrefix(store.URL, "http://")
	d := launch(t, exec.Command(binary, "--config.file", cfg, "--web.listen-address", address))
	if code := d.wait(patience); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	d.says("leatd cannot start", address, "in use", "--web.listen-address")
	start(t, "--config.file", cfg).stop()
}

// TestProbes: ready and healthy are what an orchestrator acts on.
func TestProbes(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	d := start(t, "--config.file", h.config("http", store.URL))
	d.eventually("ready", func() error {
		if code, text := d.get("/-/ready"); code != 200 {
			return fmt.Errorf("%d %s", code, text)
		}
		return nil
	})
	if code, text := d.get("/-/healthy"); code != 200 {
		t.Errorf("healthy: %d %s", code, text)
	}
	if code, text := d.get("/"); code != 200 || !strings.Contains(text, "leatd") {
		t.Errorf("landing page: %d %s", code, text)
	}
	began := time.Now()
	d.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("an idle leatd takes %s to stop", took)
	}
	if names := folder(t, h.state); !slices.Contains(names, "LOCK") {
		t.Errorf("state holds %q", names)
	}
}

func folder(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
