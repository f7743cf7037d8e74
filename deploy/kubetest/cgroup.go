package kubetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const cgroupMount = "/sys/fs/cgroup"

// cgroupRoots are the mounted hierarchies: one with v2; with v1 one for each controller, and maybe v2's beside them.
func cgroupRoots() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var roots []string
	for line := range strings.Lines(string(text)) {
		field := strings.Fields(line)
		if len(field) > 2 && (field[2] == "cgroup" || field[2] == "cgroup2") && strings.HasPrefix(field[1], cgroupMount) {
			roots = append(roots, field[1])
		}
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("no cgroups are mounted below %s", cgroupMount)
	}
	return roots, nil
}

// makeCgroup makes a cgroup in every hierarchy, below which the kubelet makes those of the pods.
func makeCgroup(name string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		path := filepath.Join(root, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // of v1, where they begin empty and no process may come in
			if value, err := os.ReadFile(filepath.Join(root, file)); err == nil {
				if err := os.WriteFile(filepath.Join(path, file), value, 0o644); err != nil {
					return fmt.Errorf("cgroup: %w", err)
				}
			}
		}
		for _, at := range []string{root, path} {
			if err := delegate(at); err != nil {
				return fmt.Errorf("cgroup: %w", err)
			}
		}
	}
	return nil
}

// delegate lets the cgroups below have all controllers that this one has. Under v1 there is nothing to do.
func delegate(path string) error {
	controllers, err := os.ReadFile(filepath.Join(path, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range bytes.Fields(controllers) {
		if err := os.WriteFile(filepath.Join(path, "cgroup.subtree_control"), append([]byte("+"), c...), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroup removes the cgroup with all below it from every hierarchy. The processes are dead, but the kernel may
// need a moment to notice.
func removeCgroup(name string) error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, root := range roots {
		path := filepath.Join(root, name)
		if err := poll(ctx, 50*time.Millisecond, func() error { return removeTree(path) }); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
	}
	return nil
}

// removeTree removes a folder of folders from below; the kernel's files in them go with them.
func removeTree(path string) error {
	var folders []string
	err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, folder := range slices.Backward(folders) {
		err = errors.Join(err, os.Remove(folder))
	}
	return err
}

// poll calls f until it returns nil, and gives up with its last error when the context ends.
func poll(ctx context.Context, every time.Duration, f func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
