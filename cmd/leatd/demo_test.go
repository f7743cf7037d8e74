package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal makes a pseudo terminal of a size: our side, and the program's.
func openTerminal(t *testing.T, columns, rows uint16) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("SKIPPED: no pseudo terminal can be had here: %v", err)
	}
	t.Cleanup(func() { ours.Close() })
	raw, err := ours.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	control := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err != nil {
			return
		}
		if number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err != nil {
			return
		}
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	})
	if err = errors.Join(control, err); err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED: no pseudo terminal can be had here: %v", err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

var (
	escape  = regexp.MustCompile("\x1b\\[[0-9;?]*[a-zA-Z]")
	verdict = regexp.MustCompile(`Every one of ([0-9,]+) lines written was delivered exactly once\.`)
)

// TestDemoOnATerminal: it draws within 80 columns, Ctrl-C ends it, the account adds up, and nothing is left behind.
func TestDemoOnATerminal(t *testing.T) {
	t.Parallel()
	ours, theirs := openTerminal(t, 80, 24)
	tmp := t.TempDir()
	cmd := exec.Command(binary, "demo", "--web.listen-address", "127.0.0.1:0", "--rate", "2000")
	cmd.Stdin, cmd.Stdout = theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	cmd.Env = []string{"TERM=xterm-256color", "TMPDIR=" + tmp, raceOptions}
	var screen transcript
	d := launch(t, cmd)
	theirs.Close()
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(&screen, ours) // ends with an error when the other side is closed
	}()
	d.eventually("lines on the screen", func() error {
		if !regexp.MustCompile(`total +[0-9],[0-9]{3} `).MatchString(escape.ReplaceAllString(screen.String(), "")) {
			return errors.New("no total of a thousand lines yet")
		}
		return nil
	})
	if names := folder(t, tmp); len(names) != 1 {
		t.Errorf("the demo's temporary folder: %q", names)
	}
	if _, err := ours.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	if code := d.wait(patience); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	select {
	case <-shown:
	case <-time.After(patience):
		t.Fatal("the terminal is still open")
	}
	text := screen.String()
	if !strings.Contains(text, "\x1b[?1049h") || !strings.Contains(text, "\x1b[?25h\x1b[?1049l") {
		t.Error("the screen is not put back as it was")
	}
	_, account, _ := strings.Cut(text, "\x1b[?1049l")
	if strings.Contains(account, "\x1b") || !verdict.MatchString(account) {
		t.Errorf("the account on the plain screen is\n%s", account)
	}
	lines := escape.ReplaceAllString(strings.NewReplacer("\x1b[H", "\n", "\x1b[?1049l", "\n").Replace(text), "")
	for line := range strings.Lines(lines) {
		line = strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "^C")
		if n := len([]rune(line)); n > 80 {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
	if names := folder(t, tmp); len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}
	if log := d.log.String(); log != "" {
		t.Errorf("leatd's log goes between the frames: %s", log)
	}
}

// TestDemoWithoutATerminal: plain lines, and the account.
func TestDemoWithoutATerminal(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	cmd := exec.Command(binary, "demo", "--duration", "3s", "--web.listen-address", "127.0.0.1:0")
	cmd.Env = []string{"TERM=xterm", "TMPDIR=" + tmp, raceOptions}
	d := launch(t, cmd)
	if code := d.wait(patience); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	text := d.out.String()
	if strings.ContainsAny(text, "\x1b\r") || !verdict.MatchString(text) || !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d written \d+ read \d+ `).MatchString(text) {
		t.Errorf("standard output is\n%s", text)
	}
	if names := folder(t, tmp); len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}
}

// TestDemoKeeps: in a folder that the user names everything stays, and the kept lines are as many as the account says.
func TestDemoKeeps(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kept")
	d := launch(t, exec.Command(binary, "demo", "--duration", "1s", "--dir", dir, "--web.listen-address", "127.0.0.1:0"))
	if code := d.wait(patience); code != exitOK {
		t.Fatalf("exit code %d\n%s", code, &d.out)
	}
	m := verdict.FindStringSubmatch(d.out.String())
	if m == nil {
		t.Fatalf("no verdict in\n%s", &d.out)
	}
	kept := strings.Count(segments(t, filepath.Join(dir, "state", "logs")), "\n")
	if want := strings.ReplaceAll(m[1], ",", ""); fmt.Sprint(kept) != want {
		t.Errorf("%d lines are kept, the account says %s", kept, want)
	}
	again := launch(t, exec.Command(binary, "demo", "--duration", "1s", "--dir", dir))
	if code := again.wait(patience); code != exitFailed {
		t.Errorf("a second demo in the same folder: exit code %d", code)
	}
	again.says("not empty", "name a new folder")
}
