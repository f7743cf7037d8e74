package kubetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// NodeName and NodeIP are how Kubernetes knows the node.
const (
	NodeName = "node1"
	NodeIP   = "10.98.0.1"
)

// initialize is the life of the node's PID 1: it makes the machine in the machine, starts the program once more in it, and
// returns the exit code of that.
func initialize(folder string) (int, error) {
	if err := errors.Join(unix.Sethostname([]byte(NodeName)), mounts(folder), interfaces(), routeServices()); err != nil {
		return 1, err
	}
	executable, err := os.Executable()
	if err != nil {
		return 1, err
	}
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, stageEnv+"=") {
			env = append(env, e)
		}
	}
	child, err := syscall.ForkExec(executable, os.Args, &syscall.ProcAttr{
		Env: append(env, stageEnv+"="+stageInside), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return 1, fmt.Errorf("start %s: %w", executable, err)
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1, fmt.Errorf("wait: %w", err)
		case pid == child && status.Signaled():
			return 1, fmt.Errorf("ended by %s", status.Signal())
		case pid == child && status.Exited():
			return status.ExitStatus(), nil
		}
	}
}

// settings are what the kubelet wants of the kernel. It finds these files in the place of the kernel's, and so changes
// nothing for the rest of the machine.
var settings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// mounts gives the node its own folders. At the end everything is shared, as on a machine that was started by systemd, so
// that a container can ask to see what is mounted later.
func mounts(folder string) error {
	mount := func(source, target, kind string, flags uintptr) error {
		if err := unix.Mount(source, target, kind, flags, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", source, target, err)
		}
		return nil
	}
	cgroups := filepath.Join(folder, "cgroup")
	err := errors.Join(
		mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE),
		os.Mkdir(cgroups, 0o755),
		mount(cgroupMount, cgroups, "", unix.MS_BIND|unix.MS_REC),
		mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC),
		mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC), // of the new network namespace
		mount(cgroups, cgroupMount, "", unix.MS_BIND|unix.MS_REC),
		unix.Unmount(cgroups, unix.MNT_DETACH),
		mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV),
	)
	for _, own := range []string{"/var/lib", "/var/log"} {
		source := filepath.Join(folder, own)
		err = errors.Join(err, os.MkdirAll(source, 0o755), mount(source, own, "", unix.MS_BIND))
	}
	upper, work := filepath.Join(folder, "etc.upper"), filepath.Join(folder, "etc.work")
	err = errors.Join(err, os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755), os.Mkdir(filepath.Join(folder, "settings"), 0o755))
	// The machine's /etc, on which what the node writes stays above.
	if e := unix.Mount("etc", "/etc", "overlay", 0, "lowerdir=/etc,upperdir="+upper+",workdir="+work); e != nil {
		err = errors.Join(err, fmt.Errorf("mount an overlay at /etc: %w", e))
	}
	for name, value := range settings {
		file := filepath.Join(folder, "settings", filepath.Base(name))
		target := filepath.Join("/proc/sys", name)
		if _, absent := os.Stat(target); absent == nil {
			err = errors.Join(err, os.WriteFile(file, []byte(value+"\n"), 0o644), mount(file, target, "", unix.MS_BIND))
		}
	}
	return errors.Join(err, mount("none", "/", "", unix.MS_REC|unix.MS_SHARED))
}
