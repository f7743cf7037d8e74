package servers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Debian unpacks packages of the system's own Debian release, with what they depend on and the system has not, into a
// folder of the cache, and returns that folder: programs are in usr/bin and usr/sbin below it, libraries in usr/lib.
// Nothing is installed. It needs apt-get, dpkg and root, and the network only the first time.
func Debian(ctx context.Context, packages ...string) (root string, err error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("debian: release: %w", err)
	}
	bin, err := Cache()
	if err != nil {
		return "", fmt.Errorf("debian: %w", err)
	}
	root = filepath.Join(bin, fmt.Sprintf("debian-%x", sha256.Sum256(fmt.Appendf(release, "%q", packages)))[:len("debian-")+12])
	unlock, err := lock(filepath.Join(bin, "debian.lock"))
	if err != nil {
		return "", fmt.Errorf("debian: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	unfinished, err := os.MkdirTemp(bin, "debian-*.tmp")
	if err != nil {
		return "", fmt.Errorf("debian: folder: %w", err)
	}
	defer os.RemoveAll(unfinished)
	archives, unpacked := filepath.Join(unfinished, "archives"), filepath.Join(unfinished, "root")
	// apt drops its rights to download, and so has to pass through the folder.
	if err := errors.Join(os.Chmod(unfinished, 0o755), os.MkdirAll(filepath.Join(archives, "partial"), 0o755)); err != nil {
		return "", fmt.Errorf("debian: folder: %w", err)
	}
	if err := command(ctx, "apt-get", "update", "-q"); err != nil {
		return "", fmt.Errorf("debian: %w", err)
	}
	download := []string{"install", "-q", "-y", "--download-only", "--reinstall", "--no-install-recommends", "-o", "Dir::Cache::archives=" + archives}
	if err := command(ctx, "apt-get", append(download, packages...)...); err != nil {
		return "", fmt.Errorf("debian: %w", err)
	}
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil || len(debs) == 0 {
		return "", fmt.Errorf("debian: apt-get has downloaded nothing for %q", packages)
	}
	for _, deb := range debs {
		if err := command(ctx, "dpkg", "--extract", deb, unpacked); err != nil {
			return "", fmt.Errorf("debian: %w", err)
		}
	}
	if err := errors.Join(os.Chmod(unpacked, 0o755), os.Rename(unpacked, root)); err != nil {
		return "", fmt.Errorf("debian: %w", err)
	}
	return root, nil
}

func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
