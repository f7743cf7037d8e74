package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/leatd/leat/cmd/leatd/config"
)

// handOver makes the state folder and gives it and all that is in it to another user. It runs as root, in a folder where
// that user could have put anything: it never leaves the folder, follows no link, and gives nothing away that has a
// second name, which may stand elsewhere.
func handOver(state string, to config.Owner, stdout, stderr io.Writer) int {
	given, err := giveAway(state, to)
	if err != nil {
		fmt.Fprintf(stderr, "leatd: handover: %s\n", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s: %d files and folders given to %d:%d\n", state, given, to.UID, to.GID)
	return exitOK
}

// giveAway counts what was of somebody else.
func giveAway(state string, to config.Owner) (given int, err error) {
	if err := os.MkdirAll(state, 0o750); err != nil {
		return 0, fmt.Errorf("state: %w", err)
	}
	root, err := os.OpenRoot(state)
	if err != nil {
		return 0, fmt.Errorf("state: %w", err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%w: it needs the capability DAC_READ_SEARCH to look into folders of others", err)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		file, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok:
			return fmt.Errorf("%s: its owner is not to be known", name)
		case int(file.Uid) == to.UID && int(file.Gid) == to.GID:
			return nil
		case !e.IsDir() && file.Nlink > 1:
			return fmt.Errorf("%s: has %d names: remove those that are not leatd's", name, file.Nlink)
		}
		if err := root.Lchown(name, to.UID, to.GID); err != nil {
			if errors.Is(err, syscall.EPERM) {
				err = fmt.Errorf("%w: it needs the capability CHOWN, and to be root", err)
			}
			return err
		}
		given++
		return nil
	})
	return given, err
}
