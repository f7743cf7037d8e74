package pipeline

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// lockHelper names the folder that this test's binary locks when it is run as a helper process.
const lockHelper = "LEAT_TEST_LOCK"

// holdLock takes the folder, says what came of it, and holds it until its input ends.
func holdLock(dir string) {
	_, err := LockState(dir)
	fmt.Println("locked:", err)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startHolder starts a second process that wants the folder; said is its first line.
func startHolder(t *testing.T, dir string) (cmd *exec.Cmd, said string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lockHelper+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	said, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(said)
}

func TestLockState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "leat")
	other, said := startHolder(t, dir)
	if said != "locked: <nil>" {
		t.Fatal(said)
	}
	_, err := LockState(dir)
	want := fmt.Sprintf("state: %s is in use by another leatd (pid %d): stop it, or set state: (or --state) to another folder", dir, other.Process.Pid)
	if err == nil || err.Error() != want {
		t.Errorf("the second is told %v\nwant %s", err, want)
	}
	if err := other.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	release, err := LockState(dir)
	if err != nil {
		t.Fatalf("after the first was killed: %v", err)
	}
	if _, said := startHolder(t, dir); !strings.Contains(said, fmt.Sprintf("(pid %d)", os.Getpid())) {
		t.Errorf("the other is told %s", said)
	}
	release()
	if _, said := startHolder(t, dir); said != "locked: <nil>" {
		t.Errorf("after its release: %s", said)
	}
}

func TestLockStateWhereItCannot(t *testing.T) {
	hint := ": make the folder writable for leatd, or set state: (or --state) to another one"
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "leat")} {
		if _, err := LockState(dir); err == nil || !strings.HasPrefix(err.Error(), "state: mkdir ") || !strings.Contains(err.Error(), "is a file: set state: (or --state) to a folder") {
			t.Errorf("at a file, and below it: %v", err)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "LOCK"), 0o750); err != nil {
		t.Fatal(err)
	}
	release, err := LockState(dir) // odd, but a folder can be locked too
	if err != nil {
		t.Fatal(err)
	}
	release()
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere; the program's own tests do this as another user")
	}
	dir = t.TempDir()
	release, err = LockState(dir)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := os.Chmod(filepath.Join(dir, "LOCK"), 0o440); err != nil {
		t.Fatal(err)
	}
	if release, err = LockState(dir); err != nil {
		t.Errorf("a lock that can only be read: %v", err)
	} else {
		release()
	}
	dir = t.TempDir()
	if err := os.Chmod(dir, 0o550); err != nil {
		t.Fatal(err)
	}
	if _, err := LockState(dir); err == nil || !strings.HasSuffix(err.Error(), hint) {
		t.Errorf("read-only: %v", err)
	}
}
