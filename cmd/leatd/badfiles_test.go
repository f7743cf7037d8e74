package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is whom leatd runs as where a test takes rights away: root has them all.
const nobody = 65534

// TestStrangeFolders: what stands in the folder of pods and is no pod's is passed over, whatever it is called; what looks
// like one is read.
func TestStrangeFolders(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	line := cri(0, "stdout", "hello")
	strange := []string{
		"lost+found", "pod", "ns_pod", "__", "_pod_uid", "ns__uid", "ns_pod_", "ns_po\nd_uid", "ns_\x1b[31mpod_uid", "ns_bad\xffpod_uid",
		strings.Repeat("x", 255),
	}
	for _, pod := range strange {
		h.write(pod+"/app/0.log", line)
	}
	for _, name := range []string{"log", "0.txt", "00.log", "-1.log", "+1.log", "1.5.log", "0x1.log", "99999999999999999999.log", "0.log.tmp", "0.log.20260101-000000.tmp"} {
		h.write("ns_pod_uid/strange-files/"+name, line)
	}
	h.write("ns_pod_uid/0.log", line)               // a file in the place of a container's folder
	h.write("a file, not a folder", line)           // and of a pod's
	h.write("ns_pod_uid/strange-files/1.log/x", "") // and a folder in the place of a file
	if err := unix.Mkfifo(filepath.Join(h.pods, "ns_pod_uid", "strange-files", "2.log"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.write("ns_a_pod_with_underscores_uid/app/0.log", line)
	h.write("ns_pod_uid/con tainer \"é\" {}/0.log", line)

	d := start(t, "--config.file", h.config("http", store.URL))
	store.expect("ns/a_pod_with_underscores/app", "hello")
	store.expect(`ns/pod/con tainer "é" {}`, "hello")
	d.says("lost+found", "left out")
	h.write("ns_late_uid/app/0.log", line)
	store.expect("ns/late/app", "hello")
	d.stop()
	for _, s := range store.Sources() {
		if s.Namespace != "ns" || s.Pod == "" || s.Container == "strange-files" || s.Container == "" {
			t.Errorf("read what is no container's log: %+v", s)
		}
	}
	if n := store.total(); n > 5 {
		t.Errorf("%d lines came, want 3", n)
	}
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, "\x1b") || strings.Contains(line, "\xff") {
			t.Errorf("a strange name spoils the log: %q", line)
		}
	}
}

// TestLinkLoops: links that lead in circles, or nowhere, cost the other logs nothing.
func TestLinkLoops(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "one"))
	h.write("ns_pod_uid/loop/1.log", cri(0, "stdout", "beside a loop"))
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(h.pods, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("0.log", "ns_pod_uid/loop/0.log")
	link("b.log", "ns_pod_uid/loop/a.log")
	link("../loop", "ns_pod_uid/loop/2.log")
	link("nowhere", "ns_pod_uid/loop/3.log")
	link(".", "ns_self_uid")
	link("ns_ping_uid", "ns_pong_uid")
	link("ns_pong_uid", "ns_ping_uid")
	link("../..", "ns_pod_uid/up")
	link("/proc/self/fd", "ns_pod_uid/proc")

	d := start(t, "--config.file", h.config("http", store.URL))
	store.expect("ns/pod/app", "one")
	store.expect("ns/pod/loop", "beside a loop")
	h.write("ns_pod_uid/app/0.log", cri(1, "stdout", "two"))
	store.expect("ns/pod/app", "one", "two")
	d.stop()
	if n := store.total(); n != 3 {
		t.Errorf("%d lines came, want 3", n)
	}
}

// TestNoPermission: a file that leatd may not read is said to be so, and is read when it may; the others go on.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	secret := filepath.Join(h.pods, "ns_pod_uid", "secret", "0.log")
	h.write("ns_pod_uid/secret/0.log", cri(0, "stdout", "secret"))
	h.write("ns_pod_uid/app/0.log", cri(0, "stdout", "one"))
	h.write("ns_shut_uid/app/0.log", cri(0, "stdout", "behind a door"))
	for path, mode := range map[string]os.FileMode{secret: 0, filepath.Join(h.pods, "ns_shut_uid"): 0} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Chmod(filepath.Join(h.pods, "ns_shut_uid"), 0o755) // so that it can be removed
	cfg := h.config("http", store.URL)

	d := startAs(t, h, nobody, "--config.file", cfg)
	store.expect("ns/pod/app", "one")
	d.says("permission denied", "secret/0.log")
	d.says("permission denied", "ns_shut_uid")
	d.metric(1, "leat_log_unreadable_files")
	h.write("ns_pod_uid/app/0.log", cri(1, "stdout", "two"))
	store.expect("ns/pod/app", "one", "two")
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	store.expect("ns/pod/secret", "secret")
	d.metric(0, "leat_log_unreadable_files")
	if n := strings.Count(d.log.String(), "secret/0.log"); n > 2 {
		t.Errorf("leatd complained %d times of one file", n)
	}
	d.stop()
}

// startAs runs leatd as another user, who owns the folder of state and can get at all of the host's.
func startAs(t *testing.T, h *host, uid int, args ...string) *daemon {
	t.Helper()
	if os.Geteuid() != 0 {
		return start(t, args...) // rights that were taken away are gone for us, too
	}
	if err := os.MkdirAll(h.state, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(h.state, uid, uid); err != nil {
		t.Skipf("SKIPPED: this root cannot give files away, so that leatd cannot run without rights: %v", err)
	}
	if err := os.Chmod(filepath.Dir(h.dir), 0o711); err != nil { // the testing package made it, for the tests of one function
		t.Fatal(err)
	}
	for dir := h.dir; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&1 == 0 {
			t.Skipf("SKIPPED: %s is closed to others, so that leatd cannot run as another user there", dir)
		}
	}
	cmd := exec.Command(binary, append([]string{"--web.listen-address", "127.0.0.1:0"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), NoSetGroups: false}}
	return awaitServing(launch(t, cmd))
}
