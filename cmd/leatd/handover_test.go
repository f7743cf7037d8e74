package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/leatd/leat/cmd/leatd/config"
)

// owner returns whose a file is, a link itself and not what it leads to.
func owner(t *testing.T, path string) config.Owner {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return config.Owner{UID: int(stat.Uid), GID: int(stat.Gid)}
}

func TestHandover(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root can give files away")
	}
	state, outside := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(to string) (string, int) {
		var out bytes.Buffer
		code := leatd(t.Context(), []string{"handover", "--state", state, "--to", to}, func(string) (string, bool) { return "", false }, &out, &out)
		return strings.ReplaceAll(out.String(), state, "STATE"), code
	}
	if out, code := run("65534:0"); code != exitOK || out != "STATE: 1 files and folders given to 65534:0\n" {
		t.Errorf("a folder that is not there: %d, %s", code, out)
	}
	if err := os.MkdirAll(filepath.Join(state, "central", "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "central", "cursors.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(state, "link")); err != nil {
		t.Fatal(err)
	}
	if out, code := run("65534:0"); code != exitOK || out != "STATE: 4 files and folders given to 65534:0\n" {
		t.Errorf("with files: %d, %s", code, out)
	}
	nobody := config.Owner{UID: 65534}
	for _, name := range []string{"", "central", "central/spool", "central/cursors.json", "link"} {
		if got := owner(t, filepath.Join(state, name)); got != nobody {
			t.Errorf("%s is of %v", name, got)
		}
	}
	if got := owner(t, outside); got != (config.Owner{}) {
		t.Errorf("what a link leads to was given to %v", got)
	}
	if out, code := run("65534:0"); code != exitOK || out != "STATE: 0 files and folders given to 65534:0\n" {
		t.Errorf("again: %d, %s", code, out)
	}
	if out, code := run("0:0"); code != exitOK || owner(t, state) != (config.Owner{}) {
		t.Errorf("back: %d, %s", code, out)
	}

	second := filepath.Join(state, "second")
	if err := os.Link(outside, second); err != nil {
		t.Fatal(err)
	}
	if out, code := run("65534:0"); code != exitFailed || owner(t, outside) != (config.Owner{}) || !strings.Contains(out, "second: has 2 names") {
		t.Errorf("a second name of a file: %d, %s", code, out)
	}
	for _, to := range []string{"nobody", "65534", "-1:0", "1:2:3", ""} {
		if out, code := run(to); to != "" && code != exitBadInput {
			t.Errorf("--to %s: %d, %s", to, code, out)
		}
	}
}
